"""What stands on the broker: names by prefix, arguments as the contract has them, declaring and looking.

Nothing here publishes or consumes. Everything is done on a channel of its own, because a refused declaration
closes its channel, and with it whatever else is under way there.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aio_pika import ExchangeType
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.common import FieldTable

from adapters.rabbitmq.connection import transport
from saga.errors import BusUnavailable
from saga.messages.command import NAME_PATTERN, REPLY_KEY
from saga.ports.bus import Exchange, QueueStanding

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SERVICE = re.compile(NAME_PATTERN)
_REPLIES = ("completed", "failed", "progress")
# So many coordinators can each have their replies to themselves; an empty queue costs the broker little.
PARTITIONS = 16
_DELIVERY_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Names:
    """Derive every name on the broker from the prefix; raises ValueError for one that can't be a prefix."""

    prefix: str = "saga"

    def __post_init__(self) -> None:
        """Refuse a prefix that could change the meaning of a name."""
        if _PREFIX.fullmatch(self.prefix) is None:
            raise ValueError(
                f"the AMQP prefix {self.prefix!r} must be 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'"
            )

    def exchange(self, exchange: Exchange) -> str:
        """Name one of the two exchanges that the port knows."""
        return f"{self.prefix}.{exchange.value}"

    def queue_arguments(self) -> FieldTable:
        """Give the arguments of every queue."""
        return {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": self.dead,
            "x-delivery-limit": _DELIVERY_LIMIT,
        }

    @property
    def dead(self) -> str:
        """Name the exchange of the dead letters."""
        return f"{self.prefix}.dead"

    @property
    def dead_letter_queue(self) -> str:
        """Name the queue that keeps the dead letters."""
        return f"{self.prefix}.dead-letter"

    @property
    def coordinator_queue(self) -> str:
        """Name the queue that all coordinators share."""
        return f"{self.prefix}.coordinator"

    def partition_queue(self, number: int) -> str:
        """Name the queue of the replies to whichever coordinator holds this partition."""
        return f"{self.coordinator_queue}.{number}"

    def partition_claim(self, number: int) -> str:
        """Name the exclusive queue that says, for as long as its connection lives, who holds a partition."""
        return f"{self.coordinator_queue}.{number}.held"

    def reply_key(self, number: int | None = None) -> str:
        """Give the prefix of the routing keys of replies to a partition, or to the queue that all share."""
        return REPLY_KEY if number is None else f"{REPLY_KEY}-{number}"

    def step_queue(self, service: str) -> str:
        """Name a service's queue; raises ValueError for what can't be a service's name."""
        if _SERVICE.fullmatch(service) is None:
            raise ValueError(f"{service!r} can't be the name of a service: it must match {NAME_PATTERN}")
        return f"{self.prefix}.step.{service}"


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """Say how one queue is bound: pairs of exchange and routing key."""

    name: str
    bindings: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Topology:
    """Hold what must exist: exchanges, the queues of `services`, and for an orchestrator its own two queues.

    Grows when services are added; whoever reconnects declares all of it again.
    """

    names: Names
    is_orchestrator: bool = True
    services: set[str] = field(default_factory=set)

    def exchanges(self) -> Iterator[tuple[str, ExchangeType]]:
        """List the exchanges with their kinds."""
        yield self.names.exchange(Exchange.COMMANDS), ExchangeType.TOPIC
        yield self.names.exchange(Exchange.EVENTS), ExchangeType.TOPIC
        yield self.names.dead, ExchangeType.FANOUT

    def queues(self) -> Iterator[QueueSpec]:
        """List the queues with their bindings."""
        commands = self.names.exchange(Exchange.COMMANDS)
        if self.is_orchestrator:
            yield QueueSpec(self.names.dead_letter_queue, ((self.names.dead, ""),))
            replies = _reply_bindings(self.names)
            yield QueueSpec(self.names.coordinator_queue, ((commands, "process.*"), *replies))
        for service in sorted(self.services):
            yield QueueSpec(self.names.step_queue(service), ((commands, f"step.{service}.*"),))


