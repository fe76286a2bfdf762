"""Open what a server stands on: RabbitMQ and MongoDB, or one SQLite file where no setting names them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.settings import Settings, StoreSettings
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock
from saga.ports.definitions import DefinitionStore
from saga.ports.deliveries import DeliveryStore
from saga.ports.event_log import EventLog
from saga.ports.locks import LockStore
from saga.ports.observer import Observer
from saga.ports.participants import ParticipantTransport
from saga.ports.projections import ProjectionStore
from saga.ports.service_reports import ServiceReports


@dataclass(frozen=True, slots=True)
class Backends:
    """Hold the ports of one server. `ping` raises where the store can't be used now."""

    log: EventLog
    projections: ProjectionStore
    definitions: DefinitionStore
    locks: LockStore
    deliveries: DeliveryStore
    service_reports: ServiceReports
    clock: Clock
    bus: MessageBus
    connect_participants: Callable[[], Awaitable[ParticipantTransport]]
    ping: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StorePorts:
    """Hold the ports of a store alone, without a broker."""

    log: EventLog
    projections: ProjectionStore
    definitions: DefinitionStore
    clock: Clock


@asynccontextmanager
async def opened_store(settings: StoreSettings, *, may_write: bool) -> AsyncIterator[StorePorts]:
    """Open the store that the settings name, and close it at the end.

    The embedded one is read beside a running server, and written only while there is none. Raises StoreInUse,
    NewerSchema, NotReady and StoreUnavailable.
    """
    if settings.mongodb_url is None:
        from adapters.embedded.store import EmbeddedStore  # noqa: PLC0415 - loads only the drivers that are used

        open_ = EmbeddedStore.open if may_write else EmbeddedStore.open_to_read
        embedded = await open_(settings.data)
        try:
            yield StorePorts(embedded.log, embedded.projections, embedded.definitions, embedded.clock)
        finally:
            await embedded.close()
        return
    from adapters.mongodb.store import MongoStore  # noqa: PLC0415

    store = await MongoStore.open(settings.mongodb_url.get_secret_value(), settings.mongodb_database)
    try:
        await store.ping()
        yield StorePorts(store.log, store.projections, store.definitions, store.clock)
    finally:
        await store.close()


@asynccontextmanager
async def opened_backends(settings: Settings, observer: Observer) -> AsyncIterator[Backends]:
    """Open the backends that the settings name, and close them at the end."""
    if settings.amqp_url is None or settings.mongodb_url is None:
        async with _embedded(settings) as backends:
            yield backends
    else:
        async with _servers(
            settings,
            settings.amqp_url.get_secret_value(),
            settings.mongodb_url.get_secret_value(),
            observer,
        ) as backends:
            yield backends


@asynccontextmanager
async def _embedded(settings: Settings) -> AsyncIterator[Backends]:
    from adapters.embedded.store import EmbeddedStore  # noqa: PLC0415 - loads only the drivers that are used

    store = await EmbeddedStore.open(settings.data)

    async def connect() -> ParticipantTransport:
        return store.participants

    try:
        yield Backends(
            store.log,
            store.projections,
            store.definitions,
            store.locks,
            store.deliveries,
            store.service_reports,
            store.clock,
            store.bus,
            connect,
            store.ping,
        )
    finally:
        await store.close()


@asynccontextmanager
async def _servers(
    settings: Settings, amqp_url: str, mongodb_url: str, observer: Observer
) -> AsyncIterator[Backends]:
    from adapters.mongodb.store import MongoStore  # noqa: PLC0415 - loads only the drivers that are used
    from adapters.rabbitmq.bus import RabbitBus  # noqa: PLC0415

    async def connect() -> ParticipantTransport:
        from adapters.rabbitmq.participants import RabbitParticipants  # noqa: PLC0415 - not every server does

        return await RabbitParticipants.open(amqp_url, prefix=settings.amqp_prefix)

    # The store is opened while the broker is connected to: a start waits for the slower of them only.
    opening = asyncio.create_task(MongoStore.open(mongodb_url, settings.mongodb_database))
    try:
        bus = await RabbitBus.open(amqp_url, prefix=settings.amqp_prefix, observer=observer)
        try:
            store = await opening
            yield Backends(
                store.log,
                store.projections,
                store.definitions,
                store.locks,
                store.deliveries,
                store.service_reports,
                store.clock,
                bus,
                connect,
                store.ping,
            )
        finally:
            await bus.close()
    finally:
        await (await opening).close()
