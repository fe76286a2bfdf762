"""Consume with manual acknowledgements; the consumers come back on every new connection."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, cast

import aiormq

from adapters.rabbitmq.acknowledging import Acknowledgements
from adapters.rabbitmq.topology import Topology, declare, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aio_pika.abc import AbstractConnection
    from aiormq.abc import DeliveredMessage
    from pamqp.commands import Basic

    from adapters.rabbitmq.connection import EndSession
    from saga.ports.bus import DeliveryHandler

_log = logging.getLogger(__name__)

_ATTACH_TIMEOUT_S = 5.0
_CANCEL_TIMEOUT_S = 3.0
_LOOK_EVERY_CHECKS = 5


class RabbitDelivery:
    """One message in hand; the acknowledgement goes to the channel that it came by, or nowhere."""

    __slots__ = ("_acknowledged", "_acknowledgements", "_message", "properties")

    def __init__(self, message: DeliveredMessage, acknowledgements: Acknowledgements) -> None:
        self._message = message
        self._acknowledgements = acknowledgements
        self._acknowledged = False
        self.properties: Basic.Properties = message.header.properties

    @property
    def body(self) -> bytes:
        """Give the bytes as they came."""
        return self._message.body

    @property
    def exchange(self) -> str:
        """Give the exchange's name as the broker knows it."""
        return self._message.exchange or ""

    @property
    def routing_key(self) -> str:
        """Give the key that it was published with."""
        return self._message.routing_key or ""

    @property
    def message_id(self) -> str | None:
        """Give the sender's id of the message."""
        return self.properties.message_id

    @property
    def app_id(self) -> str | None:
        """Give the name that the sender goes by."""
        return self.properties.app_id

    @property
    def content_encoding(self) -> str | None:
        """Give the encoding that the body claims to have."""
        return self.properties.content_encoding

    @property
    def headers(self) -> Mapping[str, object]:
        """Give the headers; nothing in them can be trusted."""
        return self.properties.headers or {}

    @property
    def tag(self) -> str | None:
        """Give None: the store doesn't keep these messages."""
        return None

    async def acknowledge(self) -> None:
        """Say that the message is done, once; on a lost channel only a counter moves."""
        if self._acknowledged:
            return  # a second one would close the channel, and everything on it would be delivered again
        self._acknowledged = True
        if self._message.delivery_tag is not None:
            self._acknowledgements.finish(self._message.delivery_tag)


class RabbitConsumption:
    """One consumer of a queue, over all the connections that it outlives."""

    def __init__(
        self, queue: str, handler: DeliveryHandler, *, prefetch: int, lost_ack: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._lost_ack = lost_ack
        self._channel: aiormq.Channel | None = None
        self._acknowledgements: Acknowledgements
        self._tag: str | None = None
        self._in_hand: set[asyncio.Task[None]] = set()
        self.is_stopped = False

    @property
    def is_consuming(self) -> bool:
        """Tell whether the broker has this consumer, as far as is known here."""
        channel = self._channel
        return channel is not None and not channel.is_closed and self._tag in channel.consumers

    async def attach(self, connection: AbstractConnection, end: EndSession) -> None:
        """Consume on a channel of this connection; `end` is called when the broker ends it."""
        opened = await connection.channel(publisher_confirms=False)
        channel = cast("aiormq.Channel", await opened.get_underlay_channel())
        channel.closing.add_done_callback(
            lambda _: None if self.is_stopped else end("the channel was closed")
        )
        channel.on_consumer_cancel_callbacks.add(lambda _: end("the broker cancelled the consumer"))
        await channel.basic_qos(prefetch_count=self._prefetch)
        self._channel, self._acknowledgements = channel, Acknowledgements(channel, self._lost_ack)
        consuming = await channel.basic_consume(self._queue, self._take)
        self._tag = consuming.consumer_tag

    async def stop(self) -> None:
        """Take no more; what is in hand may still be acknowledged, and the rest goes back to the queue.

        The channel is closed when the last handler returned.
        """
        if self.is_stopped:
            return
        self.is_stopped = True
        channel, self._channel = self._channel, None
        if channel is None or channel.is_closed or self._tag is None:
            return
        try:
            await channel.basic_cancel(self._tag, timeout=_CANCEL_TIMEOUT_S)
        except (aiormq.AMQPError, aiormq.ChannelInvalidStateError, OSError, TimeoutError) as error:
            _log.debug("cancelling a consumer: %r", error)
        self._closing = asyncio.create_task(self._close_when_done(channel))  # kept, or it may be collected

    async def _take(self, message: DeliveredMessage) -> None:
        channel = self._channel
        if channel is None or message.channel is not channel:
            return  # stopped, or from a channel that is gone: it stays unacknowledged
        # A task of our own: the driver cancels its own ones when the channel is lost, and a handler that
        # is in the middle of an append must come to its end.
        if message.delivery_tag is not None:
            self._acknowledgements.expect(message.delivery_tag)
        task = asyncio.create_task(self._handle(RabbitDelivery(message, self._acknowledgements)))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _handle(self, delivery: RabbitDelivery) -> None:
        try:
            await self._handler(delivery)
        except Exception:  # noqa: BLE001 - it must not raise, and this says that it did
            _log.exception("a handler raised; its message stays unacknowledged")

    async def _close_when_done(self, channel: aiormq.Channel) -> None:
        while self._in_hand:
            await asyncio.wait(self._in_hand)
        await self._acknowledgements.sent()
        await channel.close()


class Attached(Protocol):
    """Something that consumes on a connection, one queue or several."""

    @property
    def is_stopped(self) -> bool:
        """Tell whether it was stopped for good."""
        ...

    @property
    def is_consuming(self) -> bool:
        """Tell whether the broker has it, as far as is known here."""
        ...

    async def attach(self, connection: AbstractConnection, end: EndSession) -> None:
        """Consume on this connection; `end` is called when the broker ends it."""
        ...

    async def tend(self) -> None:
        """Do what is to be done now and then."""
        ...


class Consumers:
    """Hold every consumer of a connection. It is the session of a `Link`."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._consumptions: list[Attached] = []
        self._checks = 0
        self._now: tuple[AbstractConnection, EndSession] | None = None

    async def add(self, consumption: Attached) -> None:
        """Keep a consumer from now on; without a connection it begins with the next one."""
        self._consumptions.append(consumption)
        if self._now is None:
            return
        connection, end = self._now
        try:
            async with asyncio.timeout(_ATTACH_TIMEOUT_S):
                await consumption.attach(connection, end)
        except (aiormq.AMQPError, aiormq.ChannelInvalidStateError, RuntimeError, OSError) as error:
            end(f"consuming failed: {error!r}")

    async def open(self, connection: AbstractConnection, end: EndSession) -> None:
        """Declare everything and consume."""
        await declare(connection, self._topology)
        self._now = connection, end
        for consumption in self._running():
            await consumption.attach(connection, end)

    async def check(self, connection: AbstractConnection) -> None:
        """Look whether the queues are there and consumed: the broker doesn't always tell when they go."""
        self._checks += 1
        if self._checks % _LOOK_EVERY_CHECKS == 0 and await missing(connection, self._topology):
            await declare(connection, self._topology)
        for consumption in self._running():
            await consumption.tend()
        if self._now is not None and not all(each.is_consuming for each in self._running()):
            self._now[1]("a consumer is gone")

    def lost(self) -> None:
        """Forget the connection; the consumers are attached anew, and what they hold is delivered again."""
        self._now = None

    def _running(self) -> list[Attached]:
        self._consumptions = [each for each in self._consumptions if not each.is_stopped]
        return self._consumptions
