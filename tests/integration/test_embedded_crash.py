"""The embedded store under kill -9: a real subprocess, killed in the middle of its writes."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from adapters.embedded.store import EmbeddedStore
from saga.process.transition import Transition
from tests.support.embedded import rows

COUNT = 400
ROOT = Path(__file__).resolve().parents[2]


def _run_until(folder: Path, lines_max: int | None) -> list[str]:
    """Run the server; kill it when it has printed so many lines. Gives the lines."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.embedded_child", str(folder), str(COUNT)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert child.stdout is not None
    with child.stdout as out:
        for line in out:
            # Complete lines only: the last one may have been cut by the kill.
            lines.append(line.strip() if line.endswith("\n") else "")
            if lines_max is not None and len(lines) == lines_max:
                child.kill()
    child.wait(timeout=30)
    return [line for line in lines if line]


@pytest.mark.faults
async def test_kill_9_in_the_middle_of_writes_loses_nothing_and_accepts_nothing_twice(tmp_path: Path) -> None:
    """After five kills every process has its two events once, its projection, and no message is left."""
    confirmed: Counter[str] = Counter()
    for lines in (1, 40, 150, 90, 7):
        confirmed.update(_run_until(tmp_path, lines))
    last = _run_until(tmp_path, None)
    assert last[-1] == "done"
    confirmed.update(last[:-1])

    assert [key for key, times in confirmed.items() if times > 1] == []
    store = await EmbeddedStore.open(tmp_path)
    try:
        logs = [
            (each.process_id, each.first)
            async for each in store.log.read_all()
            if isinstance(each, Transition)
        ]
        versions = {f"p{n}": await store.projections.load(f"p{n}") for n in range(COUNT)}
    finally:
        await store.close()
    assert sorted(logs) == sorted((f"p{n}", first) for n in range(COUNT) for first in (1, 2))
    assert set(confirmed) <= {f"{first} {process_id}" for process_id, first in logs}
    assert all(found is not None and found.version == 2 for found in versions.values())
    assert rows(tmp_path, "SELECT position FROM messages") == []
    assert rows(tmp_path, "SELECT * FROM unprojected") == []


def test_a_killed_server_leaves_no_lock_behind(tmp_path: Path) -> None:
    """The kernel ends the lock with its process, so the next server starts at once."""
    _run_until(tmp_path, 5)

    assert _run_until(tmp_path, None)[-1] == "done"
