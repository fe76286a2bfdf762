"""The bus without a broker: the ports for the coordinator and for participants, over one shared switch."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial

from adapters.embedded.lines import Consumer, EmbeddedDelivery
from adapters.embedded.messages import NewMessage
from adapters.embedded.routing import COORDINATOR, exchange_name, queue_for, service_queue
from adapters.embedded.switch import Switch
from saga.errors import BusUnavailable, OutcomeUnknown, StoreUnavailable
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
from saga.ports.clock import Clock
from saga.ports.participants import CARRIAGE, Carriage, CommandHandler, NoReply, ReplyMessage

GRACE_S = 8.0


class EmbeddedBus:
    """One user's view of the switch; closing it gives back what that user had in hand, no more."""

    def __init__(self, switch: Switch, clock: Clock) -> None:
        self._switch = switch
        self._clock = clock
        self._consumers: list[Consumer] = []
        self._closed = False

    async def declare(self, services: Collection[str]) -> None:
        """Declare the coordinators' queue and one per service; they stay over restarts."""
        try:
            await self._switch.declare([COORDINATOR, *(service_queue(service) for service in services)])
        except (StoreUnavailable, OutcomeUnknown) as error:
            raise BusUnavailable(f"the queues could not be declared: {error}") from error

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Put the message on the queue that its key leads to; durable on return.

        A command that an append has put in line already is not written again.
        """
        if self._closed:
            raise BusUnavailable("the bus is closed")
        queue = queue_for(message.exchange, message.routing_key)
        if message.exchange is Exchange.COMMANDS and self._switch.was_sent_ahead(message.message_id):
            return PublishResult.CONFIRMED
        if queue is None or not self._switch.has(queue):
            return PublishResult.RETURNED if message.mandatory else PublishResult.CONFIRMED
        new = NewMessage(
            queue=queue,
            exchange=exchange_name(message.exchange),
            routing_key=message.routing_key,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            kind=message.kind,
            timestamp=message.timestamp,
            arrived_at=self._clock.now(),
            body=message.body,
            app_id=APP_ID,
            headers=message.headers,
        )
        try:
            await self._switch.put(new)
        except (StoreUnavailable, OutcomeUnknown) as error:
            raise BusUnavailable(f"message {message.message_id} was not confirmed: {error}") from error
        return PublishResult.CONFIRMED

    async def consume(self, handler: DeliveryHandler, *, prefetch: int) -> Consumption:
        """Deliver the coordinators' messages, at most `prefetch` unacknowledged at once."""
        await self.declare(())
        consumer = self._switch.consume(COORDINATOR, handler, limit=prefetch)
        self._consumers.append(consumer)
        return consumer

    @property
    def reply_key(self) -> str:
        """Give the one prefix there is: all replies come to one queue."""
        return REPLY_KEY

    async def dead_letter(self, delivery: Delivery, *, reason: str, detail: str) -> None:
        """Keep the message, untouched, in the table of dead letters with the reason; durable on return."""
        if not isinstance(delivery, EmbeddedDelivery):
            raise TypeError("this delivery came from another bus")
        try:
            await self._switch.bury(delivery, reason=reason, detail=detail, at=self._clock.now())
        except (StoreUnavailable, OutcomeUnknown) as error:
            raise BusUnavailable(f"the dead letter was not confirmed: {error}") from error

    async def consumers(self) -> int:
        """Count the consumers of the coordinators' queue."""
        if self._closed:
            raise BusUnavailable("the bus is closed")
        return self._switch.consumers(COORDINATOR)

    async def unserved(self, services: Collection[str]) -> Collection[str]:
        """Name those of the services whose queue has no consumer now."""
        return [service for service in services if not self._switch.consumers(service_queue(service))]

    async def standings(self, services: Collection[str]) -> Mapping[str, QueueStanding]:
        """Count who takes from the services' queues and what waits in them."""
        if self._closed:
            raise BusUnavailable("the bus is closed")
        try:
            return {
                service: QueueStanding(self._switch.consumers(queue), await self._switch.waiting(queue))
                for service in services
                if self._switch.has(queue := service_queue(service))
            }
        except (StoreUnavailable, OutcomeUnknown) as error:
            raise BusUnavailable(f"the queues could not be counted: {error}") from error

    async def missing(self) -> Collection[str]:
        """Name nothing: what was declared is a row of the same file."""
        if self._closed:
            raise BusUnavailable("the bus is closed")
        return ()

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call back each time the file takes writes again after it did not."""
        self._switch.on_return(callback)

    async def close(self) -> None:
        """Break off this user's handlers; what they had not acknowledged goes back to the front."""
        self._closed = True
        await _abandon(self._consumers)


