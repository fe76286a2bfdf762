"""What is typed becomes JSON: numbers and objects where it is JSON, strings where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.cli.arguments import labels, parameters
from api.cli.outcome import CommandError, Exit
from api.cli.tables import plain
from saga.__main__ import working_folder_last

if TYPE_CHECKING:
    from pathlib import Path


def test_values_are_json_where_they_parse_and_strings_elsewhere() -> None:
    """`price=12.5` is a number, `id=doc123` a string, and quotes force a string."""
    pairs = [
        "price=12.5",
        "id=doc123",
        'deep={"a":[1]}',
        'code="7"',
        "flag=true",
        "eq=a=b",
        "none=",
        "nan=NaN",
    ]
    assert parameters(None, pairs) == {
        "price": 12.5,
        "id": "doc123",
        "deep": {"a": [1]},
        "code": "7",
        "flag": True,
        "eq": "a=b",
        "none": "",
        "nan": "NaN",
    }


def test_pairs_stand_over_the_file(tmp_path: Path) -> None:
    """A file gives all parameters, a pair changes one."""
    file = tmp_path / "parameters.json"
    file.write_text('{"a": 1, "b": 2}')
    assert parameters(str(file), ["b=3"]) == {"a": 1, "b": 3}


@pytest.mark.parametrize("text", ["[1]", "{", '{"a":1,"a":2}'])
def test_a_file_that_is_no_object_is_a_usage_error(tmp_path: Path, text: str) -> None:
    """The file is read as strictly as a body."""
    file = tmp_path / "parameters.json"
    file.write_text(text)
    with pytest.raises(CommandError) as refused:
        parameters(str(file), [])
    assert refused.value.code is Exit.USAGE


@pytest.mark.parametrize("pair", ["novalue", "=x", ""])
def test_what_is_no_pair_is_a_usage_error(pair: str) -> None:
    """A pair has a key and an equals sign."""
    with pytest.raises(CommandError) as refused:
        labels([pair])
    assert refused.value.code is Exit.USAGE


def test_nothing_in_a_value_steers_the_terminal() -> None:
    """Escape sequences, line breaks and marks of direction are shown, not obeyed."""
    assert plain("\x1b[2J\n\u202e") == "\\x1b[2J\\x0a\\x202e"


def test_the_working_folder_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is installed wins over a folder of the same name, whatever the interpreter put first."""
    monkeypatch.chdir(tmp_path)
    path = ["", str(tmp_path), "/usr/lib/python3", str(tmp_path)]
    working_folder_last(path)
    assert path == ["/usr/lib/python3", str(tmp_path)]
