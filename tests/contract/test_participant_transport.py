"""What every participants' transport must do, over RabbitMQ, without a broker and in memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from saga.ports.bus import QueueStanding
from saga.ports.participants import CARRIAGE, Carriage, NoReply, ReplyMessage
from tests.contract.carriers import Carrier, Inbox, embedded, memory, message, rabbitmq
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["memory", "embedded", pytest.param("rabbitmq", marks=pytest.mark.servers)])
async def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Carrier]:
    """Give one of the ways of carrying messages, with the orchestrator's queues declared."""
    if request.param == "memory":
        async with memory() as opened:
            await opened.bus.declare([])
            yield opened
    elif request.param == "embedded":
        async with embedded(tmp_path) as opened:
            await opened.bus.declare([])
            yield opened
    else:
        url = request.getfixturevalue("amqp_url")
        async with rabbitmq(url, request.getfixturevalue("amqp_prefix")) as opened:
            await opened.bus.declare([])
            yield opened


def _reply(body: bytes, message_id: str = "c1.completed") -> ReplyMessage:
    return ReplyMessage("step.completed", body, message_id, "p1")


async def _echo(body: bytes) -> ReplyMessage | NoReply:
    return _reply(body)


async def test_a_command_is_answered_to_the_coordinators(carrier: Carrier) -> None:
    """The handler gets the command's bytes, and its reply arrives with its own id and key."""
    inbox = Inbox()
    await carrier.bus.consume(inbox, prefetch=10)
    await carrier.participants.serve("hotel", _echo, concurrency=4)

    await carrier.bus.publish(message(b'{"ask": 1}', key="step.hotel.book"))

    await eventually(lambda: inbox.deliveries)
    delivery = inbox.deliveries[0]
    assert delivery.body == b'{"ask": 1}'
    assert delivery.message_id == "c1.completed"
    assert delivery.routing_key == "step.completed"


async def test_a_service_gets_its_own_commands_only(carrier: Carrier) -> None:
    """Two services on one transport do not see each other's commands."""
    seen: dict[str, list[bytes]] = {"hotel": [], "car": []}

    async def note(service: str, body: bytes) -> ReplyMessage | NoReply:
        seen[service].append(body)
        return _reply(body)

    for service in seen:
        await carrier.participants.serve(service, partial(note, service), concurrency=4)
    await carrier.bus.publish(message(b"h", key="step.hotel.book", message_id="m1"))
    await carrier.bus.publish(message(b"c", key="step.car.rent", message_id="m2"))

    await eventually(lambda: seen == {"hotel": [b"h"], "car": [b"c"]})


async def test_no_more_commands_are_in_hand_than_asked_for(carrier: Carrier) -> None:
    """With a concurrency of two the third command waits until one is answered."""
    began: list[bytes] = []
    may_end = asyncio.Semaphore(0)

    async def slowly(body: bytes) -> ReplyMessage | NoReply:
        began.append(body)
        await may_end.acquire()
        return _reply(body)

    await carrier.participants.serve("hotel", slowly, concurrency=2)
    for number in range(3):
        await carrier.bus.publish(message(b"%d" % number, key="step.hotel.book", message_id=f"m{number}"))

    await eventually(lambda: len(began) == 2)
    may_end.release()
    await eventually(lambda: len(began) == 3)
    may_end.release()
    may_end.release()


@pytest.mark.parametrize("no_reply", NoReply)
async def test_a_command_without_a_reply_is_done(carrier: Carrier, no_reply: NoReply) -> None:
    """Where nobody can answer it, or it is answered elsewhere, the next command is taken."""
    inbox = Inbox()
    await carrier.bus.consume(inbox, prefetch=10)

    async def picky(body: bytes) -> ReplyMessage | NoReply:
        return no_reply if body == b"other" else _reply(body)

    await carrier.participants.serve("hotel", picky, concurrency=1)
    await carrier.bus.publish(message(b"other", key="step.hotel.book", message_id="m1"))
    await carrier.bus.publish(message(b"good", key="step.hotel.book", message_id="m2"))

    await eventually(lambda: inbox.bodies == [b"good"])


