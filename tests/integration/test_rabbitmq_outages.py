"""The bus and the participants through every kind of loss, on a node that may be killed."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, cast

import pytest

from adapters.rabbitmq.bus import RabbitBus
from adapters.rabbitmq.participants import RabbitParticipants
from saga.errors import BusUnavailable
from saga.ports.bus import OutgoingMessage, PublishResult
from saga.ports.participants import NoReply, ReplyMessage
from tests.contract.carriers import Inbox, message
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from saga.ports.bus import Delivery
    from tests.support.servers import RabbitServer

    Look = Callable[[], Awaitable[bool]]

pytestmark = [pytest.mark.timeout(120)]

# A quorum queue that is younger loses what was confirmed when its node is killed (RabbitMQ 3.10).
_QUEUES_ARE_SAFE_AFTER_S = 3.0


@pytest.fixture
def prefix() -> str:
    """Give names that no other test has."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
async def bus(own_rabbit: RabbitServer, prefix: str) -> AsyncIterator[RabbitBus]:
    """Give a bus with the queue of one service."""
    opened = await RabbitBus.open(own_rabbit.url, prefix=prefix, publish_deadline_s=2.0)
    await opened.declare(["hotel"])
    yield opened
    await opened.close()


def _numbered(number: int) -> OutgoingMessage:
    return message(b"%d" % number, message_id=f"m{number}")


async def _publish_until_confirmed(bus: RabbitBus, sent: OutgoingMessage) -> None:
    """Publish the same message again until it is confirmed, as every caller must."""

    async def is_confirmed() -> bool:
        try:
            return await bus.publish(sent) is PublishResult.CONFIRMED
        except BusUnavailable:
            return False

    await eventually(is_confirmed, within_s=60, what=f"{sent.message_id} to be confirmed")


async def test_a_broker_that_is_killed_loses_nothing(bus: RabbitBus, own_rabbit: RabbitServer) -> None:
    """All that was confirmed is delivered, before and after the kill; the consumer comes back by itself."""
    inbox = Inbox()
    returned = asyncio.Event()
    bus.on_return(returned.set)
    await bus.consume(inbox, prefetch=50)
    await asyncio.sleep(_QUEUES_ARE_SAFE_AFTER_S)
    publishing = [
        asyncio.create_task(_publish_until_confirmed(bus, _numbered(number))) for number in range(500)
    ]
    await eventually(lambda: len(inbox.deliveries) > 50)

    await asyncio.to_thread(own_rabbit.kill)
    publishing += [
        asyncio.create_task(_publish_until_confirmed(bus, _numbered(number))) for number in range(500, 600)
    ]
    await asyncio.to_thread(own_rabbit.start)

    await asyncio.gather(*publishing)
    assert returned.is_set()
    await eventually(lambda: set(inbox.bodies) == {b"%d" % number for number in range(600)}, within_s=20)


async def test_publishing_fails_at_once_while_the_broker_is_away(
    bus: RabbitBus, own_rabbit: RabbitServer
) -> None:
    """It does not hang until the deadline, and works again after the return was called out."""
    returned = asyncio.Event()
    bus.on_return(returned.set)
    await asyncio.sleep(_QUEUES_ARE_SAFE_AFTER_S)
    await asyncio.to_thread(own_rabbit.kill)

    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(BusUnavailable):
            await bus.publish(message())
    assert time.monotonic() - began < 1.0
    with pytest.raises(BusUnavailable):
        await bus.missing()

    await asyncio.to_thread(own_rabbit.start)
    await asyncio.wait_for(returned.wait(), 10)
    await _publish_until_confirmed(bus, _numbered(1))


async def test_a_frozen_broker_costs_no_more_than_the_deadline(
    bus: RabbitBus, own_rabbit: RabbitServer
) -> None:
    """A broker that does not answer leads to BusUnavailable in time, and to a confirm once it goes on."""
    own_rabbit.pause()
    try:
        began = time.monotonic()
        with pytest.raises(BusUnavailable):
            await bus.publish(message())
        assert time.monotonic() - began < 3.0
    finally:
        own_rabbit.resume()
    await _publish_until_confirmed(bus, _numbered(1))


