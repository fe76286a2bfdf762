"""What every message bus must do, over RabbitMQ, without a broker and in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from saga.errors import BusUnavailable
from saga.ports.bus import Exchange, PublishResult
from tests.contract.carriers import Carrier, Inbox, embedded, memory, message, rabbitmq
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.ports.bus import Delivery, MessageBus


@pytest.fixture(params=["memory", "embedded", pytest.param("rabbitmq", marks=pytest.mark.servers)])
async def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Carrier]:
    """Give one of the ways of carrying messages."""
    if request.param == "memory":
        async with memory() as opened:
            yield opened
    elif request.param == "embedded":
        async with embedded(tmp_path) as opened:
            yield opened
    else:
        url = request.getfixturevalue("amqp_url")
        async with rabbitmq(url, request.getfixturevalue("amqp_prefix")) as opened:
            yield opened


@pytest.fixture
async def bus(carrier: Carrier) -> MessageBus:
    """Give a bus whose queues are declared, that of one service among them."""
    await carrier.bus.declare(["hotel"])
    return carrier.bus


async def test_a_published_message_arrives_as_it_was_sent(bus: MessageBus) -> None:
    """The body is equal to the byte, and the id, the key, the headers and the app id arrive with it."""
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)
    body = '{"text": "ü\\u0000 \\"$set\\""}'.encode()

    assert await bus.publish(message(body, headers={"traceparent": "00-ab"})) is PublishResult.CONFIRMED

    await eventually(lambda: inbox.deliveries)
    delivery = inbox.deliveries[0]
    assert delivery.body == body
    assert delivery.message_id == "m1"
    assert delivery.app_id == "batuta"
    assert delivery.routing_key == "process.start"
    assert delivery.exchange.endswith(".commands")
    assert delivery.headers["traceparent"] == "00-ab"
    assert delivery.content_encoding is None


@pytest.mark.parametrize("key", ["step.completed", "step.failed", "step.progress"])
async def test_the_coordinators_get_the_replies(bus: MessageBus, key: str) -> None:
    """A reply of each kind goes to the coordinators' queue."""
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)

    sent = await bus.publish(message(b'{"a":1}', key=key, exchange=Exchange.EVENTS))

    assert sent is PublishResult.CONFIRMED
    await eventually(lambda: inbox.bodies == [b'{"a":1}'])


async def test_a_mandatory_message_that_no_queue_takes_comes_back(bus: MessageBus) -> None:
    """A command to a service without a queue is reported as returned, one that nobody needs is confirmed."""
    unknown = message(key="step.nobody.go", message_id="m1")
    life = message(key="process.trip.started", exchange=Exchange.EVENTS, message_id="m2", mandatory=False)

    assert await bus.publish(unknown) is PublishResult.RETURNED
    assert await bus.publish(life) is PublishResult.CONFIRMED


async def test_each_of_many_concurrent_publishes_gets_its_own_answer(bus: MessageBus) -> None:
    """With routable and unroutable ones mixed, and ids that repeat, no answer goes to the wrong caller."""
    keys = ["step.hotel.book" if number % 2 else "step.nobody.go" for number in range(60)]

    answers = await asyncio.gather(
        *(bus.publish(message(key=key, message_id=f"m{number // 4}")) for number, key in enumerate(keys))
    )

    expected = [
        PublishResult.CONFIRMED if key == "step.hotel.book" else PublishResult.RETURNED for key in keys
    ]
    assert answers == expected


async def test_no_more_than_the_prefetch_is_in_hand(bus: MessageBus) -> None:
    """With a prefetch of three the fourth message comes only when one was acknowledged."""
    inbox = Inbox(acknowledges=False)
    await bus.consume(inbox, prefetch=3)
    for number in range(5):
        await bus.publish(message(b"%d" % number, message_id=f"m{number}"))

    await eventually(lambda: len(inbox.deliveries) == 3)
    await inbox.deliveries[0].acknowledge()

    await eventually(lambda: len(inbox.deliveries) == 4)


