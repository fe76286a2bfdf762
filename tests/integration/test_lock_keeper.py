"""Locks over the embedded store: what a crash left behind is released, a circle of waiting never closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.ports.locks import LockQueue
from tests.integration.coordinator_world import ID, START, Member, World, reply, start, wake
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.messages.json_text import JsonObject

LOCKED = """
process_type: two_steps
timeout: 30
locks: [parameters.key, parameters.more]
steps:
- {name: one, service: first, action: do, compensation: undo}
"""
OTHER = "0199a1b2-0000-7000-8000-000000000002"
KEYS: JsonObject = {"key": "b", "more": "a"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


async def _member(world: World) -> Member:
    member = await world.member(LOCKED)
    await member.consume()
    return member


async def _comes_to(world: World, process_id: str, event: str) -> None:
    async def is_there() -> bool:
        return (await world.events(process_id))[-1] == event

    await eventually(is_there, what=event)


async def _take(world: World, key: str, root_id: str) -> str:
    return await world.store.locks.take(
        key, root_id=root_id, process_id=root_id, queue=LockQueue.WAIT, at=START
    )


async def test_the_keys_are_taken_in_sorted_order_before_the_first_step(world: World) -> None:
    """One by one, each an event; the first command comes with the last of them."""
    member = await _member(world)
    await member.handle(start(parameters=KEYS))
    await _comes_to(world, ID, "step_started")
    assert await world.events() == [
        "accepted", "started", "locks_wanted", "lock_acquired", "lock_acquired", "step_started",
    ]  # fmt: skip
    log = await world.store.log.read(ID)
    taken = [getattr(event, "key", None) for transition in log for event in transition.events]
    assert [key for key in taken if key] == ["a", "b"]


async def test_a_lock_is_handed_on_when_its_holder_has_ended(world: World) -> None:
    """The second waits for the first, and begins when that one completed; in the end nothing is held."""
    member = await _member(world)
    await member.handle(start(parameters=KEYS))
    await _comes_to(world, ID, "step_started")
    await member.handle(start(OTHER, parameters=KEYS))
    await _comes_to(world, OTHER, "lock_waiting")
    await member.handle(reply("completed", "one.a1", output={}))
    await _comes_to(world, OTHER, "step_started")
    await member.handle(reply("completed", "one.a1", process_id=OTHER, output={}))
    await _comes_to(world, OTHER, "completed")
    await eventually(lambda: world.rows("SELECT count(*) FROM locks") == [(0,)], what="all locks free")


async def test_what_a_holder_left_behind_is_released_by_whoever_waits(world: World) -> None:
    """The news of the release was lost with a server; the timer of the one that waits finds the holder ended."""
    member = await _member(world)
    await member.handle(start(parameters=KEYS))
    await _comes_to(world, ID, "step_started")
    await member.handle(reply("completed", "one.a1", output={}))
    await _comes_to(world, ID, "completed")
    for key in ("a", "b"):  # as if it had died between its end and the release
        assert await _take(world, key, ID) == ID
    await member.handle(start(OTHER, parameters=KEYS))
    await _comes_to(world, OTHER, "step_started")


async def test_a_lost_word_of_a_lock_is_made_good_by_the_timer(world: World) -> None:
    """The holder released the key and its news never came: the next look takes it."""
    member = await _member(world)
    assert await _take(world, "a", "somebody") == "somebody"
    await member.handle(start(parameters=KEYS))
    await _comes_to(world, ID, "lock_waiting")
    await world.store.locks.withdraw("a", process_id=ID)
    await world.store.locks.release_all("somebody")
    version = await world.version()
    world.clock.move(10_000)
    await member.handle(wake(version, START + 10_000))
    await _comes_to(world, ID, "step_started")


async def test_who_would_close_a_circle_of_waiting_turns_back(world: World) -> None:
    """The holder of the key waits for a key of this one's: one of the two must not wait."""
    member = await _member(world)
    assert await _take(world, "b", OTHER) == OTHER
    assert await _take(world, "a", ID) == ID
    assert await _take(world, "a", OTHER) == ID
    await member.handle(start(parameters=KEYS))
    await _comes_to(world, ID, "compensated")
    assert (await world.events())[-3:] == ["turned_back", "compensation_planned", "compensated"]

    async def is_handed_on() -> bool:
        return await _take(world, "a", OTHER) == OTHER

    await eventually(is_handed_on, what="what it held is handed on")
