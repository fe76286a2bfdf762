"""The message bus on RabbitMQ: two connections, so that an alarm that stops publishing stops nothing else."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Self

import aiormq

from adapters.rabbitmq.connection import Link, is_cancelled
from adapters.rabbitmq.consumer import Consumers, RabbitConsumption, RabbitDelivery
from adapters.rabbitmq.partitions import PartitionedConsumption
from adapters.rabbitmq.properties import dead_letter_properties, outgoing_properties
from adapters.rabbitmq.publisher import Publisher
from adapters.rabbitmq.topology import Names, Topology, consumer_count, declare, missing, queue_standing
from saga.errors import BusUnavailable
from saga.ports.bus import (
    Consumption,
    Delivery,
    DeliveryHandler,
    Exchange,
    OutgoingMessage,
    PublishResult,
    QueueStanding,
)
from saga.ports.observer import Observer

_DEADLINE_S = 5.0
_FIRST_CONNECT_S = 5.0
_ASK_TIMEOUT_S = 5.0
_PUBLISH_TICK_S = 1.0
_CONSUME_TICK_S = 1.0


class RabbitBus:
    """Implement `saga.ports.bus.MessageBus`; make it with `open`."""

    def __init__(
        self, url: str, names: Names, *, publish_deadline_s: float, observer: Observer | None
    ) -> None:
        self._topology = Topology(names)
        self._exchanges = {exchange: names.exchange(exchange) for exchange in Exchange}
        self._observer = observer
        self._callbacks: list[Callable[[], None]] = []
        self.acks_lost = 0
        self._publisher = Publisher(self._topology, deadline_s=publish_deadline_s, returned=self._returned)
        self._outgoing = Link(
            url, self._publisher, name="publishing", tick_s=_PUBLISH_TICK_S, returned=self._returned
        )
        self._consumers = Consumers(self._topology)
        self._consumption: PartitionedConsumption | None = None
        self._incoming = Link(
            url, self._consumers, name="consuming", tick_s=_CONSUME_TICK_S, returned=self._returned
        )

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        prefix: str = "saga",
        publish_deadline_s: float = _DEADLINE_S,
        observer: Observer | None = None,
    ) -> Self:
        """Connect, and return after five seconds at the latest, also while the broker is away.

        Connecting goes on by itself then. Raises ValueError for a prefix that can't be one.
        """
        bus = cls(url, Names(prefix), publish_deadline_s=publish_deadline_s, observer=observer)
        await asyncio.gather(
            bus._outgoing.wait_until_up(_FIRST_CONNECT_S), bus._incoming.wait_until_up(_FIRST_CONNECT_S)
        )
        return bus

    async def declare(self, services: Collection[str]) -> None:
        """Declare the exchanges, the coordinators' queue, the dead letters' and one queue per service.

        The services are remembered: all is declared again on each new connection. Raises BusUnavailable when
        it could not be done now, ValueError for an impossible name.
        """
        for service in services:
            self._topology.names.step_queue(service)
        self._topology.services.update(services)
        async with _asking("declare"):
            await declare(self._incoming.connection, self._topology)

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Publish and wait for the confirm. Raises BusUnavailable; ValueError for what can't be sent."""
        return await self._publisher.publish(
            self._exchanges[message.exchange],
            message.routing_key,
            message.body,
            outgoing_properties(message),
            mandatory=message.mandatory,
        )

    async def consume(self, handler: DeliveryHandler, *, prefetch: int) -> Consumption:
        """Deliver the coordinators' messages to `handler`; begins as soon as the broker is there."""

        def of(queue: str) -> RabbitConsumption:
            return RabbitConsumption(queue, handler, prefetch=prefetch, lost_ack=self._count_lost_ack)

        consumption = self._consumption = PartitionedConsumption(self._topology.names, of)
        await self._consumers.add(consumption)
        return consumption

    @property
    def reply_key(self) -> str:
        """Give the prefix that brings replies to the partition that is held here, or to the shared queue."""
        consumption = self._consumption
        return self._topology.names.reply_key() if consumption is None else consumption.reply_key

    async def dead_letter(self, delivery: Delivery, *, reason: str, detail: str) -> None:
        """Publish the message, untouched, to the dead letters with the reason. Raises BusUnavailable."""
        received = delivery.properties if isinstance(delivery, RabbitDelivery) else None
        properties = dead_letter_properties(
            delivery, received, reason=reason, detail=detail, seen=dt.datetime.now(dt.UTC)
        )
        result = await self._publisher.publish(
            self._topology.names.dead, delivery.routing_key, delivery.body, properties, mandatory=True
        )
        if result is not PublishResult.CONFIRMED:
            raise BusUnavailable("no queue keeps the dead letters now; it is declared again")

    async def consumers(self) -> int:
        """Count the consumers of the coordinators' queue. Raises BusUnavailable."""
        async with _asking("count the consumers"):
            queue = self._topology.names.coordinator_queue
            return await consumer_count(self._incoming.connection, queue) or 0

    async def unserved(self, services: Collection[str]) -> Collection[str]:
        """Name those of the services whose queue has no consumer now. Raises BusUnavailable."""
        names, connection = self._topology.names, self._incoming.connection
        async with _asking("count the consumers"):
            return [
                service
                for service in services
                if not await consumer_count(connection, names.step_queue(service))
            ]

    async def standings(self, services: Collection[str]) -> Mapping[str, QueueStanding]:
        """Count who takes from the services' queues and what waits in them. Raises BusUnavailable."""
        names, connection = self._topology.names, self._incoming.connection
        async with _asking("look at the queues"):
            found = {
                service: await queue_standing(connection, names.step_queue(service)) for service in services
            }
        return {service: standing for service, standing in found.items() if standing is not None}

    async def missing(self) -> Collection[str]:
        """Name the declared exchanges and queues that are not there now. Raises BusUnavailable."""
        async with _asking("look for the queues"):
            return await missing(self._incoming.connection, self._topology)

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call back each time one of the two connections is usable again after it was away."""
        self._callbacks.append(callback)

    async def close(self) -> None:
        """Let go of the connections; what is unacknowledged is delivered again to others."""
        await asyncio.gather(self._incoming.close(), self._outgoing.close())

    def _returned(self) -> None:
        if self._observer is not None:
            self._observer.counted("bus_returned")
        for callback in self._callbacks:
            callback()

    def _count_lost_ack(self) -> None:
        self.acks_lost += 1
        if self._observer is not None:
            self._observer.counted("ack_lost")


@asynccontextmanager
async def _asking(what: str) -> AsyncIterator[None]:
    """Bound a question to the broker and translate what goes wrong with it."""
    try:
        async with asyncio.timeout(_ASK_TIMEOUT_S):
            yield
    except TimeoutError as late:
        raise BusUnavailable(f"could not {what}: the broker did not answer in time") from late
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise BusUnavailable(f"could not {what}: the connection was lost") from None
    except (aiormq.AMQPError, RuntimeError, OSError) as error:
        raise BusUnavailable(f"could not {what}: {error!r}") from error
