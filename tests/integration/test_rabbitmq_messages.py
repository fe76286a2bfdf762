"""What stands on a real RabbitMQ and travels over it: names, arguments, properties, dead letters, poison."""

from __future__ import annotations

import asyncio
import gc
import struct
from typing import TYPE_CHECKING, cast

import aio_pika
import pytest
from pamqp.commands import Basic

from adapters.rabbitmq.bus import RabbitBus
from saga.errors import BusUnavailable
from saga.ports.bus import PublishResult
from tests.contract.carriers import NOW, Inbox, message
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiormq
    from aio_pika.abc import AbstractChannel, AbstractIncomingMessage


@pytest.fixture
async def bus(amqp_url: str, amqp_prefix: str) -> AsyncIterator[RabbitBus]:
    """Give a bus with the queue of one service."""
    opened = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await opened.declare(["hotel"])
    yield opened
    await opened.close()


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    """Give a bare channel, as any other client has."""
    async with await aio_pika.connect(amqp_url) as connection:
        yield await connection.channel()


async def _get(channel: AbstractChannel, queue: str) -> AbstractIncomingMessage:
    found = await channel.get_queue(queue, ensure=False)
    async with found.iterator(no_ack=True) as messages:
        return await asyncio.wait_for(anext(messages), 10)


async def test_the_queues_have_exactly_the_arguments_of_the_contract(
    bus: RabbitBus, channel: AbstractChannel, amqp_prefix: str
) -> None:
    """Another client may declare every name with the contract's arguments, and is not refused."""
    assert not await bus.missing()
    for exchange, kind in [("commands", "topic"), ("events", "topic"), ("dead", "fanout")]:
        await channel.declare_exchange(f"{amqp_prefix}.{exchange}", kind, durable=True)
    for queue in ("coordinator", "dead-letter", "step.hotel"):
        await channel.declare_queue(
            f"{amqp_prefix}.{queue}",
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": f"{amqp_prefix}.dead",
                "x-delivery-limit": 1000,
            },
        )


async def test_a_message_has_the_properties_of_the_contract(
    bus: RabbitBus, channel: AbstractChannel, amqp_prefix: str
) -> None:
    """All that the contract names is set, and the app id does not follow the prefix."""
    await bus.publish(message(b"{}", key="step.hotel.book", headers={"traceparent": "00-ab"}))

    got = await _get(channel, f"{amqp_prefix}.step.hotel")

    assert got.content_type == "application/json"
    assert got.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert got.message_id == "m1"
    assert got.correlation_id == "p1"
    assert got.type == "start"
    assert got.timestamp is not None
    assert int(got.timestamp.timestamp()) == NOW // 1000
    assert got.app_id == "batuta"
    headers = {name: value for name, value in got.headers.items() if name != "x-delivery-count"}
    assert headers == {"traceparent": "00-ab", "x-saga-schema": 1}


async def test_a_dead_letter_is_whole_and_says_why(
    bus: RabbitBus, channel: AbstractChannel, amqp_prefix: str
) -> None:
    """The body and the properties are those that came; the reason and its way stand in the headers."""
    inbox = Inbox(acknowledges=False)
    await bus.consume(inbox, prefetch=10)
    exchange = await channel.get_exchange(f"{amqp_prefix}.commands", ensure=False)
    body = b"\xff\x00 not json"
    sent = aio_pika.Message(
        body,
        content_type="text/plain",
        message_id="other",
        app_id="shop",
        expiration=3600,
        headers={"x": "y", "CC": ["a"], "x-saga-reject-reason": "forged"},
    )
    await exchange.publish(sent, "process.start")
    await eventually(lambda: inbox.deliveries)

    await bus.dead_letter(inbox.deliveries[0], reason="malformed-json", detail="at byte 0\n")

    got = await _get(channel, f"{amqp_prefix}.dead-letter")
    assert got.body == body
    assert (got.content_type, got.message_id, got.app_id) == ("text/plain", "other", "shop")
    assert got.expiration is None
    headers = {name: value for name, value in got.headers.items() if name != "x-delivery-count"}
    assert str(headers.pop("x-saga-first-seen")).endswith("Z")
    assert headers == {
        "x": "y",
        "x-saga-headers-left-out": 1,
        "x-saga-reject-reason": "malformed-json",
        "x-saga-reject-detail": "at byte 0\n",
        "x-saga-original-exchange": f"{amqp_prefix}.commands",
        "x-saga-original-routing-key": "process.start",
    }