class EmbeddedParticipants:
    """Bring commands to services in the same process, and their replies to the coordinators' queue."""

    def __init__(self, switch: Switch, clock: Clock, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._switch = switch
        self._clock = clock
        self._opened_at = clock.now()  # what came before may have been in the hands of an earlier server
        self._consumers: list[Consumer] = []

    async def serve(self, service: str, handler: CommandHandler, *, concurrency: int) -> Consumption:
        """Declare the service's queue and hand its commands to `handler`.

        The reply and the end of its command are one transaction. An unanswerable command is kept among
        the dead letters.
        """
        try:
            await self._switch.declare([service_queue(service), COORDINATOR])
        except (StoreUnavailable, OutcomeUnknown) as error:
            raise BusUnavailable(f"the queue of {service} could not be declared: {error}") from error

        consumer = self._switch.consume(
            service_queue(service), partial(self._handle, handler), limit=concurrency
        )
        self._consumers.append(consumer)
        return consumer

    async def report(self, message: ReplyMessage) -> None:
        """Put a progress report on the coordinators' queue; durable on return. Raises BusUnavailable."""
        new = self._message(message)
        if not self._switch.has(new.queue):
            raise BusUnavailable(f"no queue takes {message.routing_key}")
        try:
            await self._switch.put(new)
        except (StoreUnavailable, OutcomeUnknown) as error:
            raise BusUnavailable(f"message {message.message_id} was not confirmed: {error}") from error

    async def close(self) -> None:
        """Take no more, finish what is in hand within the grace, put the rest back to the front."""
        await _abandon(self._consumers, grace_s=self._grace_s)

    async def _handle(self, handler: CommandHandler, delivery: Delivery) -> None:
        if not isinstance(delivery, EmbeddedDelivery):
            raise TypeError("this delivery came from another bus")
        traceparent = delivery.headers.get("traceparent")
        CARRIAGE.set(
            Carriage(
                traceparent if isinstance(traceparent, str) else None,
                may_have_come_before=delivery.message.arrived_at <= self._opened_at,
            )
        )
        reply = await handler(delivery.body)
        if not isinstance(reply, NoReply):
            await self._switch.answer(delivery, self._message(reply))
            return
        if reply is NoReply.UNANSWERABLE:
            detail = "the participant could not answer it"
            await self._switch.bury(delivery, reason="unanswerable", detail=detail, at=self._clock.now())
        await delivery.acknowledge()

    def _message(self, reply: ReplyMessage) -> NewMessage:
        now = self._clock.now()
        return NewMessage(
            queue=queue_for(Exchange.EVENTS, reply.routing_key) or "",
            exchange=exchange_name(Exchange.EVENTS),
            routing_key=reply.routing_key,
            message_id=reply.message_id,
            correlation_id=reply.correlation_id,
            kind=reply.routing_key,
            timestamp=now,
            arrived_at=now,
            body=reply.body,
        )


async def _abandon(consumers: list[Consumer], *, grace_s: float = 0) -> None:
    """Let go of consumers, and with them of what they have in hand when the grace is over."""
    abandoned = consumers[:]
    consumers.clear()
    await asyncio.gather(*(consumer.abandon(grace_s=grace_s) for consumer in abandoned))
