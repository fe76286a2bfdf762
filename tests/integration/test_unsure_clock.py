"""A coordinator that loses track of the time while it hands on news: trouble that passes, as any other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from saga.errors import NotReady
from saga.ports.bus import APP_ID
from tests.integration.coordinator_world import ID, START, World
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOCKED = """
process_type: two_steps
timeout: 30
locks: [parameters.key]
steps:
- {name: one, service: first, action: do, compensation: undo}
"""


class _Unsure:
    """Know the time only every other time that it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> int:
        self.asked += 1
        if self.asked % 2:
            raise NotReady("the time is not known")
        return START

    async def sleep_until(self, at: int) -> None:
        del at


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


async def test_news_of_a_lock_waits_until_the_time_is_known(world: World) -> None:
    """The message is handled in one go: no defect is counted, and nothing is parked."""
    member = await world.member(LOCKED)
    member.handler._parts.locks._clock = _Unsure()
    await member.consume()
    await world.put(
        "process.start", {"process_type": "two_steps", "parameters": {"key": "k"}, "process_id": ID}
    )

    async def has_begun() -> bool:
        return (await world.events())[-1:] == ["step_started"]

    await eventually(has_begun, what="the first step")
    assert "defect" not in member.watch.counts
    assert world.dead_letters() == []


async def test_a_parent_hears_that_its_child_cannot_start_once_the_time_is_known(world: World) -> None:
    """The child's parameters don't suit its type: its refusal is sent, and nothing is parked."""
    strict = LOCKED.replace("timeout: 30", "parameters: {required: [key]}")
    member = await world.member(strict)
    known = member.catalog.current("two_steps")
    assert known is not None
    member.worker._clock = _Unsure()
    await member.consume()
    body = {
        "process_type": "two_steps", "parameters": {}, "process_id": ID, "definition": known.hash,
        "parent": f"{ID}.a.a1", "root_id": ID, "children": {},
    }  # fmt: skip
    await world.put("process.start", json.dumps(body), app_id=APP_ID)
    await eventually(lambda: member.bus.took("step.failed") == [f"{ID}.a.a1.refused"], what="a refusal")
    assert "defect" not in member.watch.counts
