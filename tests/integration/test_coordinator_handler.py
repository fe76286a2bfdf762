"""The handler over a real file: what two coordinators, duplicates, crashes and damaged logs must not do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.admitted import Rejected
from saga.errors import UnreadableLog
from tests.integration.coordinator_world import ID, World, reply, start, wake
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FIRST_FIVE = ["accepted", "started", "step_started", "step_completed", "step_started"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


async def test_a_process_goes_from_its_start_to_its_end(world: World) -> None:
    """Each message is one transition; the last one projects the end."""
    one = await world.member()
    for message in (start(), reply("completed", "one.a1"), reply("completed", "two.a1", output={"x": 1})):
        assert await one.handle(message) is not None

    assert await world.events() == [*FIRST_FIVE, "step_completed", "completed"]
    assert await world.version() == 7
    assert one.bus.took("step.first.do") == [f"{ID}.one.a1"]
    assert one.bus.took("process.two_steps.completed") == [f"{ID}:7"]


async def test_a_reply_that_looks_like_a_duplicate_on_a_stale_state_is_not_lost(world: World) -> None:
    """One coordinator remembers the first step as running; the other moved on, so its memory must not rule."""
    one, other = await world.member(), await world.member()
    await one.handle(start())
    await other.handle(reply("failed", "one.a1", error={"code": "busy"}))
    await other.handle(wake(await world.version(), world.clock.now() + 5_000))  # not due yet
    world.clock.move(5_000)
    await other.handle(wake(await world.version(), world.clock.now()))

    await one.handle(reply("completed", "one.a2", output="second"))

    assert (await world.events())[-2:] == ["step_completed", "step_started"]
    assert one.bus.took("step.second.do") == [f"{ID}.two.a1"]


async def test_a_late_success_is_ruled_on_the_state_of_the_log(world: World) -> None:
    """On the stale state it would complete the step a second time; the append refuses, and it is observed."""
    one, other = await world.member(), await world.member()
    await one.handle(start())
    await other.handle(reply("failed", "one.a1", error={"code": "busy"}))

    await one.handle(reply("completed", "one.a1", output="late"))

    assert "conflict" in one.watch.counts
    assert (await world.events())[-2:] == ["step_completed", "step_started"]


async def test_progress_of_an_attempt_that_a_stale_state_does_not_know_is_taken(world: World) -> None:
    """Another coordinator sent the second attempt; its progress must move the time-out all the same."""
    one, other = await world.member(), await world.member()
    await one.handle(start())
    await other.handle(reply("failed", "one.a1", error={"code": "busy"}))
    world.clock.move(5_000)
    await other.handle(wake(await world.version(), world.clock.now()))
    world.clock.move(20_000)

    assert await one.handle(reply("progress", "one.a2", percent=50)) is not None

    assert (await world.events())[-1] == "step_progressed"


async def test_a_duplicate_appends_nothing_and_publishes_what_is_outstanding_again(world: World) -> None:
    """The writer died after its append: the redelivery brings the command on its way, the very same bytes."""
    one = await world.member()
    await one.handle(start())
    await one.handle(reply("completed", "one.a1"))
    world.rows("UPDATE projections SET version = 3, state_format = 0")
    again = await world.member()

    await again.handle(reply("completed", "one.a1"))

    assert await world.events() == FIRST_FIVE
    assert again.bus.took("step.second.do") == [f"{ID}.two.a1"]
    assert again.watch.counts == ["duplicate"]


async def test_a_duplicate_publishes_nothing_that_was_answered(world: World) -> None:
    """Or duplicates would echo through the process."""
    one = await world.member()
    for message in (start(), reply("completed", "one.a1"), reply("completed", "two.a1")):
        await one.handle(message)
    one.bus.published.clear()

    await one.handle(reply("completed", "one.a1"))
    await one.handle(start())

    assert one.bus.took("step.first.do") + one.bus.took("step.second.do") == []
    assert len(await world.events()) == 7


async def test_the_second_delivery_of_a_start_is_no_second_process(world: World) -> None:
    """Also for a coordinator that never heard of it, which guesses that it is new."""
    one, other = await world.member(), await world.member()
    await one.handle(start())

    await other.handle(start())

    assert "conflict" in other.watch.counts
    assert await world.events() == FIRST_FIVE[:3]
    assert other.bus.took("step.first.do") == []


async def test_whoever_finds_a_tail_publishes_and_projects_it_first(world: World) -> None:
    """The writer died between its append and its publication; the next message of any kind mends that."""
    writer = await world.member()
    await writer.handle(start())
    await writer.handle(reply("completed", "one.a1"))
    world.rows("UPDATE projections SET version = 3, wake_at = NULL, state_format = 0")

    finder = await world.member()
    await finder.handle(wake(99, world.clock.now()))

    assert finder.bus.took("step.second.do") == [f"{ID}.two.a1"]
    assert finder.bus.took("step.first.do") == []
    assert await world.version() == 5


async def test_a_tail_is_finished_also_by_a_message_that_is_refused_then(world: World) -> None:
    """Whatever brings somebody to look: the process must not wait for the next good message."""
    writer = await world.member()
    await writer.handle(start())
    await writer.handle(reply("completed", "one.a1"))
    world.rows("UPDATE projections SET version = 3, wake_at = NULL, state_format = 0")

    finder = await world.member()
    with pytest.raises(Rejected, match="unknown-command"):
        await finder.handle(reply("completed", "one.a9"))

    assert finder.bus.took("step.second.do") == [f"{ID}.two.a1"]
    assert await world.version() == 5
    assert world.rows("SELECT wake_at FROM projections") == [(world.clock.now() + 30_000,)]


async def test_a_tail_without_any_projection_is_found_too(world: World) -> None:
    """The projection of a new process may be what is missing; nothing but the log is needed."""
    writer = await world.member()
    await writer.handle(start())
    world.rows("DELETE FROM projections")

    finder = await world.member()
    await finder.handle(start())

    assert finder.bus.took("step.first.do") == [f"{ID}.one.a1"]
    assert finder.bus.took("process.two_steps.started")[0] == f"{ID}:2"
    assert await world.version() == 3


async def test_the_end_of_a_process_is_told_and_projected_by_whoever_finds_it(world: World) -> None:
    """An ended process must not look open because its last writer died, even if only a duplicate comes by."""
    writer = await world.member()
    for message in (start(), reply("completed", "one.a1"), reply("completed", "two.a1")):
        await writer.handle(message)
    world.rows("UPDATE projections SET version = 5, status = 'started', state_format = 0")

    finder = await world.member()
    await finder.handle(reply("completed", "two.a1"))

    assert f"{ID}:7" in finder.bus.took("process.two_steps.completed")
    assert world.rows("SELECT version, status FROM projections") == [(7, "completed")]


@pytest.mark.parametrize(
    "change", ["state_format = 99", "state = '{}'", "state = 'nonsense'", "state = '[]'"]
)
async def test_a_snapshot_of_another_format_only_costs_a_fold(world: World, change: str) -> None:
    """The log is the truth; a projection that nobody can read is folded anew."""
    writer = await world.member()
    await writer.handle(start())
    world.rows(f"UPDATE projections SET {change}")  # noqa: S608 - written in this test

    reader = await world.member()
    await reader.handle(reply("completed", "one.a1"))

    assert await world.events() == FIRST_FIVE
    assert await world.version() == 5


async def test_a_projection_ahead_of_its_log_is_an_unreadable_log(world: World) -> None:
    """Events were lost; going on would decide on a guess."""
    writer = await world.member()
    await writer.handle(start())
    await writer.handle(reply("completed", "one.a1"))
    world.rows("DELETE FROM events WHERE first > 1")

    reader = await world.member()
    world.rows("UPDATE projections SET state_format = 0")
    with pytest.raises(UnreadableLog, match="events are lost"):
        await reader.handle(reply("completed", "two.a1"))


async def test_a_command_that_no_queue_takes_becomes_a_retryable_failure(world: World) -> None:
    """Nobody declared the queue of the service: the attempt fails as unroutable, and is tried again later."""
    text = "process_type: lost\nsteps:\n- {name: one, service: nobody, action: do, compensation: none}"
    one = await world.member(text)
    consuming = await one.consume()

    await world.put("process.start", {"process_type": "lost", "parameters": {}, "process_id": ID})

    async def has_failed() -> bool:
        return (await world.events())[-2:] == ["step_failed", "retry_scheduled"]

    await eventually(has_failed)
    await world.quiet()
    await consuming.stop()

    assert "unroutable" in one.watch.counts
    failed = (await world.store.log.read(ID))[-1].events[0]
    assert '"code":"unroutable"' in repr(failed)


async def test_two_coordinators_that_race_leave_one_log(world: World) -> None:
    """A conflict is decided again on what the winner wrote: nothing is lost, nothing stands twice."""
    text = "process_type: wide\nsteps:\n" + "\n".join(
        f"- {{name: s{n}, service: first, action: do, compensation: none, after: []}}" for n in range(20)
    )
    members = [await world.member(text), await world.member(text)]
    consuming = [await member.consume() for member in members]
    await world.put("process.start", {"process_type": "wide", "parameters": {}, "process_id": ID})
    await eventually(lambda: world.rows("SELECT 1 FROM projections"))
    for n in range(20):
        for _ in range(2):
            await world.put("step.completed", {"command_id": f"{ID}.s{n}.a1"})
    await world.quiet()
    for consumption in consuming:
        await consumption.stop()

    events = await world.events()
    assert events.count("step_completed") == 20
    assert events[-1] == "completed"
    assert await world.version() == len(events)


async def test_a_command_published_again_is_the_same_message(world: World) -> None:
    """A second publication of a command is the same bytes under the same id."""
    one = await world.member()
    await one.handle(start())
    (first,) = [sent for sent in one.bus.published if sent.routing_key == "step.first.do"]
    world.rows("DELETE FROM projections")
    again = await world.member()
    await again.handle(start())
    (second,) = [sent for sent in again.bus.published if sent.routing_key == "step.first.do"]

    assert (first.body, first.message_id) == (second.body, second.message_id)
    assert json.loads(first.body)["command_id"] == first.message_id


SIDE_BY_SIDE = "process_type: many\nsteps:\n" + "".join(
    f"- {{name: s{number}, service: first, action: do, compensation: none, after: []}}\n"
    for number in range(20)
)


async def test_replies_that_wait_together_are_one_append(world: World) -> None:
    """The first has its turn alone; the others, which came meanwhile, are ruled on in order; one comes twice."""
    one = await world.member(SIDE_BY_SIDE)
    await one.handle(start(process_type="many"))
    replies = [reply("completed", f"s{number}.a1") for number in range(20)]
    settled = await asyncio.gather(*(one.handle(message) for message in [*replies, replies[3]]))

    assert all(each is not None for each in settled)
    events = await world.events()
    assert events[22:] == ["step_completed"] * 20 + ["completed"]
    assert world.rows("SELECT first FROM events ORDER BY first") == [(1,), (23,), (24,)]
    assert await world.version() == 43
    assert set(one.bus.took("process.many.completed")) == {f"{ID}:43"}


async def test_replies_that_wait_together_are_ruled_on_anew_where_another_was_quicker(world: World) -> None:
    """Nothing of what was ruled on the stale state counts."""
    one, other = await world.member(SIDE_BY_SIDE), await world.member(SIDE_BY_SIDE)
    await one.handle(start(process_type="many"))
    await other.handle(reply("completed", "s19.a1"))
    replies = [reply("completed", f"s{number}.a1") for number in range(19)]
    await asyncio.gather(*(one.handle(message) for message in replies))

    assert (await world.events())[22:] == ["step_completed"] * 20 + ["completed"]
    assert await world.version() == 43