async def test_a_report_arrives_before_the_reply(carrier: Carrier) -> None:
    """Progress reaches the coordinators while its command is still in hand."""
    inbox = Inbox()
    await carrier.bus.consume(inbox, prefetch=10)

    async def working(body: bytes) -> ReplyMessage | NoReply:
        await carrier.participants.report(ReplyMessage("step.progress", b"half", "c1.progress.1", "p1"))
        return _reply(body)

    await carrier.participants.serve("hotel", working, concurrency=1)
    await carrier.bus.publish(message(b"all", key="step.hotel.book", message_id="m1"))

    await eventually(lambda: inbox.bodies == [b"half", b"all"])
    assert inbox.deliveries[0].routing_key == "step.progress"


async def test_after_a_stop_the_commands_wait(carrier: Carrier) -> None:
    """They are there for whoever serves the service next."""
    answered: list[bytes] = []

    async def note(body: bytes) -> ReplyMessage | NoReply:
        answered.append(body)
        return _reply(body)

    serving = await carrier.participants.serve("hotel", _echo, concurrency=4)
    await serving.stop()
    await carrier.bus.publish(message(b"later", key="step.hotel.book"))
    await carrier.participants.serve("hotel", note, concurrency=4)

    await eventually(lambda: answered == [b"later"])


async def test_closing_finishes_what_is_in_hand(carrier: Carrier) -> None:
    """A command that was begun is answered before the transport is closed."""
    inbox = Inbox()
    await carrier.bus.consume(inbox, prefetch=10)
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slowly(body: bytes) -> ReplyMessage | NoReply:
        began.set()
        await may_end.wait()
        return _reply(body)

    await carrier.participants.serve("hotel", slowly, concurrency=4)
    await carrier.bus.publish(message(b"begun", key="step.hotel.book"))
    await began.wait()
    closing = asyncio.create_task(carrier.participants.close())
    may_end.set()
    await closing

    await eventually(lambda: inbox.bodies == [b"begun"])


async def test_a_service_that_nobody_carries_out_is_named(carrier: Carrier) -> None:
    """The orchestrator can tell which services have no consumer, also where there is no such queue."""
    await carrier.bus.declare(["hotel", "car"])
    serving = await carrier.participants.serve("hotel", _echo, concurrency=1)

    async def unserved() -> bool:
        return sorted(await carrier.bus.unserved(["hotel", "car", "never_declared"])) == [
            "car",
            "never_declared",
        ]

    await eventually(unserved)
    await serving.stop()

    async def nobody_is_left() -> bool:
        return "hotel" in await carrier.bus.unserved(["hotel"])

    await eventually(nobody_is_left)


async def test_a_handler_is_told_how_its_command_came(carrier: Carrier) -> None:
    """The trace of the message is there beside its bytes, and each command has its own."""
    told: list[Carriage] = []

    async def note(body: bytes) -> ReplyMessage | NoReply:
        told.append(CARRIAGE.get())
        return _reply(body)

    await carrier.participants.serve("hotel", note, concurrency=1)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced = message(b"1", key="step.hotel.book", message_id="m1", headers={"traceparent": trace})
    await carrier.bus.publish(traced)
    await carrier.bus.publish(message(b"2", key="step.hotel.book", message_id="m2"))

    await eventually(lambda: told == [Carriage(trace), Carriage()])


async def test_the_queues_of_services_can_be_counted(carrier: Carrier) -> None:
    """Who takes from them, and what nobody has in hand; one that was never declared is left out."""
    await carrier.bus.declare(["hotel", "car"])
    may_end = asyncio.Event()

    async def slowly(body: bytes) -> ReplyMessage | NoReply:
        await may_end.wait()
        return _reply(body)

    await carrier.participants.serve("hotel", slowly, concurrency=1)
    for number in range(3):
        await carrier.bus.publish(message(b"h", key="step.hotel.book", message_id=f"m{number}"))

    async def are_counted() -> bool:
        found = await carrier.bus.standings(["hotel", "car", "never_declared"])
        return found == {"hotel": QueueStanding(1, 2), "car": QueueStanding(0, 0)}

    await eventually(are_counted)
    may_end.set()
