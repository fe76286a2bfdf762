"""The bus of the embedded store, where it has more to show than the ports' contract asks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.embedded.lines import WINDOW_BYTES, WINDOW_COUNT
from adapters.embedded.routing import COORDINATOR
from adapters.embedded.store import EmbeddedStore
from saga.errors import BusUnavailable
from saga.messages.command import Command
from saga.ports.bus import APP_ID
from saga.ports.participants import NoReply, ReplyMessage
from tests.support.embedded import (
    SERVICE,
    Inbox,
    command,
    command_message,
    first_transition,
    rows,
    start_message,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from saga.ports.bus import Delivery

BACKLOG = 50_000


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[EmbeddedStore]:
    store = await EmbeddedStore.open(folder)
    try:
        await store.bus.declare([SERVICE])
        yield store
    finally:
        await store.close()


async def _publish(store: EmbeddedStore, numbers: range, *, body_bytes: int = 0) -> None:
    for start in range(numbers.start, numbers.stop, 1000):
        some = range(start, min(start + 1000, numbers.stop))
        await asyncio.gather(
            *(store.bus.publish(start_message(f"p{n}", body=b"%08d" % n + bytes(body_bytes))) for n in some)
        )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def test_a_backlog_of_50_000_messages_stays_in_the_file(tmp_path: Path) -> None:
    """A hundred megabytes wait, a window of them is in memory, and all come out in order, once each."""
    async with _opened(tmp_path) as store:
        before = _resident_bytes()
        numbers: list[int] = []
        in_memory: list[int] = []

        async def take(delivery: Delivery) -> None:
            numbers.append(int(delivery.body[:8]))
            in_memory.append(store._switch.waiting_in_memory(COORDINATOR))
            await delivery.acknowledge()

        await _publish(store, range(BACKLOG), body_bytes=2000)
        await store.bus.consume(take, prefetch=200)
        await eventually(lambda: len(numbers) == BACKLOG, within_s=60)

        assert numbers == list(range(BACKLOG))
        assert max(in_memory) <= 2 * WINDOW_COUNT
        assert _resident_bytes() - before < 60 * 1024 * 1024
        await eventually(lambda: not rows(tmp_path, "SELECT 1 FROM messages LIMIT 1"))


async def test_large_bodies_shorten_the_window(tmp_path: Path) -> None:
    """The window is bounded in bytes as well as in messages."""
    async with _opened(tmp_path) as store:
        await _publish(store, range(30), body_bytes=1024 * 1024)
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=1)
        await eventually(lambda: inbox.has(1))

        assert store._switch.waiting_in_memory(COORDINATOR) <= WINDOW_BYTES // (1024 * 1024)
        for number in range(30):
            await eventually(partial(inbox.has, number + 1))
            await inbox.deliveries[number].acknowledge()
        assert [int(body[:8]) for body in inbox.bodies] == list(range(30))


async def test_what_was_in_hand_is_in_line_again_after_a_restart(tmp_path: Path) -> None:
    """Unacknowledged messages come first, in their old order, before those that nobody had yet."""
    async with _opened(tmp_path) as store:
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=3)
        await _publish(store, range(5))
        await eventually(lambda: inbox.has(3))
        await inbox.deliveries[1].acknowledge()
        await eventually(lambda: inbox.has(4))

    async with _opened(tmp_path) as store:
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=10)
        await eventually(lambda: inbox.has(4))

        assert [int(body) for body in inbox.bodies] == [0, 2, 3, 4]


async def test_what_a_stopped_consumer_leaves_goes_to_the_front(tmp_path: Path) -> None:
    """Another consumer of the same process gets it next, before what came later."""
    async with _opened(tmp_path) as store:
        first = Inbox()
        consuming = await store.bus.consume(first, prefetch=2)
        await _publish(store, range(4))
        await eventually(lambda: first.has(2))
        await consuming.stop()

        second = Inbox()
        await store.further_bus().consume(second, prefetch=10)
        await eventually(lambda: second.has(4))

        assert [int(body) for body in second.bodies] == [0, 1, 2, 3]


async def test_a_late_acknowledgement_still_takes_the_message_off(tmp_path: Path) -> None:
    """Also after the consumer was stopped and the message went back in line."""
    async with _opened(tmp_path) as store:
        inbox = Inbox()
        consuming = await store.bus.consume(inbox, prefetch=2)
        await _publish(store, range(2))
        await eventually(lambda: inbox.has(2))
        await consuming.stop()
        await inbox.deliveries[0].acknowledge()

        second = Inbox()
        await store.bus.consume(second, prefetch=10)
        await eventually(lambda: second.has(1))

        assert [int(body) for body in second.bodies] == [1]
        assert rows(tmp_path, "SELECT count(*) FROM messages") == [(1,)]


async def test_consumers_of_one_queue_are_served_in_turn(tmp_path: Path) -> None:
    """Two coordinators in one process share the messages evenly."""
    async with _opened(tmp_path) as store:
        inboxes = Inbox(), Inbox()
        await store.bus.consume(inboxes[0], prefetch=100)
        await store.further_bus().consume(inboxes[1], prefetch=100)
        await _publish(store, range(20))
        await eventually(lambda: sum(len(inbox.deliveries) for inbox in inboxes) == 20)

        assert [len(inbox.deliveries) for inbox in inboxes] == [10, 10]


async def test_a_reply_and_the_end_of_its_command_are_one_transaction(tmp_path: Path) -> None:
    """At no moment are both in the file, or neither of them."""
    async with _opened(tmp_path) as store:
        seen: list[list[tuple[object, ...]]] = []
        answer = asyncio.Event()

        async def carry_out(_: bytes) -> ReplyMessage:
            await answer.wait()
            return ReplyMessage("step.completed", b"{}", "r1", "p1")

        await store.participants.serve(SERVICE, carry_out, concurrency=1)
        await store.bus.publish(command_message(command("p1"), "p1"))
        answer.set()

        def looked() -> bool:
            seen.append(rows(tmp_path, "SELECT queue FROM messages"))
            return seen[-1] == [(COORDINATOR,)]

        await eventually(looked)
        assert all(len(state) == 1 for state in seen)


async def test_a_command_that_its_participant_can_not_answer_is_a_dead_letter(tmp_path: Path) -> None:
    """It is kept with its body, and holds up no other command."""
    async with _opened(tmp_path) as store:

        async def carry_out(_: bytes) -> NoReply:
            return NoReply.UNANSWERABLE

        await store.participants.serve(SERVICE, carry_out, concurrency=1)
        await store.bus.publish(command_message(command("p1"), "p1"))
        await eventually(lambda: not rows(tmp_path, "SELECT 1 FROM messages"))

        kept = rows(tmp_path, "SELECT reason, body FROM dead_letters")
        assert kept == [("unanswerable", command("p1").body.encode())]


async def test_closing_participants_lets_them_finish(tmp_path: Path) -> None:
    """The reply of a command in hand is in line when the transport is closed."""
    async with _opened(tmp_path) as store:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def carry_out(_: bytes) -> ReplyMessage:
            began.set()
            await go_on.wait()
            return ReplyMessage("step.completed", b"{}", "r1", "p1")

        await store.participants.serve(SERVICE, carry_out, concurrency=1)
        await store.bus.publish(command_message(command("p1"), "p1"))
        await began.wait()
        closing = asyncio.create_task(store.participants.close())
        await asyncio.sleep(0)
        go_on.set()
        await closing

        assert rows(tmp_path, "SELECT queue FROM messages") == [(COORDINATOR,)]


async def test_a_dead_letter_is_kept_whole_with_its_reason(tmp_path: Path) -> None:
    """Twice the same one is kept once: a crash between parking and acknowledging must not double it."""
    async with _opened(tmp_path) as store:
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=1)
        await store.bus.publish(start_message("p1", body=b"\xff\x00 not JSON"))
        await eventually(lambda: inbox.has(1))
        for _ in range(2):
            await store.bus.dead_letter(inbox.deliveries[0], reason="malformed", detail="not UTF-8")
        await inbox.deliveries[0].acknowledge()

        kept = rows(tmp_path, "SELECT reason, detail, exchange, routing_key, body FROM dead_letters")
        assert kept == [("malformed", "not UTF-8", "saga.commands", "process.start", b"\xff\x00 not JSON")]
        assert rows(tmp_path, "SELECT position FROM messages") == []


async def test_an_answered_message_left_unacknowledged_makes_its_process_due(tmp_path: Path) -> None:
    """It can't come again, so when its consumer goes its process is looked at by the timers."""
    async with _opened(tmp_path) as store:
        inbox = Inbox()
        consuming = await store.bus.consume(inbox, prefetch=1)
        await store.bus.publish(start_message("p1"))
        await eventually(lambda: inbox.has(1))
        await store.log.append(first_transition("p1", tag=inbox.deliveries[0].tag))
        await consuming.stop()

        due = await store.projections.lease_due(before=100, leased_until=50, now=10, limit=10)
        assert [each.process_id for each in due] == ["p1"]


async def test_what_an_append_tells_another_process_comes_from_batuta(tmp_path: Path) -> None:
    """Of nobody else a process believes whose child it is, or that another was begun from it."""
    async with _opened(tmp_path) as store:
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=2)
        told = (Command("p1.a.a1", "process.start", "{}"), Command("rerun:p1", "process.forked", "{}"))
        await store.log.append(replace(first_transition("p1"), commands=told))
        await eventually(lambda: inbox.has(2))
        assert [delivery.app_id for delivery in inbox.deliveries] == [APP_ID, APP_ID]


async def test_a_closed_bus_says_so(tmp_path: Path) -> None:
    """Publishing on it raises an error of our family; the store's other users are not concerned."""
    async with _opened(tmp_path) as store:
        further = store.further_bus()
        await further.close()

        with pytest.raises(BusUnavailable, match="closed"):
            await further.publish(start_message("p1"))
        await store.bus.publish(start_message("p1"))
