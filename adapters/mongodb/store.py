"""The store as a whole: one client, and the ports that stand on it."""

import asyncio
from dataclasses import dataclass
from typing import Self

from pymongo.errors import PyMongoError

from adapters.mongodb.client import Connection, Driver, connect
from adapters.mongodb.clock import StoreClock, server_time
from adapters.mongodb.definitions import MongoDefinitionStore
from adapters.mongodb.deliveries import MongoDeliveryStore
from adapters.mongodb.event_log import MongoEventLog
from adapters.mongodb.failures import unavailable
from adapters.mongodb.indexes import create_indexes
from adapters.mongodb.locks import MongoLockStore
from adapters.mongodb.projections import MongoProjectionStore
from adapters.mongodb.service_reports import MongoServiceReports
from saga.errors import NotReady, StoreUnavailable

_AGAIN_S = 1.0


@dataclass(slots=True)
class MongoStore:
    """Hold the log, projections, definitions, locks, deliveries, reports and the clock of one database."""

    log: MongoEventLog
    projections: MongoProjectionStore
    definitions: MongoDefinitionStore
    locks: MongoLockStore
    deliveries: MongoDeliveryStore
    service_reports: MongoServiceReports
    clock: StoreClock
    _connection: Connection
    _is_prepared: bool = False
    _preparing: "asyncio.Task[None] | None" = None

    @classmethod
    async def open(
        cls,
        url: str,
        database: str,
        *,
        driver: Driver = Driver.MOTOR,
        timeout_ms: int = 1_500,
    ) -> Self:
        """Connect, create the indexes and learn the store's time.

        Where the server is away the store is given all the same: its calls raise StoreUnavailable, its clock
        and `ping` say NotReady, and it goes on preparing itself until the server is back.
        `timeout_ms` bounds each round trip and the search for a server; it may be short, because every write
        here may be repeated.
        """
        connection = connect(url, database, driver=driver, timeout_ms=timeout_ms)
        chosen = connection.database
        store = cls(
            log=MongoEventLog(chosen["events"]),
            projections=MongoProjectionStore(chosen),
            definitions=MongoDefinitionStore(chosen),
            locks=MongoLockStore(chosen),
            deliveries=MongoDeliveryStore(chosen),
            service_reports=MongoServiceReports(chosen),
            clock=StoreClock(lambda: server_time(chosen)),
            _connection=connection,
        )
        await store._prepare()
        store.clock.start()
        if not store._is_prepared:
            store._preparing = asyncio.create_task(store._prepare_until_done())
        return store

    async def ping(self) -> None:
        """Ask the server for a sign of life. Raises StoreUnavailable, or NotReady while it is unprepared."""
        with unavailable():
            await self._connection.database.command({"ping": 1})
        if not self._is_prepared:
            raise NotReady("the store's indexes are not there yet")
        self.clock.now()

    async def close(self) -> None:
        """Finish what is in hand, then let go of the connections."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
        await self.clock.close()
        await self.log.close()
        await self.projections.close()
        await self._connection.close()

    async def _prepare(self) -> None:
        try:
            await self.clock.sample()
            await create_indexes(self._connection.database)
        except (StoreUnavailable, NotReady, PyMongoError):
            return
        self._is_prepared = True

    async def _prepare_until_done(self) -> None:
        while not self._is_prepared:
            await asyncio.sleep(_AGAIN_S)
            await self._prepare()
