"""The locks in SQLite: a row per lock that is held, and a row per place in its queue."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from adapters.embedded.lanes import Reader, Writer
from saga.errors import OutcomeUnknown, StoreUnavailable, Unstorable
from saga.ports.locks import LockQueue, Released

T = TypeVar("T")

_AWAITED = (
    "SELECT DISTINCT l.holder FROM lock_queue q JOIN locks l ON l.key = q.key"
    " WHERE q.root_id = ? AND q.waits = 1 AND l.holder != q.root_id"
)


class SqliteLockStore:
    """Keep the locks; every call is one item on the writer's thread, so that they come one after another."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def take(self, key: str, *, root_id: str, process_id: str, queue: LockQueue, at: int) -> str:
        """Take a free lock, or queue up as `queue` says; give the root that holds it now."""
        work = partial(_take, key=key, root_id=root_id, process_id=process_id, queue=queue, at=at)
        try:
            return await self._write(work)
        except UnicodeEncodeError as error:
            raise Unstorable(f"the key is no text that a store can hold: {error}") from error

    async def withdraw(self, key: str, *, process_id: str) -> None:
        """Leave the queue; harmless for who isn't in it."""
        await self._write(partial(_leave, key=key, process_id=process_id))

    async def release_all(self, root_id: str) -> Sequence[Released]:
        """Release every lock that this root holds, in the order of the keys, all of them or none."""
        return await self._write(partial(_release_all, root_id=root_id))

    async def release(self, key: str, *, root_id: str) -> Released | None:
        """Pass the lock on to the first that waits; None where this root doesn't hold it."""
        return await self._write(partial(_release, key=key, root_id=root_id))

    async def awaited_by(self, root_id: str) -> Collection[str]:
        """Give the roots that hold what processes of this root wait for now."""
        return await self._reader.run(partial(_awaited_by, root_id=root_id))

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._writer.run(work)
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"the lock was not confirmed, repeating is safe: {error}") from error


def _take(
    connection: sqlite3.Connection, key: str, root_id: str, process_id: str, queue: LockQueue, at: int
) -> str:
    connection.execute("INSERT INTO locks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (key, root_id, at))
    holder = _holder(connection, key) or root_id
    if holder == root_id:
        _leave(connection, key, process_id)
    elif queue is not LockQueue.NONE:
        connection.execute(
            "INSERT INTO lock_queue (key, process_id, root_id, waits, asked_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (key, process_id, root_id, queue is LockQueue.WAIT, at),
        )
    return holder


def _holder(connection: sqlite3.Connection, key: str) -> str | None:
    row: tuple[str] | None = connection.execute("SELECT holder FROM locks WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def _leave(connection: sqlite3.Connection, key: str, process_id: str) -> None:
    connection.execute("DELETE FROM lock_queue WHERE key = ? AND process_id = ?", (key, process_id))


def _release_all(connection: sqlite3.Connection, root_id: str) -> list[Released]:
    keys = connection.execute("SELECT key FROM locks WHERE holder = ? ORDER BY key", (root_id,)).fetchall()
    return [_pass_on(connection, key, root_id) for (key,) in keys]


def _release(connection: sqlite3.Connection, key: str, root_id: str) -> Released | None:
    return _pass_on(connection, key, root_id) if _holder(connection, key) == root_id else None


def _pass_on(connection: sqlite3.Connection, key: str, root_id: str) -> Released:
    joiners = connection.execute(
        "SELECT process_id FROM lock_queue WHERE key = ? AND waits = 0 ORDER BY position", (key,)
    ).fetchall()
    connection.execute("DELETE FROM lock_queue WHERE key = ? AND (waits = 0 OR root_id = ?)", (key, root_id))
    following: tuple[str, str, int] | None = connection.execute(
        "SELECT process_id, root_id, asked_at FROM lock_queue WHERE key = ? ORDER BY position LIMIT 1", (key,)
    ).fetchone()
    if following is None:
        connection.execute("DELETE FROM locks WHERE key = ?", (key,))
        return Released(key, None, tuple(one for (one,) in joiners))
    process_id, holder, asked_at = following
    connection.execute("UPDATE locks SET holder = ?, asked_at = ? WHERE key = ?", (holder, asked_at, key))
    _leave(connection, key, process_id)
    return Released(key, process_id, tuple(one for (one,) in joiners))


def _awaited_by(connection: sqlite3.Connection, root_id: str) -> set[str]:
    return {holder for (holder,) in connection.execute(_AWAITED, (root_id,))}
