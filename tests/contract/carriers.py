"""The ways that messages travel, each as a bus and a transport for participants on it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.embedded.store import EmbeddedStore
from adapters.rabbitmq.bus import RabbitBus
from adapters.rabbitmq.participants import RabbitParticipants
from saga.ports.bus import Exchange, OutgoingMessage
from saga.testing import InMemoryBroker, InMemoryBus, InMemoryParticipants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from saga.ports.bus import Delivery, MessageBus
    from saga.ports.participants import ParticipantTransport

NOW = 1_764_000_000_123


@dataclass(frozen=True, slots=True)
class Carrier:
    """Hold a bus and the participants' side of the same queues."""

    bus: MessageBus
    participants: ParticipantTransport


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Carrier]:
    """Open the bus without a broker."""
    store = await EmbeddedStore.open(folder)
    try:
        yield Carrier(store.bus, store.participants)
    finally:
        await store.close()


@asynccontextmanager
async def memory() -> AsyncIterator[Carrier]:
    """Open the bus of the testing kit."""
    broker = InMemoryBroker()
    carrier = Carrier(InMemoryBus(broker), InMemoryParticipants(broker))
    try:
        yield carrier
    finally:
        await carrier.participants.close()
        await carrier.bus.close()


@asynccontextmanager
async def rabbitmq(url: str, prefix: str) -> AsyncIterator[Carrier]:
    """Open the bus and the transport on a broker."""
    bus = await RabbitBus.open(url, prefix=prefix)
    participants = await RabbitParticipants.open(url, prefix=prefix)
    try:
        yield Carrier(bus, participants)
    finally:
        await participants.close()
        await bus.close()


class Inbox:
    """Take deliveries and keep them; acknowledges each unless told otherwise."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        """Begin empty."""
        self.deliveries: list[Delivery] = []
        self._acknowledges = acknowledges

    async def __call__(self, delivery: Delivery) -> None:
        """Handle a delivery."""
        self.deliveries.append(delivery)
        if self._acknowledges:
            await delivery.acknowledge()

    @property
    def bodies(self) -> list[bytes]:
        """The bodies so far, in the order they came."""
        return [delivery.body for delivery in self.deliveries]


def message(
    body: bytes = b"{}",
    *,
    key: str = "process.start",
    exchange: Exchange = Exchange.COMMANDS,
    message_id: str = "m1",
    headers: Mapping[str, str] | None = None,
    mandatory: bool = True,
) -> OutgoingMessage:
    """Make a message for the coordinators' queue, unless told otherwise."""
    return OutgoingMessage(
        exchange=exchange,
        routing_key=key,
        body=body,
        message_id=message_id,
        correlation_id="p1",
        kind="start",
        timestamp=NOW,
        headers=headers or {},
        mandatory=mandatory,
    )
