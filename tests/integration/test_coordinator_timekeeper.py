"""The timekeeper over a real file, with a clock that only the test moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.timekeeper import HELD_AFTER_OUTAGE_MS, LEASE_MS, OVERDUE_MS
from saga.errors import NotReady
from saga.messages.wake import WakeCommand
from saga.process.timers import Wake, WakeReason
from tests.integration.coordinator_world import ID, START, Member, World, process_ids, reply, start
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DUE = START + 1_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


def wakes(member: Member) -> list[str]:
    """Give the identities of the wakes that a member published, without the common part."""
    return [identity.removeprefix("wake:") for identity in member.bus.took("process.wake")]


async def fire(member: Member) -> list[str]:
    """Fire what is due by now and give what was published."""
    member.bus.published.clear()
    await member.timekeeper._fire_due(member.timekeeper._clock.now())
    return wakes(member)


async def poll(member: Member) -> list[str]:
    """Take what is overdue in the store and give what was published."""
    member.bus.published.clear()
    await member.timekeeper._fire_overdue(member.timekeeper._clock.now())
    return wakes(member)


def timeout(at: int) -> Wake:
    """Make a timer of a step's time-out."""
    return Wake(at, WakeReason.TIMEOUT)


async def test_a_timer_fires_on_time_and_not_early(world: World) -> None:
    """Not a millisecond before its time by the store's clock, and once."""
    one = await world.member()
    one.timekeeper.set("p", 3, timeout(DUE))

    world.clock.move(999)
    assert await fire(one) == []
    world.clock.move(1)
    assert await fire(one) == [f"p:3:{DUE}"]
    world.clock.move(60_000)
    assert await fire(one) == []


async def test_timers_fire_in_the_order_of_their_times(world: World) -> None:
    """Whatever the order in which they were set."""
    one = await world.member()
    for name, at in (("c", 30), ("a", 10), ("b", 20)):
        one.timekeeper.set(name, 1, timeout(START + at))
    world.clock.move(20)

    assert await fire(one) == [f"a:1:{START + 10}", f"b:1:{START + 20}"]


async def test_a_replaced_timer_does_not_fire(world: World) -> None:
    """Only the one of the latest version does; taken away, none does."""
    one = await world.member()
    one.timekeeper.set("moved", 3, timeout(DUE))
    one.timekeeper.set("moved", 5, timeout(DUE + 500))
    one.timekeeper.set("ended", 3, timeout(DUE))
    one.timekeeper.set("ended", 4, None)

    world.clock.move(1_000)
    assert await fire(one) == []
    world.clock.move(500)
    assert await fire(one) == [f"moved:5:{DUE + 500}"]


async def test_a_timer_of_a_process_that_another_moved_on_does_not_fire(world: World) -> None:
    """The projection is newer than the timer: whoever wrote it set its own."""
    one, other = await world.member(), await world.member()
    await one.handle(start())
    await other.handle(reply("completed", "one.a1"))
    world.clock.move(30_000)

    assert await fire(one) == []
    assert await fire(other) == [f"{ID}:5:{START + 30_000}"]


async def test_the_loop_sleeps_until_the_next_timer_and_hears_of_an_earlier_one(world: World) -> None:
    """A timer set later for an earlier time wakes the loop in time."""
    one = await world.member()
    running = asyncio.ensure_future(one.timekeeper._fire_own())
    one.timekeeper.set("late", 1, timeout(START + 50_000))
    await asyncio.sleep(0)
    one.timekeeper.set("early", 1, timeout(DUE))
    world.clock.move(1_000)
    await eventually(lambda: wakes(one) == [f"early:1:{DUE}"])
    world.clock.move(49_000)
    await eventually(lambda: wakes(one)[1:] == [f"late:1:{START + 50_000}"])
    running.cancel()


async def test_a_clock_that_is_unsure_fires_nothing_and_loses_nothing(world: World) -> None:
    """While the offset is unknown no timer goes off; afterwards all do."""
    one = await world.member()
    unsure = True
    known = world.clock.now

    def now() -> int:
        if unsure:
            raise NotReady("the clock is unsure")
        return known()

    world.clock.now = now  # type: ignore[method-assign]  # the clock of this test is moved by hand
    one.timekeeper.set("p", 1, timeout(DUE))
    running = asyncio.ensure_future(one.timekeeper._fire_own())
    world.clock.move(1_000)
    await asyncio.sleep(0)
    unsure = False
    await eventually(lambda: wakes(one) == [f"p:1:{DUE}"])
    assert not running.done()
    running.cancel()