async def declare(connection: AbstractConnection, topology: Topology) -> None:
    """Declare everything, or only look where this user may not declare; harmless when all is there.

    Raises BusUnavailable when something is missing that this user may not make, or when a queue is there
    with other arguments: neither is mended by trying again, so the message says what to do.
    """
    try:
        async with throwaway_channel(connection) as channel:
            await _declare_all(channel, topology)
    except ChannelAccessRefused as refused:
        # Least privilege: the names were made by somebody else. Bindings can't be looked at over AMQP.
        absent = await missing(connection, topology)
        if absent:
            raise BusUnavailable(
                f"{', '.join(absent)} must be declared first, and this user may not: {refused}"
            ) from refused
    except ChannelPreconditionFailed as refused:
        raise BusUnavailable(
            f"the broker has one of our names with other arguments; delete it there: {refused}"
        ) from refused


async def declare_partition(channel: AbstractChannel, names: Names, number: int) -> None:
    """Declare a partition and all those before it, so that who counts them up never meets a gap."""
    for each in range(1, number + 1):
        await _declare_queue(
            channel, names, QueueSpec(names.partition_queue(each), _reply_bindings(names, each))
        )


async def missing(connection: AbstractConnection, topology: Topology) -> Collection[str]:
    """Name what isn't there now, by passive declarations; needs no right to configure."""
    exchanges = [
        name
        for name, kind in topology.exchanges()
        if not await _is_there(connection, exchange=name, kind=kind)
    ]
    queues = [spec.name for spec in topology.queues() if await consumer_count(connection, spec.name) is None]
    return exchanges + queues


async def consumer_count(connection: AbstractConnection, queue: str) -> int | None:
    """Count the consumers of a queue; None when there is no such queue."""
    standing = await queue_standing(connection, queue)
    return None if standing is None else standing.consumers


async def queue_standing(connection: AbstractConnection, queue: str) -> QueueStanding | None:
    """Count the consumers of a queue and what waits in it; None when there is no such queue."""
    try:
        async with throwaway_channel(connection) as channel:
            return await standing_of(channel, queue)
    except ChannelNotFoundEntity:
        return None


async def standing_of(channel: AbstractChannel, queue: str) -> QueueStanding:
    """Count the consumers of a queue and what waits in it. Raises ChannelNotFoundEntity: the channel is lost."""
    found = await channel.queue_declare(queue, passive=True)
    return QueueStanding(found.consumer_count or 0, found.message_count or 0)


@asynccontextmanager
async def throwaway_channel(connection: AbstractConnection) -> AsyncIterator[AbstractChannel]:
    """Open a channel for something that may be refused; a refusal closes this one only.

    It is the driver's own. Of each channel of aio-pika's the driver keeps two kilobytes until the connection
    ends (aio-pika 10.2 on aiormq 7.2): with a few of them a second that is hundreds of megabytes a day.
    """
    channel = await transport(connection).connection.channel(publisher_confirms=False)
    try:
        yield channel
    finally:
        if not channel.is_closed:
            await channel.close()


async def _declare_all(channel: AbstractChannel, topology: Topology) -> None:
    for name, kind in topology.exchanges():
        await channel.exchange_declare(name, exchange_type=kind.value, durable=True)
    for spec in topology.queues():
        await _declare_queue(channel, topology.names, spec)


async def _declare_queue(channel: AbstractChannel, names: Names, spec: QueueSpec) -> None:
    await channel.queue_declare(spec.name, durable=True, arguments=names.queue_arguments())
    for exchange, key in spec.bindings:
        await channel.queue_bind(spec.name, exchange, key)


def _reply_bindings(names: Names, partition: int | None = None) -> tuple[tuple[str, str], ...]:
    events, prefix = names.exchange(Exchange.EVENTS), names.reply_key(partition)
    return tuple((events, f"{prefix}.{word}") for word in _REPLIES)


async def _is_there(connection: AbstractConnection, *, exchange: str, kind: ExchangeType) -> bool:
    try:
        async with throwaway_channel(connection) as channel:
            await channel.exchange_declare(exchange, exchange_type=kind.value, passive=True)
    except ChannelNotFoundEntity:
        return False
    return True
