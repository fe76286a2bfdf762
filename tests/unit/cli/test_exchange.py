"""`saga export` and `saga import`: from one store into another, and the file in place of a server."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import subprocess
import sys
import threading
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from tests.unit.cli.stores import StoreFolder
from tests.unit.replay.histories import definition

IDS = ("a", "b", "c")


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> StoreFolder:
    """Give a store with three processes."""
    (tmp_path / "one").mkdir()
    return StoreFolder(tmp_path / "one", capsys, monkeypatch).has(*IDS)


@pytest.fixture
def file(store: StoreFolder, tmp_path: Path) -> Path:
    """Give an export of all of it."""
    path = tmp_path / "all.jsonl"
    assert store.run("export", "--to", str(path)) == (0, "", "")
    return path


def _other(store: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> StoreFolder:
    """Give an empty store, which the settings name from now on."""
    return StoreFolder(store.folder.parent / "two", store._capsys, monkeypatch)


def test_an_export_is_the_same_on_stdout_and_in_a_file(store: StoreFolder, file: Path) -> None:
    """The definition stands in it once, before the first process; the last line says that it is whole."""
    code, out, _ = store.run("export")
    assert (code, out) == (0, file.read_text())
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert kinds == ["export", "definition", *["transition"] * 12, "end"]


def test_some_are_exported_and_a_stranger_is_named(store: StoreFolder) -> None:
    """Those that are there are written all the same."""
    code, out, err = store.run("export", "c", "a", "nobody")
    assert code == 1
    assert "nobody" in err
    assert {json.loads(line).get("p") for line in out.splitlines()} == {None, "a", "c"}


def test_an_import_brings_all_of_it_and_may_be_repeated(
    store: StoreFolder, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With projections that are right; what is exported from there is the same file."""
    other = _other(store, monkeypatch)
    assert other.run("import", str(file)) == (0, "", "3 imported, 0 same, 0 refused\n")
    assert other.run("replay", "--all") == (0, "", "3 processes, 21 events: 0 differ\n")
    assert other.run("import", str(file)) == (0, "", "0 imported, 3 same, 0 refused\n")
    assert other.run("export")[1] == file.read_text()


