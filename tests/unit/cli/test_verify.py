"""`saga verify` on a file and on a store: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.histories.test_histories import FILES
from tests.unit.cli.stores import StoreFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> StoreFolder:
    """Give an empty store."""
    return StoreFolder(tmp_path, capsys, monkeypatch)


@pytest.fixture
def forged(tmp_path: Path) -> tuple[Path, str, int]:
    """Give recorded histories of which one has another output in it: the file, the process and the event."""
    documents = [json.loads(line) for line in FILES[-1].read_text(encoding="utf-8").rstrip("\n").split("\n")]
    document, offset = next(
        (document, offset)
        for document in documents
        for offset, event in enumerate(document.get("events", ()))
        if event["type"] == "step_completed" and document["cause"]["kind"] == "reply"
    )
    document["events"][offset]["output"] = '"forged"'
    file = tmp_path / "forged.jsonl"
    file.write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    return file, document["p"], document["n"] + offset


def test_recorded_histories_are_verified(store: StoreFolder) -> None:
    """Nothing is printed where nothing differs; how many there were is said."""
    code, out, err = store.run("verify", str(FILES[-1]))
    assert (code, out) == (0, "")
    assert " events: 0 differ" in err


def test_a_difference_is_code_1_and_told_with_then_and_now(
    store: StoreFolder, forged: tuple[Path, str, int]
) -> None:
    """By process, event and field, in the file and in a store that it was imported into."""
    file, process_id, number = forged
    code, out, _ = store.run("verify", str(file))
    assert code == 1
    assert out.startswith(f"{process_id} different")
    assert f"event {number}, field output: then" in out
    assert "    now:  step_completed" in out
    assert store.run("import", str(file))[0] == 0
    for words in ((), (process_id,), (str(file), "--process", process_id)):
        (report,) = store.json("verify", *words, code=1)
        first: dict[str, Any] = report["differences"][0]
        assert (report["process_id"], first["sequence"]) == (process_id, number)
        assert first["fields"][0]["then"] == '"forged"'


def test_another_definition_judges_its_type_alone(store: StoreFolder, tmp_path: Path) -> None:
    """Others are passed over; one that may not run is code 2."""
    definition = tmp_path / "other.yaml"
    definition.write_text(
        "process_type: other\nsteps:\n  - {name: one, service: one, action: do, compensation: undo}\n"
    )
    words = ("verify", str(FILES[-1]), "--definition", str(definition))
    assert store.run(*words) == (0, "", "0 processes, 0 events: 0 differ\n")
    definition.write_text("process_type: other\n")
    assert store.run(*words)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("a", "--process", "b"), 2, "of a file"),
        (("x.jsonl",), 3, "no file"),
        (("nobody",), 3, "no process nobody"),
    ],
)
def test_wrong_usage_has_its_code(
    store: StoreFolder, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """And says what to do."""
    found, _, err = store.has().run("verify", *arguments)
    assert found == code
    assert words in err
