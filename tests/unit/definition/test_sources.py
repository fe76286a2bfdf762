"""Where definitions come from: files, folders and modules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from saga.definition.sources import load_definitions
from saga.errors import InvalidDefinition

if TYPE_CHECKING:
    from pathlib import Path

STEPS = "steps:\n- {name: a, service: s, action: x, compensation: none}\n"
MODULE = """
from saga import Saga, Step
from saga.definition.model import SagaDefinition

trip = Saga("trip", steps=[Step("a", service="s", action="x", compensation="none")])
other = Saga("other", steps=[Step("a", service="s", action="x", compensation={undo!r})])
"""


def write(folder: Path, name: str, process_type: str) -> Path:
    """Write a definition file."""
    file = folder / name
    file.write_text(f"process_type: {process_type}\n{STEPS}")
    return file


def types_in(source: str) -> list[str]:
    """Load and name the types."""
    return [definition.process_type for definition in load_definitions(source)]


def test_a_folder_gives_all_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    """YAML under both endings and JSON; other files are left alone, folders in it too."""
    write(tmp_path, "b.yaml", "second")
    write(tmp_path, "a.yml", "first")
    document = {
        "process_type": "third",
        "steps": [{"name": "a", "service": "s", "action": "x", "compensation": "none"}],
    }
    (tmp_path / "c.json").write_text(json.dumps(document))
    (tmp_path / "README.md").write_text("not a definition")
    (tmp_path / "nested").mkdir()

    assert types_in(str(tmp_path)) == ["first", "second", "third"]


def test_a_file_gives_one(tmp_path: Path) -> None:
    """The path is the source."""
    assert types_in(str(write(tmp_path, "a.yaml", "trip"))) == ["trip"]


def test_a_broken_file_in_a_folder_is_named(tmp_path: Path) -> None:
    """The folder is refused whole, with the file at fault."""
    write(tmp_path, "good.yaml", "good")
    bad = write(tmp_path, "bad.yaml", "Bad")

    with pytest.raises(InvalidDefinition, match="process_type") as refused:
        load_definitions(str(tmp_path))
    assert refused.value.source == str(bad)


@pytest.mark.parametrize("name", ["nowhere.yaml", "no/such/folder", "no_such_module_of_anybody"])
def test_a_source_that_is_not_there_is_refused(name: str) -> None:
    """A misspelt setting stops the start with its own word in the sentence."""
    with pytest.raises(InvalidDefinition) as refused:
        load_definitions(name)
    assert refused.value.source == name


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """It is a mistake more likely than a wish."""
    with pytest.raises(InvalidDefinition, match="holds no definition"):
        load_definitions(str(tmp_path))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "a.yaml").write_bytes("process_type: t".encode("utf-16"))
    with pytest.raises(InvalidDefinition, match="can't be read"):
        load_definitions(str(tmp_path / "a.yaml"))


def test_a_module_gives_the_sagas_at_its_top_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they are written."""
    (tmp_path / "my_sagas_one.py").write_text(MODULE.format(undo="undo"))
    monkeypatch.syspath_prepend(str(tmp_path))

    assert types_in("my_sagas_one") == ["trip", "other"]


def test_a_saga_of_a_module_is_checked_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder judges parts; the whole is judged when it is loaded."""
    (tmp_path / "my_sagas_two.py").write_text(MODULE.format(undo=None))
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(InvalidDefinition, match="step 'a': has no compensation") as refused:
        load_definitions("my_sagas_two")
    assert refused.value.source == "my_sagas_two"


def test_a_module_without_a_saga_is_refused() -> None:
    """Its name is probably a mistake."""
    with pytest.raises(InvalidDefinition, match="holds no definition"):
        load_definitions("json")
