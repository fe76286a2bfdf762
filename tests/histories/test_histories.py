"""Today's code decides on each recorded history as the version did that recorded it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from saga.process.codec import EVENT_NAMES, event_name
from saga.replay.lines import ExportedHistories
from saga.replay.verifying import Verification
from tests.histories.record import FOLDER
from tests.simulation.plan import NOT_SIMULATED

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(FOLDER.glob("*.jsonl"))


def histories_of(file: Path) -> ExportedHistories:
    """Read a file of recorded histories."""
    return ExportedHistories(file.read_text(encoding="utf-8").rstrip("\n").split("\n"), file.name)


def test_there_is_a_history_of_this_version() -> None:
    """Or nothing below would be tested."""
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_decision_is_what_it_was(file: Path) -> None:
    """One that differs would take running processes another way after an upgrade."""

    async def verify() -> list[object]:
        histories = histories_of(file)
        verification = Verification(histories)
        found = [await verification.verify(history) async for history in histories.every()]
        return [one.document() for one in found if one is not None and not one.is_well]

    assert asyncio.run(verify()) == []


def test_the_latest_file_meets_every_event() -> None:
    """A word of the language that stands in no history is not watched."""

    async def names() -> set[str]:
        return {
            event_name(event)
            async for history in histories_of(FILES[-1]).every()
            for transition in history.whole()
            for event in transition.events
        }

    assert asyncio.run(names()) == set(EVENT_NAMES) - NOT_SIMULATED
