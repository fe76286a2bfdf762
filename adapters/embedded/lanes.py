"""The two roads into the file: one lane writes, one reads; each works off many callers in one go.

A lane is one connection on one thread. While it is busy with a batch the next one gathers, so that a
hundred concurrent appends cost one commit and one hop between threads, and a lone one waits for nobody.
(The standard module on a thread: aiosqlite hops once per statement and reached a tenth of the appends.)
"""

import asyncio
import logging
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from adapters.embedded.schema import connect
from saga.errors import OutcomeUnknown, StoreUnavailable

T = TypeVar("T")

# Bounds the time that one batch holds the thread, and the size of one transaction.
BATCH_MAX = 500

_log = logging.getLogger(__name__)


class _Waiting(Protocol):
    def perform(self, connection: sqlite3.Connection) -> None: ...
    def refuse(self, error: Exception) -> None: ...
    def finish(self) -> None: ...


class _Job(Generic[T]):
    """One caller's work with the future that it waits on."""

    def __init__(
        self,
        work: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None] | None,
        future: "asyncio.Future[T]",
    ) -> None:
        self._work = work
        self._then = then
        self._future = future
        self._results: list[T] = []
        self._error: Exception | None = None

    def perform(self, connection: sqlite3.Connection) -> None:
        self._results.append(self._work(connection))

    def refuse(self, error: Exception) -> None:
        self._error = error

    def finish(self) -> None:
        if self._error is None:
            result = self._results[0]
            # Also for a caller that went away: what was committed must become known in memory.
            if self._then is not None:
                self._then(result)
            if not self._future.done():
                self._future.set_result(result)
        elif not self._future.done():
            self._future.set_exception(_translated(self._error))


class Lane(ABC):
    """Run the work of many callers on one connection, in order, many at a time."""

    def __init__(self, file: Path, *, name: str, may_write: bool = True) -> None:
        self._connection = connect(file)
        if not may_write:
            self._connection.execute("PRAGMA query_only = ON")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: list[_Waiting] = []
        self._drain: asyncio.Task[None] | None = None
        self._closed = False

    def run(
        self, work: Callable[[sqlite3.Connection], T], then: Callable[[T], None] | None = None
    ) -> "asyncio.Future[T]":
        """Run `work` on the lane's thread; its error is this caller's alone.

        `then` is called in the loop once the work is durable, in the order of the work and before the caller
        goes on; it must not raise. The future raises StoreUnavailable, and OutcomeUnknown of a writer.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("the embedded store is closed"))
            return future
        self._waiting.append(_Job(work, then, future))
        if self._drain is None:
            self._drain = loop.create_task(self._work_off())
        return future

    async def close(self) -> None:
        """Finish what was taken, then close the connection."""
        self._closed = True
        if self._drain is not None:
            await asyncio.shield(self._drain)
        self._thread.shutdown(wait=True)
        self._connection.close()

    async def _work_off(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            try:
                await loop.run_in_executor(self._thread, self._serve, batch)
            except Exception as error:  # noqa: BLE001 - each caller gets it; the lane goes on
                for job in batch:
                    job.refuse(error)
                self._in_doubt()
            for job in batch:
                job.finish()
        self._drain = None

    @abstractmethod
    def _serve(self, batch: list[_Waiting]) -> None:
        """Perform a batch on the lane's thread; raise when it failed as a whole."""

    def _in_doubt(self) -> None:  # noqa: B027 - a lane that changes nothing has nothing to do
        """Hear that a whole batch failed."""


class Reader(Lane):
    """Read what is committed, beside the writer and without waiting for it."""

    def _serve(self, batch: list[_Waiting]) -> None:
        for job in batch:
            try:
                job.perform(self._connection)
            except Exception as error:  # noqa: BLE001 - it belongs to this caller
                job.refuse(error)


class Writer(Lane):
    """Write in batches: one transaction each, in which every item stands or fails for itself."""

    def __init__(self, file: Path, *, name: str, may_write: bool = True) -> None:
        super().__init__(file, name=name, may_write=may_write)
        self._doubters: list[Callable[[], None]] = []

    def on_doubt(self, callback: Callable[[], None]) -> None:
        """Call back when a batch failed as a whole: memory may no longer show what the file holds."""
        self._doubters.append(callback)

    def _in_doubt(self) -> None:
        for callback in self._doubters:
            callback()

    def _serve(self, batch: list[_Waiting]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._perform(job)
        except BaseException:
            self._roll_back()
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            # The frames may be in the file, and a recovery after a crash would take them as committed.
            raise OutcomeUnknown(f"the embedded store did not confirm a commit: {error}") from error

    def _perform(self, job: _Waiting) -> None:
        self._connection.execute("SAVEPOINT item")
        try:
            job.perform(self._connection)
        except Exception as error:  # noqa: BLE001 - it belongs to this caller
            job.refuse(error)
            # Raises where the fault ended the whole transaction (a full disk, say): then all of it failed.
            self._connection.execute("ROLLBACK TO item")
        self._connection.execute("RELEASE item")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                _log.exception("the embedded store could not roll back; the next batch tries again")


def _translated(error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error):
        translated = StoreUnavailable(f"the embedded store failed: {error}")
        translated.__cause__ = error
        return translated
    return error