def test_an_import_goes_on_behind_what_is_there(
    store: StoreFolder, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process that is there in part, and of a file that is broken off, all that is whole is taken."""
    other = _other(store, monkeypatch)
    broken = file.with_name("broken.jsonl")
    broken.write_text("\n".join(file.read_text().splitlines()[:8]) + "\n")
    code, _, err = other.run("import", str(broken))
    assert code == 1
    assert "broke off" in err
    assert other.run("import", str(file))[2].endswith("0 refused\n")
    assert other.run("export")[1] == file.read_text()


def test_another_history_of_a_process_is_refused_by_event_and_field(store: StoreFolder, file: Path) -> None:
    """The others are taken."""
    lines = file.read_text().splitlines()
    changed = json.loads(lines[8])
    assert changed["p"] == "b"
    changed["events"][0]["output"] = '{"room":8}'
    lines[8] = json.dumps(changed)
    file.write_text("\n".join(lines))
    code, out, err = store.run("import", str(file))
    assert (code, err) == (1, "0 imported, 2 same, 1 refused\n")
    assert out.splitlines()[0] == "b refused"
    assert out.splitlines()[1].startswith("  event 4, field events[0].output: the store has another")


@pytest.mark.parametrize("cut", range(0, 15, 2))
def test_an_export_that_broke_off_is_resumed(store: StoreFolder, file: Path, cut: int) -> None:
    """Wherever it ended, also in the middle of a line, the file is the same in the end."""
    whole = file.read_text()
    lines = whole.splitlines(keepends=True)
    file.write_text("".join(lines[:cut]) + (lines[cut][:20] if cut else ""))
    code, _, err = store.run("export", "--to", str(file), "--resume")
    assert (code, err) == (0, "")
    assert file.read_text() == whole
    assert store.run("export", "--to", str(file), "--resume")[0] == 1


def test_a_file_takes_the_place_of_a_server(store: StoreFolder, file: Path) -> None:
    """One process is named where there are several."""
    shown = store.json("show", str(file))
    assert [(one["process_id"], one["status"]) for one in shown] == [(name, "completed") for name in IDS]
    (process,) = store.json("show", str(file), "--process", "b")
    assert (process["process_id"], process["version"], process["result"]) == ("b", 7, None)
    (earlier,) = store.json("state", str(file), "--at", "4", "--process", "b")
    assert (earlier["status"], earlier["version"]) == ("started", 4)
    patch = store.json("diff", str(file), "4", "7", "--process", "b")
    assert {"op": "replace", "path": "/status", "value": "completed"} in patch
    events = store.json("events", str(file), "--process", "b", "--after", "5")
    assert [entry["type"] for entry in events] == ["step_completed", "completed"]
    assert store.run("replay", str(file)) == (0, "", "3 processes, 21 events: 0 differ\n")
    for command in (("state", "--at", "1"), ("diff", "1", "2"), ("events",)):
        code, _, err = store.run(command[0], str(file), *command[1:])
        assert (code, "--process" in err) == (2, True)
    assert store.run("show", str(file), "--process", "z")[0] == 3
    assert store.run("state", str(file), "--at", "99", "--process", "b")[0] == 3


def test_a_file_of_one_process_needs_no_name(store: StoreFolder, tmp_path: Path) -> None:
    """As a person gets it who is asked to look at it."""
    path = tmp_path / "one.jsonl"
    store.run("export", "b", "--to", str(path))
    assert store.json("show", str(path))[0]["process_id"] == "b"
    assert store.json("state", str(path), "--at", "1")[0]["version"] == 1


def test_a_process_whose_log_is_damaged_is_left_out_and_named(store: StoreFolder) -> None:
    """By event; as is one whose definition is gone."""
    store.changes("DELETE FROM events WHERE process_id = 'b' AND first = 2")
    code, out, err = store.run("export")
    assert code == 1
    assert "process b can't be read at event 2" in err
    assert {json.loads(line).get("p") for line in out.splitlines()} == {None, "a", "c"}
    store.changes("DELETE FROM definitions")
    code, out, err = store.run("export", "a")
    assert (code, definition().hash in err) == (1, True)


def test_a_definition_that_was_changed_is_not_carried_on(store: StoreFolder) -> None:
    """Whoever imports the file would be refused at its line, with all processes behind it."""
    store.changes("UPDATE definitions SET text = replace(text, 'hotel', 'motel')")
    code, out, err = store.run("export")
    assert code == 1
    assert "was changed where it is stored" in err
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["export", "end"]


def test_two_exports_do_not_write_one_file(store: StoreFolder, file: Path) -> None:
    """The second says so, and leaves the file as it is, also where it was to go on with it."""
    file.write_text("\n".join(file.read_text().splitlines()[:5]))
    before = file.read_text()
    with file.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for more in ((), ("--resume",)):
            code, _, err = store.run("export", "--to", str(file), *more)
            assert (code, "another export" in err) == (1, True)
    assert file.read_text() == before


def test_a_full_disk_is_said(store: StoreFolder) -> None:
    """For the file, and for all that goes to stdout; there is no traceback, and no complaint at the end."""
    code, _, err = store.run("export", "--to", "/dev/full")
    assert (code, err) == (1, "saga: /dev/full can't be written: No space left on device\n")
    for command in (("export",), ("replay", "--all", "--output", "json"), ("replay", "a")):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "saga", *command],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert "can't be written: No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_an_import_reads_a_pipe(store: StoreFolder, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As stdin, or by a name, as `<(zcat FILE)` gives one."""
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    other = _other(store, monkeypatch)
    writing = threading.Thread(target=lambda: pipe.write_text(file.read_text()))
    writing.start()
    assert other.run("import", str(pipe)) == (0, "", "3 imported, 0 same, 0 refused\n")
    writing.join()
    assert other.run("show", str(pipe))[0] == 2
    for content, code, words in (
        (file.read_bytes(), 0, "3 same"),
        (gzip.compress(file.read_bytes()), 1, "stdin, line 1: is no text in UTF-8 (if it is compressed"),
        (b"", 1, "stdin, line 0: the end is missing"),
    ):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(content)))
        found, _, err = other.run("import", "-")
        assert (found, words in err) == (code, True), err


def test_a_file_whose_processes_are_mixed_is_told(store: StoreFolder, file: Path) -> None:
    """None of them is whole there, and no count would be right."""
    lines = file.read_text().splitlines(keepends=True)
    lines[3], lines[7] = lines[7], lines[3]
    file.write_text("".join(lines))
    code, out, _ = store.run("replay", str(file))
    assert code == 1
    assert "unreadable" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("export", "--resume"), 2, "--to"),
        (("export", "--to", "/"), 1, "can't be written: Is a directory"),
        (("export", "--to", "/", "--resume"), 1, "can't be written: Is a directory"),
        (("import", "/"), 2, "is no file"),
        (("import", "none.jsonl"), 3, "no file"),
        (("export", "--to", "/nowhere/x.jsonl"), 1, "can't be written"),
    ],
)
def test_wrong_usage_has_its_code(
    store: StoreFolder, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """And says what to do."""
    found, _, err = store.run(*arguments)
    assert (found, words in err) == (code, True)