async def test_the_handler_is_called_concurrently(bus: MessageBus) -> None:
    """A handler that waits for another message's handler is not waited for itself."""
    both = asyncio.Barrier(2)

    async def meet(delivery: Delivery) -> None:
        await both.wait()
        await delivery.acknowledge()

    await bus.consume(meet, prefetch=2)
    await asyncio.gather(bus.publish(message(message_id="m1")), bus.publish(message(message_id="m2")))

    await eventually(lambda: both.n_waiting == 0 and not both.broken)


async def test_after_a_stop_nothing_more_is_taken(bus: MessageBus) -> None:
    """What is in hand can still be acknowledged, and a new message goes to another consumer."""
    first, second = Inbox(acknowledges=False), Inbox()
    consumption = await bus.consume(first, prefetch=1)
    await bus.publish(message(b"1", message_id="m1"))
    await eventually(lambda: first.deliveries)

    await consumption.stop()
    await first.deliveries[0].acknowledge()
    await bus.publish(message(b"2", message_id="m2"))
    await bus.consume(second, prefetch=10)

    await eventually(lambda: second.bodies == [b"2"])
    assert first.bodies == [b"1"]


async def test_what_was_not_acknowledged_is_delivered_again(bus: MessageBus) -> None:
    """A consumer that stops without acknowledging gives its messages back, whole."""
    forgetful, reliable = Inbox(acknowledges=False), Inbox()
    consumption = await bus.consume(forgetful, prefetch=10)
    await bus.publish(message(b"kept", message_id="m1"))
    await eventually(lambda: forgetful.deliveries)

    await consumption.stop()
    await bus.consume(reliable, prefetch=10)

    await eventually(lambda: reliable.bodies == [b"kept"])


async def test_an_acknowledgement_may_be_repeated(bus: MessageBus) -> None:
    """A second one is without effect: nothing is lost and nothing has to come back."""
    inbox = Inbox()
    losses: list[None] = []
    bus.on_return(lambda: losses.append(None))
    await bus.consume(inbox, prefetch=10)
    await bus.publish(message(b"1", message_id="m1"))
    await eventually(lambda: inbox.deliveries)

    await inbox.deliveries[0].acknowledge()
    await bus.publish(message(b"2", message_id="m2"))

    await eventually(lambda: inbox.bodies == [b"1", b"2"])
    assert not losses


async def test_a_message_can_be_dead_lettered(bus: MessageBus) -> None:
    """It is confirmed, and does not acknowledge: that is another step."""
    inbox = Inbox(acknowledges=False)
    await bus.consume(inbox, prefetch=10)
    await bus.publish(message(b"not json", message_id="m1"))
    await eventually(lambda: inbox.deliveries)

    await bus.dead_letter(inbox.deliveries[0], reason="malformed-json", detail="at line 1")
    await inbox.deliveries[0].acknowledge()


async def test_declaring_twice_is_harmless(bus: MessageBus) -> None:
    """What is there stays, with its messages."""
    await bus.publish(message(b"1", message_id="m1"))
    await bus.declare(["hotel"])
    await bus.declare(["hotel", "car"])
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)

    await eventually(lambda: inbox.bodies == [b"1"])
    assert not await bus.missing()


async def test_the_consumers_are_counted(bus: MessageBus) -> None:
    """None at first, one while it consumes, none after it stopped."""
    assert await bus.consumers() == 0
    consumption = await bus.consume(Inbox(), prefetch=10)
    assert await bus.consumers() == 1
    await consumption.stop()
    assert await bus.consumers() == 0


async def test_a_closed_bus_refuses_at_once(bus: MessageBus) -> None:
    """Publishing after the close raises BusUnavailable instead of waiting."""
    await bus.close()

    with pytest.raises(BusUnavailable):
        await bus.publish(message())