async def test_under_a_memory_alarm_publishing_fails_and_consuming_goes_on(
    bus: RabbitBus, own_rabbit: RabbitServer
) -> None:
    """First at the deadline, then at once; what is queued is delivered all the while."""
    inbox = Inbox(acknowledges=False)
    await bus.publish(message(b"before", message_id="m1"))
    await asyncio.to_thread(own_rabbit.ctl, "set_vm_memory_high_watermark", "0")
    try:
        began = time.monotonic()
        with pytest.raises(BusUnavailable):
            await bus.publish(message(b"during", message_id="m2"))
        assert time.monotonic() - began < 3.0
        await eventually(lambda: bus._publisher._is_blocked)
        began = time.monotonic()
        with pytest.raises(BusUnavailable):
            await bus.publish(message(b"during", message_id="m2"))
        assert time.monotonic() - began < 0.1
        await bus.consume(inbox, prefetch=10)
        await eventually(lambda: inbox.bodies[:1] == [b"before"])
        await inbox.deliveries[0].acknowledge()
        returned = asyncio.Event()
        bus.on_return(returned.set)
    finally:
        await asyncio.to_thread(own_rabbit.ctl, "set_vm_memory_high_watermark", "0.4")
    await asyncio.wait_for(returned.wait(), 10)
    await _publish_until_confirmed(bus, _numbered(3))


async def test_a_deleted_queue_is_declared_again_and_consumed(
    bus: RabbitBus, own_rabbit: RabbitServer, prefix: str
) -> None:
    """The coordinators' queue is back with its bindings and its consumer."""
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)

    await asyncio.to_thread(own_rabbit.ctl, "delete_queue", f"{prefix}.coordinator")

    async def is_consumed() -> bool:
        try:
            return await bus.consumers() == 1
        except BusUnavailable:
            return False  # it is connecting again

    await eventually(cast("Look", is_consumed))
    await _publish_until_confirmed(bus, _numbered(1))
    await eventually(lambda: inbox.bodies == [b"1"])


async def test_a_deleted_service_queue_is_declared_again(
    bus: RabbitBus, own_rabbit: RabbitServer, prefix: str
) -> None:
    """Commands are returned while it is away, and confirmed within some seconds."""
    command = message(key="step.hotel.book")
    await asyncio.to_thread(own_rabbit.ctl, "delete_queue", f"{prefix}.step.hotel")
    assert await bus.publish(command) is PublishResult.RETURNED

    async def is_taken() -> bool:
        return await bus.publish(command) is PublishResult.CONFIRMED

    await eventually(cast("Look", is_taken))


async def test_closed_connections_come_back_and_the_unacknowledged_is_delivered_again(
    bus: RabbitBus, own_rabbit: RabbitServer
) -> None:
    """A handler that was in the middle goes on; its late acknowledgement is counted and does no harm."""
    seen: list[Delivery] = []
    may_end = asyncio.Event()
    ended: list[bytes] = []

    async def slowly(delivery: Delivery) -> None:
        seen.append(delivery)
        if len(seen) == 1:
            await may_end.wait()
        await delivery.acknowledge()
        ended.append(delivery.body)

    await bus.consume(slowly, prefetch=10)
    await _publish_until_confirmed(bus, _numbered(1))
    await eventually(lambda: seen)

    await asyncio.to_thread(own_rabbit.ctl, "close_all_connections", "a test")

    await eventually(lambda: len(seen) == 2)
    may_end.set()
    await eventually(lambda: ended == [b"1", b"1"])
    assert bus.acks_lost == 1


async def test_a_bus_that_was_opened_without_a_broker_begins_when_it_comes(
    own_rabbit: RabbitServer, prefix: str
) -> None:
    """Opening, declaring and consuming need no broker at that moment."""
    await asyncio.to_thread(own_rabbit.kill)
    bus = await RabbitBus.open(own_rabbit.url, prefix=prefix)
    inbox = Inbox()
    with pytest.raises(BusUnavailable):
        await bus.declare(["hotel"])
    await bus.consume(inbox, prefetch=10)

    await asyncio.to_thread(own_rabbit.start)
    await asyncio.wait_for(_publish_until_confirmed(bus, _numbered(1)), 20)

    await eventually(lambda: inbox.bodies == [b"1"])
    assert not await bus.missing()
    await bus.close()


