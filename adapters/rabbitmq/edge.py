"""The typed edge: one faststream broker per connection, with a subscriber per service.

faststream has the consumers and the publishing; what it would decide by itself (decoding, acknowledging,
answering, connecting again) is switched off. Its connection is thrown away with every kind of loss,
and made anew by our own loop, so that a participant comes back in the same way as a coordinator does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiormq
from aiormq.exceptions import PublishError
from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from pamqp.commands import Basic

from adapters.rabbitmq.connection import close_quietly, is_cancelled, with_heartbeat
from adapters.rabbitmq.properties import SCHEMA, SCHEMA_HEADER
from adapters.rabbitmq.topology import consumer_count, declare, missing
from saga.errors import BusUnavailable
from saga.ports.bus import APP_ID, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika.abc import AbstractConnection
    from faststream.rabbit.annotations import RabbitMessage
    from faststream.rabbit.subscriber.usecase import RabbitSubscriber

    from adapters.rabbitmq.connection import EndSession
    from adapters.rabbitmq.topology import Topology
    from saga.ports.participants import ReplyMessage

_CONNECT_TIMEOUT_S = 5.0
_PUBLISH_DEADLINE_S = 5.0


@dataclass(slots=True, eq=False)
class Subscription:
    """What is consumed for one service: `take` must return at once, and has the message from then on."""

    service: str
    queue: str
    take: Callable[[RabbitMessage], None]
    concurrency: int
    subscriber: RabbitSubscriber | None = None


class Edge:
    """Hold the subscriptions over all connections. It is the session of a `Link`."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._url = with_heartbeat(url)
        self._topology = topology
        self._events = RabbitExchange(
            topology.names.exchange(Exchange.EVENTS), type=ExchangeType.TOPIC, durable=True, declare=False
        )
        self._subscriptions: dict[str, Subscription] = {}
        self._now: tuple[RabbitBroker, AbstractConnection, EndSession] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.is_up = asyncio.Event()

    async def subscribe(self, subscription: Subscription) -> None:
        """Consume from now on; without a connection it begins with the next one.

        Raises ValueError where the service is served here already.
        """
        if subscription.service in self._subscriptions:
            raise ValueError(f"the service {subscription.service!r} is served already")
        self._subscriptions[subscription.service] = subscription
        self._topology.services.add(subscription.service)
        if self._now is None:
            return
        broker, connection, end = self._now
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await declare(connection, self._topology)
                await self._add_subscriber(broker, subscription).start()
        except (aiormq.AMQPError, BusUnavailable, RuntimeError, OSError) as error:
            end(f"consuming failed: {error!r}")

    async def unsubscribe(self, service: str) -> None:
        """Take no more; what was delivered and isn't acknowledged goes back when the connection ends."""
        subscription = self._subscriptions.pop(service, None)
        self._topology.services.discard(service)
        if subscription is not None and subscription.subscriber is not None:
            await close_quietly(subscription.subscriber.stop())

    async def publish(self, reply: ReplyMessage) -> None:
        """Publish a reply; on return it is confirmed and in a queue. Raises BusUnavailable."""
        if self._now is None:
            raise BusUnavailable("the broker is away")
        broker = self._now[0]
        try:
            answer = await broker.publish(
                reply.body,
                exchange=self._events,
                routing_key=reply.routing_key,
                mandatory=True,
                persist=True,
                timeout=_PUBLISH_DEADLINE_S,
                content_type="application/json",
                message_id=reply.message_id,
                correlation_id=reply.correlation_id,
                message_type="reply",
                headers={SCHEMA_HEADER: SCHEMA},
            )
        except PublishError as error:
            raise BusUnavailable(f"no queue takes {reply.routing_key}") from error
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise BusUnavailable("the channel was closed before the confirm came") from None
        except Exception as error:
            raise BusUnavailable(f"the reply was not confirmed: {error!r}") from error
        if not isinstance(answer, Basic.Ack):
            raise BusUnavailable(f"the broker answered {type(answer).__name__} instead of a confirm")

    async def open(self, connection: AbstractConnection, end: EndSession) -> None:
        """Declare what is needed, connect faststream and consume."""
        await declare(connection, self._topology)
        broker = RabbitBroker(
            self._url,
            timeout=_CONNECT_TIMEOUT_S,
            default_channel=Channel(publisher_confirms=True, on_return_raises=True),
            on_close=[lambda *_: end("faststream's connection was closed")],
            app_id=APP_ID,
            graceful_timeout=None,  # what is in hand is not in faststream's hands
            logger=None,
            apply_types=False,
        )
        for subscription in self._subscriptions.values():
            self._add_subscriber(broker, subscription)
        try:
            await broker.start()
        except BaseException:
            self._retire(broker)
            raise
        self._now = broker, connection, end
        self.is_up.set()

    async def check(self, connection: AbstractConnection) -> None:
        """Look whether each queue is there and consumed; a deleted one is not always announced."""
        if await missing(connection, self._topology):
            await declare(connection, self._topology)
        for subscription in list(self._subscriptions.values()):
            if not await consumer_count(connection, subscription.queue) and self._now is not None:
                self._now[2](f"{subscription.queue} has no consumer")

    def lost(self) -> None:
        """Throw faststream's broker away; what it delivered is delivered again."""
        self.is_up.clear()
        if self._now is not None:
            self._retire(self._now[0])
            self._now = None

    async def wait_until_retired(self) -> None:
        """Wait until the brokers that were thrown away are closed."""
        while self._retiring:
            await asyncio.wait(self._retiring)

    def _add_subscriber(self, broker: RabbitBroker, subscription: Subscription) -> RabbitSubscriber:
        subscriber = broker.subscriber(
            # Only looked at: it was declared just now, where this user may do so.
            RabbitQueue(subscription.queue, queue_type=QueueType.QUORUM, durable=True, declare=False),
            channel=Channel(prefetch_count=subscription.concurrency),
            ack_policy=AckPolicy.MANUAL,
            decoder=_leave_undecoded,
            no_reply=True,
        )

        async def take(message: RabbitMessage) -> None:
            subscription.take(message)

        subscriber(take)
        subscription.subscriber = subscriber
        return subscriber

    def _retire(self, broker: RabbitBroker) -> None:
        task = asyncio.create_task(close_quietly(broker.stop()))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _leave_undecoded(message: RabbitMessage) -> RabbitMessage:
    """Hand the message itself to the subscriber: its body stays the bytes that came."""
    return message
