"""The bus in memory: the ports for coordinators and for participants, over one shared broker."""

from collections.abc import Callable, Collection, Mapping

from saga.errors import BusUnavailable
from saga.messages.command import REPLY_KEY
from saga.ports.bus import (
    APP_ID,
    Consumption,
    Delivery,
    DeliveryHandler,
    Exchange,
    OutgoingMessage,
    PublishResult,
    QueueStanding,
)
from saga.ports.participants import CARRIAGE, Carriage, CommandHandler, NoReply, ReplyMessage
from saga.testing.broker import (
    COORDINATOR,
    Consumer,
    InMemoryBroker,
    InMemoryDelivery,
    InMemoryMessage,
    consume,
    exchange_name,
    service_queue,
)

GRACE_S = 8.0


class InMemoryBus:
    """One server's view of the broker; implements `saga.ports.bus.MessageBus`."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self._broker = broker
        self._consumers: list[Consumer] = []
        self._callbacks: list[Callable[[], None]] = []
        self._closed = False

    async def declare(self, services: Collection[str]) -> None:
        """Declare the coordinators' queue and one per service."""
        self._broker.declare(services)

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Put the message on the queue that its key leads to."""
        if self._closed:
            raise BusUnavailable("the bus is closed")
        is_queued = self._broker.put(as_in_memory(message))
        return PublishResult.CONFIRMED if is_queued or not message.mandatory else PublishResult.RETURNED

    async def consume(self, handler: DeliveryHandler, *, prefetch: int) -> Consumption:
        """Deliver the coordinators' messages, at most `prefetch` unacknowledged at once."""
        self._broker.declare(())
        return consume(self._broker, COORDINATOR, handler, prefetch, self._consumers)

    @property
    def reply_key(self) -> str:
        """Give the one prefix there is: all replies come to one queue."""
        return REPLY_KEY

    async def dead_letter(self, delivery: Delivery, *, reason: str, detail: str) -> None:
        """Keep the message, untouched, among the dead letters."""
        if not isinstance(delivery, InMemoryDelivery):
            raise TypeError("this delivery came from another bus")
        self._broker.bury(delivery.message, reason=reason, detail=detail)

    async def consumers(self) -> int:
        """Count the consumers of the coordinators' queue."""
        return self._broker.consumers(COORDINATOR)

    async def unserved(self, services: Collection[str]) -> Collection[str]:
        """Name those of the services whose queue has no consumer now."""
        return [service for service in services if not self._broker.consumers(service_queue(service))]

    async def standings(self, services: Collection[str]) -> Mapping[str, QueueStanding]:
        """Count who takes from the services' queues and what waits in them."""
        return {
            service: QueueStanding(self._broker.consumers(queue), self._broker.in_line(queue))
            for service in services
            if self._broker.has(queue := service_queue(service))
        }

    async def missing(self) -> Collection[str]:
        """Name the queues that were declared and are not there now."""
        return self._broker.missing()

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call back after each `lose_connection`."""
        self._callbacks.append(callback)

    def lose_connection(self) -> None:
        """Break the connection: what is in hand goes back in line, and its acknowledgements come too late."""
        for consumer in self._consumers:
            consumer.give_back()
        for callback in self._callbacks:
            callback()

    async def close(self) -> None:
        """Break off the handlers; what they had not acknowledged goes back in line."""
        self._closed = True
        for consumer in self._consumers:
            consumer.abandon()


class InMemoryParticipants:
    """Bring commands to services and their replies back; a `saga.ports.participants.ParticipantTransport`."""

    def __init__(self, broker: InMemoryBroker, *, grace_s: float = GRACE_S) -> None:
        self._broker = broker
        self._grace_s = grace_s
        self._consumers: list[Consumer] = []

    async def serve(self, service: str, handler: CommandHandler, *, concurrency: int) -> Consumption:
        """Hand each command of the service to `handler`; an unanswerable one is kept as a dead letter."""

        async def handle(delivery: Delivery) -> None:
            traceparent = delivery.headers.get("traceparent")
            CARRIAGE.set(Carriage(traceparent if isinstance(traceparent, str) else None))
            reply = await handler(delivery.body)
            if not isinstance(reply, NoReply):
                self._broker.put(reply_in_memory(reply))
            elif reply is NoReply.UNANSWERABLE:
                self._bury(delivery)
            await delivery.acknowledge()

        self._broker.declare((service,))
        return consume(self._broker, service_queue(service), handle, concurrency, self._consumers)

    async def report(self, message: ReplyMessage) -> None:
        """Put a progress report in line."""
        self._broker.put(reply_in_memory(message))

    async def close(self) -> None:
        """Take no more, finish what is in hand within the grace, put the rest back."""
        for consumer in self._consumers:
            await consumer.finish(within_s=self._grace_s)
            consumer.abandon()

    def _bury(self, delivery: Delivery) -> None:
        if not isinstance(delivery, InMemoryDelivery):
            raise TypeError("this delivery came from another bus")
        detail = "the participant could not answer it"
        self._broker.bury(delivery.message, reason="unanswerable", detail=detail)


def as_in_memory(message: OutgoingMessage) -> InMemoryMessage:
    """Give a message as the broker keeps it."""
    return InMemoryMessage(
        exchange_name(message.exchange),
        message.routing_key,
        message.body,
        message.message_id,
        APP_ID,
        None,
        message.headers,
    )


def reply_in_memory(reply: ReplyMessage) -> InMemoryMessage:
    """Give a participant's reply as the broker keeps it."""
    return InMemoryMessage(exchange_name(Exchange.EVENTS), reply.routing_key, reply.body, reply.message_id)