@pytest.mark.faults
async def test_a_participant_comes_back_after_the_broker_was_killed(
    bus: RabbitBus, own_rabbit: RabbitServer, prefix: str
) -> None:
    """Commands from before and after the kill are answered, each at least once."""

    async def answer(body: bytes) -> ReplyMessage | NoReply:
        return ReplyMessage("step.completed", body, f"{body.decode()}.completed", "p1")

    async def command(number: int) -> None:
        sent = message(b"%d" % number, key="step.hotel.book", message_id=f"c{number}")
        await _publish_until_confirmed(bus, sent)

    inbox = Inbox()
    await bus.consume(inbox, prefetch=50)
    participants = await RabbitParticipants.open(own_rabbit.url, prefix=prefix)
    await participants.serve("hotel", answer, concurrency=10)
    await asyncio.sleep(_QUEUES_ARE_SAFE_AFTER_S)
    commanding = [asyncio.create_task(command(number)) for number in range(200)]
    await eventually(lambda: len(inbox.deliveries) > 10)

    await asyncio.to_thread(own_rabbit.kill)
    await asyncio.to_thread(own_rabbit.start)
    commanding += [asyncio.create_task(command(number)) for number in range(200, 250)]
    await asyncio.gather(*commanding)

    await eventually(lambda: set(inbox.bodies) == {b"%d" % number for number in range(250)}, within_s=20)
    await participants.close()


async def test_a_participant_comes_back_after_its_queue_was_deleted(
    bus: RabbitBus, own_rabbit: RabbitServer, prefix: str
) -> None:
    """The queue is declared again with its binding, and served."""

    async def answer(body: bytes) -> ReplyMessage | NoReply:
        return ReplyMessage("step.completed", body, "c1.completed", "p1")

    inbox = Inbox()
    await bus.consume(inbox, prefetch=50)
    participants = await RabbitParticipants.open(own_rabbit.url, prefix=prefix)
    await participants.serve("hotel", answer, concurrency=10)

    await asyncio.to_thread(own_rabbit.ctl, "delete_queue", f"{prefix}.step.hotel")

    async def is_taken() -> bool:
        return await bus.publish(message(b"1", key="step.hotel.book")) is PublishResult.CONFIRMED

    await eventually(cast("Look", is_taken))
    await eventually(lambda: inbox.bodies[:1] == [b"1"])
    await participants.close()


async def test_a_user_without_the_right_to_configure_works_on_what_is_there(
    bus: RabbitBus, own_rabbit: RabbitServer, prefix: str
) -> None:
    """With the names declared it looks at them and serves; without them it says which are missing."""
    user = f"u{secrets.token_hex(4)}"
    await asyncio.to_thread(own_rabbit.ctl, "add_user", user, "secret")
    await asyncio.to_thread(own_rabbit.ctl, "set_permissions", user, "^$", ".*", ".*")
    url = own_rabbit.url.replace("guest:guest", f"{user}:secret")

    async def answer(body: bytes) -> ReplyMessage | NoReply:
        return ReplyMessage("step.completed", body, "c1.completed", "p1")

    inbox = Inbox()
    await bus.consume(inbox, prefetch=50)
    participants = await RabbitParticipants.open(url, prefix=prefix)
    await participants.serve("hotel", answer, concurrency=10)
    modest = await RabbitBus.open(url, prefix=prefix)
    await modest.declare(["hotel"])
    assert await modest.publish(message(b"1", key="step.hotel.book")) is PublishResult.CONFIRMED
    await eventually(lambda: inbox.bodies == [b"1"])

    with pytest.raises(BusUnavailable, match=r"step\.car must be declared first"):
        await modest.declare(["car"])

    await participants.close()
    await modest.close()
