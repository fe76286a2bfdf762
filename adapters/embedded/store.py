"""Open and close the embedded default: one folder, one file, everything that a server needs of a store."""

import asyncio
import sqlite3
from pathlib import Path

from adapters.embedded.bus import EmbeddedBus, EmbeddedParticipants
from adapters.embedded.clock import MachineClock
from adapters.embedded.definitions import SqliteDefinitionStore
from adapters.embedded.deliveries import SqliteDeliveryStore
from adapters.embedded.event_log import SqliteEventLog
from adapters.embedded.folder import FILE_NAME, FolderLock
from adapters.embedded.lanes import Reader, Writer
from adapters.embedded.locks import SqliteLockStore
from adapters.embedded.messages import mark_orphans, read_queues
from adapters.embedded.projections import SqliteProjectionStore
from adapters.embedded.schema import check, prepare
from adapters.embedded.service_reports import EmbeddedServiceReports
from adapters.embedded.switch import Switch


class EmbeddedStore:
    """Hold the ports of one folder, for one server.

    `bus` is the coordinator's and the API's, `participants` the participants' in the same process.
    """

    def __init__(self, lock: FolderLock | None, writer: Writer, reader: Reader, switch: Switch) -> None:
        """Wire the parts; callers use `open`."""
        self.clock = MachineClock()
        self.log = SqliteEventLog(writer, reader, switch)
        self.projections = SqliteProjectionStore(writer, reader)
        self.definitions = SqliteDefinitionStore(writer, reader)
        self.locks = SqliteLockStore(writer, reader)
        self.deliveries = SqliteDeliveryStore(writer, reader)
        self.service_reports = EmbeddedServiceReports()
        self.bus = EmbeddedBus(switch, self.clock)
        self.participants = EmbeddedParticipants(switch, self.clock)
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._switch = switch
        self._further: list[EmbeddedBus] = []

    @classmethod
    async def open(cls, folder: Path) -> "EmbeddedStore":
        """Lock the folder and open its file; what was in hand when the last server ended is in line again.

        Raises StoreInUse for a second server, NewerSchema for a file of a newer version, StoreUnavailable.
        """
        lock = FolderLock(folder)
        try:
            file = folder / FILE_NAME
            await asyncio.to_thread(prepare, file)
            writer = Writer(file, name="saga-writer")
            reader = Reader(file, name="saga-reader")
            queues = await writer.run(_start)
        except BaseException:
            lock.release()
            raise
        return cls(lock, writer, reader, Switch(writer, queues))

    @classmethod
    async def open_to_read(cls, folder: Path) -> "EmbeddedStore":
        """Open the file beside whoever uses it, or alone; every write raises StoreUnavailable.

        SQLite lets any number of processes read beside the one that writes, and each read sees a whole
        transaction. Raises StoreUnavailable where there is no file, and NewerSchema.
        """
        file = folder / FILE_NAME
        await asyncio.to_thread(check, file)
        writer = Writer(file, name="saga-writer", may_write=False)
        return cls(None, writer, Reader(file, name="saga-reader", may_write=False), Switch(writer, ()))

    def further_bus(self) -> EmbeddedBus:
        """Give a bus of its own to one more coordinator in this process; the queues are shared."""
        bus = EmbeddedBus(self._switch, self.clock)
        self._further.append(bus)
        return bus

    async def ping(self) -> None:
        """Ask the writer and the reader whether they work. Raises StoreUnavailable."""
        await asyncio.gather(self._writer.run(_ask), self._reader.run(_ask))

    async def close(self) -> None:
        """Stop what runs, finish the writes that were taken, and let another server in."""
        await self.participants.close()
        await asyncio.gather(*(bus.close() for bus in (self.bus, *self._further)))
        await self._switch.close()
        await self._writer.close()
        await self._reader.close()
        if self._lock is not None:
            self._lock.release()


def _start(connection: sqlite3.Connection) -> list[str]:
    mark_orphans(connection)
    return read_queues(connection)


def _ask(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT 1 FROM schema_version").fetchone()