async def test_headers_that_are_too_large_do_not_follow_a_dead_letter(
    bus: RabbitBus, channel: AbstractChannel, amqp_prefix: str
) -> None:
    """A message with 100 KB of headers is dead-lettered without them, and the connection stays."""
    inbox = Inbox(acknowledges=False)
    await bus.consume(inbox, prefetch=10)
    exchange = await channel.get_exchange(f"{amqp_prefix}.commands", ensure=False)
    await exchange.publish(
        aio_pika.Message(b"x", headers={"big": "b" * 100_000, "small": 1}), "process.start"
    )
    await eventually(lambda: inbox.deliveries)

    await bus.dead_letter(inbox.deliveries[0], reason="malformed-json", detail="d" * 100_000)

    got = await _get(channel, f"{amqp_prefix}.dead-letter")
    assert got.headers["small"] == 1
    assert "big" not in got.headers
    assert len(str(got.headers["x-saga-reject-detail"])) == 1000


class _RawProperties(Basic.Properties):
    """Properties that are written as the bytes that a test wants."""

    raw = b""

    def marshal(self) -> bytes:
        return self.raw


_ID = 1 << 7
_POISON = {
    "a timestamp in nanoseconds": struct.pack(">HB2sQ", _ID | 1 << 6, 2, b"m1", 1_764_000_000_000_000_000),
    "an id that is not UTF-8": struct.pack(">HB2s", _ID, 2, b"\xff\xfe"),
    "a header name that is not UTF-8": struct.pack(
        ">HIB2ssIB2s", _ID | 1 << 13, 8 + 2, 2, b"\xff\xfe", b"S", 2, 0x68, b"i\x02"
    )
    + b"m1",
}


@pytest.mark.parametrize("raw", _POISON.values(), ids=_POISON.keys())
async def test_properties_that_the_driver_can_not_read_do_not_cut_the_connection(
    bus: RabbitBus, channel: AbstractChannel, amqp_prefix: str, raw: bytes
) -> None:
    """The message is delivered with its body, once, and so are those behind it."""
    inbox = Inbox()
    await bus.consume(inbox, prefetch=1)
    driver = cast("aiormq.Channel", await channel.get_underlay_channel())
    properties = _RawProperties(message_id="m1")
    properties.raw = raw
    await driver.basic_publish(
        b"poison", exchange=f"{amqp_prefix}.commands", routing_key="process.start", properties=properties
    )
    await bus.publish(message(b"good", message_id="m2"))

    await eventually(lambda: inbox.bodies == [b"poison", b"good"])
    assert bus.acks_lost == 0


@pytest.mark.parametrize(
    "bad",
    [
        message(message_id="x" * 256),
        message(message_id="a\x00b"),
        message(message_id=""),
        message(message_id="\ud800"),
        message(key="step." + "ü" * 130),
        message(headers={"traceparent": "t" * 200_000}),
        message(headers={"CC": "other"}),
        message(headers={"n" * 129: "v"}),
    ],
)
async def test_what_the_broker_would_refuse_never_reaches_the_channel(bus: RabbitBus, bad: object) -> None:
    """It is refused with ValueError, and the publishes beside it are confirmed."""
    good = [bus.publish(message(message_id=f"m{number}")) for number in range(5)]

    *answers, refused = await asyncio.gather(
        *good,
        bus.publish(bad),  # type: ignore[arg-type]  # the parameters are messages
        return_exceptions=True,
    )

    assert isinstance(refused, ValueError)
    assert answers == [PublishResult.CONFIRMED] * 5


async def test_a_queue_with_other_arguments_is_named(
    amqp_url: str, amqp_prefix: str, channel: AbstractChannel
) -> None:
    """Declaring fails with a sentence that says which queue and what to do."""
    await channel.declare_queue(f"{amqp_prefix}.step.hotel", durable=True)
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)

    with pytest.raises(BusUnavailable, match=r"step\.hotel.*other arguments|other arguments.*step\.hotel"):
        await bus.declare(["hotel"])
    await bus.close()


async def test_what_is_missing_is_named(bus: RabbitBus, channel: AbstractChannel, amqp_prefix: str) -> None:
    """A queue and an exchange that were deleted are listed."""
    await channel.queue_delete(f"{amqp_prefix}.step.hotel")
    await channel.exchange_delete(f"{amqp_prefix}.events")

    assert set(await bus.missing()) == {f"{amqp_prefix}.step.hotel", f"{amqp_prefix}.events"}


async def test_looking_at_the_broker_keeps_nothing(amqp_url: str, amqp_prefix: str) -> None:
    """Readiness and the watchdogs look for as long as a server lives: what a look leaves behind adds up."""
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare(["hotel"])

    async def look(times: int) -> int:
        for _ in range(times):
            assert not await bus.missing()
            await bus.consumers()
        gc.collect()
        return sum(isinstance(each, asyncio.Future) for each in gc.get_objects())

    before = await look(10)

    assert await look(40) <= before + 20
    await bus.close()
