"""The port to the message bus: commands and events out, replies, starts and wakes in."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from saga.values import value

# What every message of ours names as its sender.
APP_ID = "batuta"


class Exchange(StrEnum):
    """Name the two exchanges by their purpose; the adapter puts the configured prefix before them."""

    COMMANDS = "commands"
    EVENTS = "events"


@value
class OutgoingMessage:
    """Hold a message to publish; it is always persistent and always confirmed.

    `mandatory` asks to be told when no queue takes it. `timestamp` is milliseconds. `headers` hold text only.
    """

    exchange: Exchange
    routing_key: str
    body: bytes
    message_id: str
    correlation_id: str
    kind: str
    timestamp: int
    headers: Mapping[str, str] = field(default_factory=dict)
    mandatory: bool = False


class PublishResult(StrEnum):
    """Tell what the broker said: it has the message, or no queue wanted a mandatory one."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"


@value
class QueueStanding:
    """Tell who takes from a queue, and how many messages wait there in nobody's hands."""

    consumers: int
    waiting: int


class Delivery(Protocol):
    """One message that was received and is not acknowledged yet; the body is the bytes as they came."""

    @property
    def body(self) -> bytes: ...
    @property
    def exchange(self) -> str:
        """Give the exchange's name as the broker knows it."""
        ...

    @property
    def routing_key(self) -> str: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def app_id(self) -> str | None: ...
    @property
    def content_encoding(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, object]: ...
    @property
    def tag(self) -> str | None:
        """Name this delivery to a store that keeps the messages too (see `Cause.delivery`); else None."""
        ...

    async def acknowledge(self) -> None:
        """Say that the message is done; on a lost channel nothing happens, the broker delivers it again."""
        ...


class Consumption(Protocol):
    """A running consumer of the coordinators' queue."""

    async def stop(self) -> None:
        """Take no more messages; those in hand stay unacknowledged until they are acknowledged."""
        ...


DeliveryHandler = Callable[[Delivery], Awaitable[None]]


class MessageBus(Protocol):
    """Move messages; the adapter owns connections, reconnects and the topology."""

    async def declare(self, services: Collection[str]) -> None:
        """Declare the exchanges, the coordinators' queue, the dead letters' and one queue per service.

        Declaring again is harmless; it is repeated by itself after the broker lost them.
        """
        ...

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Publish and wait for the confirm. Concurrent calls share the channel.

        Raises BusUnavailable when it was not confirmed in time; it may arrive all the same.
        """
        ...

    async def consume(self, handler: DeliveryHandler, *, prefetch: int) -> Consumption:
        """Deliver the coordinators' messages to `handler`, at most `prefetch` of a queue unacknowledged at once.

        The handler is called concurrently and must not raise. The consumer comes back by itself after
        every kind of loss (connection, channel, cancelled consumer, deleted queue).
        """
        ...

    @property
    def reply_key(self) -> str:
        """Give the prefix of the routing keys by which replies come to what is consumed here, as things stand.

        It only says where a reply is best taken: every coordinator may take every reply.
        """
        ...

    async def dead_letter(self, delivery: Delivery, *, reason: str, detail: str) -> None:
        """Publish the message, untouched, to the dead letters with the reason; confirmed on return.

        Does not acknowledge it. Raises BusUnavailable.
        """
        ...

    async def consumers(self) -> int:
        """Count the consumers of the coordinators' queue. Raises BusUnavailable."""
        ...

    async def unserved(self, services: Collection[str]) -> Collection[str]:
        """Name those of the services whose queue has no consumer now. Raises BusUnavailable."""
        ...

    async def standings(self, services: Collection[str]) -> Mapping[str, QueueStanding]:
        """Tell how the queues of services stand, by service; one without a queue is left out.

        Raises BusUnavailable.
        """
        ...

    async def missing(self) -> Collection[str]:
        """Name the declared exchanges and queues that are not there now. Raises BusUnavailable."""
        ...

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call back each time the bus is usable again after it was away."""
        ...

    async def close(self) -> None:
        """Let go of the connections; what is unacknowledged is delivered again to others."""
        ...