async def test_time_outs_wait_ten_seconds_after_an_outage_and_retries_do_not(world: World) -> None:
    """Replies that waited in the broker go first: an outage must not undo healthy work."""
    one = await world.member()
    one.timekeeper.set("slow", 3, timeout(DUE))
    one.timekeeper.set("again", 3, Wake(DUE, WakeReason.RETRY))
    world.clock.move(1_000)
    one.timekeeper._hold_timeouts()

    assert await fire(one) == [f"again:3:{DUE}"]
    world.clock.move(HELD_AFTER_OUTAGE_MS - 1)
    assert await fire(one) == []
    world.clock.move(1)
    assert [wake.rpartition(":")[0] for wake in await fire(one)] == ["slow:3"]


async def test_the_poller_holds_time_outs_after_an_outage_too(world: World) -> None:
    """What stands in the store is held like what is in memory, and fires when the hold is over."""
    one, other = await world.member(), await world.member()
    await one.handle(start())
    world.clock.move(30_000 + OVERDUE_MS + 1)
    other.timekeeper._hold_timeouts()

    assert await poll(other) == []
    world.clock.move(HELD_AFTER_OUTAGE_MS + LEASE_MS)
    assert await poll(other) == [f"{ID}:3:{START + 30_000}"]


async def test_the_bus_says_when_it_is_back(world: World) -> None:
    """The timekeeper asked it to: that is what begins the hold."""
    one = await world.member()
    one.timekeeper.set("slow", 3, timeout(DUE))
    world.clock.move(1_000)
    for callback in world.store._switch._returned:
        callback()

    assert await fire(one) == []


async def test_an_overdue_timer_is_leased_once_by_two_timekeepers(world: World) -> None:
    """Each is published by one of them; when its lease has ended and nothing came of it, again."""
    writer = await world.member()
    ids = process_ids(40)
    for process_id in ids:
        await writer.handle(start(process_id))
    one, other = await world.member(), await world.member()
    world.clock.move(30_000 + OVERDUE_MS)
    assert await poll(one) == []  # not yet overdue: its own coordinator fires it
    world.clock.move(1)

    first, second = await asyncio.gather(poll(one), poll(other))
    assert sorted(first + second) == [f"{process_id}:3:{START + 30_000}" for process_id in ids]
    assert await poll(one) == await poll(other) == []

    world.clock.move(LEASE_MS)
    assert len(await poll(other)) == 40


async def test_a_wake_times_the_attempt_out_and_its_duplicate_does_nothing(world: World) -> None:
    """From the timer to the retry: one road in, like every other message."""
    one = await world.member()
    await one.handle(start())
    consuming = await one.consume()
    world.clock.move(30_000)
    await fire(one)
    await world.quiet()
    await one.timekeeper._publish(_the_same_wake())
    await world.quiet()
    await consuming.stop()

    assert (await world.events())[3:] == ["step_timed_out", "retry_scheduled"]
    assert one.watch.counts.count("duplicate") == 1


async def test_a_process_that_was_accepted_and_never_published_is_started_by_its_timer(world: World) -> None:
    """The API died before the start message was out: nobody but the poller can find it."""
    one = await world.member()
    await one.handle(start())
    world.rows("UPDATE events SET document = json_remove(document, '$.events[2]', '$.events[1]')")
    world.rows("UPDATE events SET document = json_set(document, '$.commands', json('[]'))")
    world.rows(f"UPDATE projections SET version = 1, state_format = 0, wake_at = {START}, wake_for = 'start'")  # noqa: S608 - our own number
    finder = await world.member()
    world.clock.move(5_000)
    consuming = await finder.consume()
    await poll(finder)
    await world.quiet()
    await consuming.stop()

    assert await world.events() == ["accepted", "started", "step_started"]
    assert finder.bus.took("step.first.do") == [f"{ID}.one.a1"]


def _the_same_wake() -> WakeCommand:
    return WakeCommand(ID, 3, START + 30_000)
