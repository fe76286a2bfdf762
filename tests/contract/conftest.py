"""The adapters that the contract suites run over: another one joins by one line in `ADAPTERS`."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

from adapters.embedded.store import EmbeddedStore
from adapters.mongodb import Driver, MongoStore
from saga.testing import (
    InMemoryDefinitionStore,
    InMemoryDeliveryStore,
    InMemoryEventLog,
    InMemoryLockStore,
    InMemoryProjectionStore,
    InMemoryServiceReports,
    LoopClock,
)
from tests.support.servers import MongoServer, ServerError, find_mongod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from saga.ports.clock import Clock
    from saga.ports.definitions import DefinitionStore
    from saga.ports.deliveries import DeliveryStore
    from saga.ports.event_log import EventLog
    from saga.ports.locks import LockStore
    from saga.ports.projections import ProjectionStore
    from saga.ports.service_reports import ServiceReports


class Store(Protocol):
    """What every store has: the ports that stand on it."""

    @property
    def log(self) -> EventLog:
        """The truth."""

    @property
    def projections(self) -> ProjectionStore:
        """What it amounts to."""

    @property
    def definitions(self) -> DefinitionStore:
        """What processes follow."""

    @property
    def locks(self) -> LockStore:
        """Who may work on what."""

    @property
    def deliveries(self) -> DeliveryStore:
        """What callback addresses are told."""

    @property
    def service_reports(self) -> ServiceReports:
        """How services look from those who call them."""

    @property
    def clock(self) -> Clock:
        """The time that all share."""


@pytest.fixture(scope="session")
def standalone_mongodb_url() -> Iterator[str]:
    """Give the address of a mongod that is no replica set."""
    try:
        find_mongod()
    except ServerError as error:
        pytest.skip(str(error))
    with MongoServer(replica_set=None) as server:
        yield server.url


def _mongodb(
    driver: Driver, address: str = "mongodb_url"
) -> Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Store]]:
    @asynccontextmanager
    async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
        url = str(request.getfixturevalue(address))
        database = str(request.getfixturevalue("mongodb_database"))
        store = await MongoStore.open(url, database, driver=driver)
        try:
            yield store
        finally:
            await store.close()

    return opened


@asynccontextmanager
async def _sqlite(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store = await EmbeddedStore.open(request.getfixturevalue("tmp_path"))
    try:
        yield store
    finally:
        await store.close()


@dataclass
class _InMemoryStore:
    """The ports of the testing kit, which need no opening."""

    log: EventLog = field(default_factory=InMemoryEventLog)
    projections: ProjectionStore = field(default_factory=InMemoryProjectionStore)
    definitions: DefinitionStore = field(default_factory=InMemoryDefinitionStore)
    locks: LockStore = field(default_factory=InMemoryLockStore)
    deliveries: DeliveryStore = field(default_factory=InMemoryDeliveryStore)
    service_reports: ServiceReports = field(default_factory=InMemoryServiceReports)
    clock: Clock = field(default_factory=lambda: LoopClock(time.time_ns() // 1_000_000))


@asynccontextmanager
async def _in_memory(_: pytest.FixtureRequest) -> AsyncIterator[Store]:
    yield _InMemoryStore()


ADAPTERS = {
    "memory": _in_memory,
    "motor": _mongodb(Driver.MOTOR),
    "pymongo": _mongodb(Driver.PYMONGO),
    "standalone": _mongodb(Driver.MOTOR, "standalone_mongodb_url"),
    "sqlite": _sqlite,
}
_WITHOUT_SERVER = {"memory", "sqlite"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=[] if name in _WITHOUT_SERVER else [pytest.mark.servers])
        for name in ADAPTERS
    ]
)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Give an empty store, once per adapter."""
    async with ADAPTERS[request.param](request) as opened:
        yield opened
