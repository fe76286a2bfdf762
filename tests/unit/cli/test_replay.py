"""`saga replay` on the store itself: what it prints, what it repairs, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from saga.replay.lines import definition_line, end_line, header_line, transition_line
from tests.unit.cli.stores import StoreFolder
from tests.unit.replay.histories import definition, paid

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGE = "UPDATE projections SET status = 'started' WHERE process_id = ?"


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> StoreFolder:
    """Give a store with three processes."""
    return StoreFolder(tmp_path, capsys, monkeypatch).has("a", "b", "c")


def test_a_process_that_is_right_is_code_0(store: StoreFolder) -> None:
    """With how many events it has."""
    (report,) = store.json("replay", "a")
    assert (report["outcome"], report["events"], report["differences"]) == ("same", 7, [])
    assert store.run("replay", "a")[1] == "a same, 7 events\n"


def test_a_difference_is_code_1_until_it_is_repaired(store: StoreFolder) -> None:
    """It is named by process, event and field."""
    store.changes(_DAMAGE, "b")
    code, out, _ = store.run("replay", "b")
    assert code == 1
    assert out.splitlines() == [
        "b different, 7 events",
        '  event 7, field status: the log says "completed", the projection "started"',
    ]
    (report,) = store.json("replay", "b", "--repair")
    assert report["outcome"] == "repaired"
    assert store.json("replay", "b")[0]["outcome"] == "same"


def test_all_are_replayed_and_those_that_differ_are_printed(store: StoreFolder) -> None:
    """How many there are is said beside the data; a gap can't be repaired."""
    assert store.run("replay", "--all") == (0, "", "3 processes, 21 events: 0 differ\n")
    store.changes(_DAMAGE, "a")
    store.changes("DELETE FROM projections WHERE process_id = 'b'")
    store.changes("DELETE FROM events WHERE process_id = 'c' AND first = 2")
    reports = store.json("replay", "--all", code=1)
    assert [(one["process_id"], one["outcome"]) for one in reports] == [
        ("a", "different"),
        ("b", "different"),
        ("c", "unreadable"),
    ]
    assert reports[2]["problem"] == {"sequence": 2, "field": None, "detail": "the log goes on with 4"}
    code, out, err = store.run("replay", "--all", "--repair")
    assert code == 1
    assert "a repaired" in out
    assert "  event 2: the log goes on with 4" in out
    assert err == "3 processes, 15 events: 1 differ, 2 repaired\n"
    assert [one["process_id"] for one in store.json("replay", "--all", code=1)] == ["c"]


@pytest.mark.parametrize("damaged", [(), ("a",), ("a", "b")])
def test_the_output_is_one_json_array(store: StoreFolder, damaged: tuple[str, ...]) -> None:
    """Also of none."""
    for process_id in damaged:
        store.changes(_DAMAGE, process_id)
    _, out, _ = store.run("replay", "--all", "--output", "json")
    assert [one["process_id"] for one in json.loads(out)] == list(damaged)


def test_a_file_is_folded(store: StoreFolder, tmp_path: Path) -> None:
    """It has no projections, so that only what can't be read is wrong with it."""
    file = tmp_path / "x.jsonl"
    lines = [header_line(), definition_line(definition())]
    lines += [*map(transition_line, paid("p1")), end_line(1)]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert store.run("replay", str(file)) == (0, "", "1 processes, 7 events: 0 differ\n")
    del lines[3]
    file.write_text("\n".join(lines), encoding="utf-8")
    (report,) = store.json("replay", str(file), code=1)
    assert report["problem"]["sequence"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "--all"),
        (("a", "--all"), 2, "--all"),
        (("x.jsonl", "--repair"), 2, "no projections"),
        (("x.jsonl",), 3, "no file"),
        (("nobody",), 3, "no process nobody"),
    ],
)
def test_wrong_usage_has_its_code(
    store: StoreFolder, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """And says what to do."""
    found, _, err = store.run("replay", *arguments)
    assert found == code
    assert words in err
