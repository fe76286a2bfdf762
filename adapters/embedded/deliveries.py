"""The deliveries in SQLite: a row per event that a callback address is told of."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from adapters.embedded.lanes import Reader, Writer
from saga.errors import OutcomeUnknown, StoreUnavailable
from saga.ports.deliveries import WebhookDelivery
from saga.webhooks.codec import from_document, to_document

T = TypeVar("T")

_COLUMNS = "document, due_at, version"
_INSERT = (
    "INSERT INTO deliveries (process_id, sequence, host, due_at, ended_at, version, document)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_DUE = (
    "SELECT rowid FROM deliveries WHERE due_at <= ? AND host NOT IN ({marks})"
    " ORDER BY due_at, process_id, sequence LIMIT ?"
)
_TAKE = f"UPDATE deliveries SET due_at = ?, version = version + 1 WHERE rowid = ? RETURNING {_COLUMNS}"  # noqa: S608
_REPLACE = (
    "UPDATE deliveries SET due_at = ?, ended_at = ?, version = ?, document = ?"
    " WHERE process_id = ? AND sequence = ? AND version = ?"
)
_PURGE = (
    "DELETE FROM deliveries WHERE rowid IN (SELECT rowid FROM deliveries WHERE ended_at < ?"
    " ORDER BY ended_at LIMIT ?)"
)


class SqliteDeliveryStore:
    """Keep the deliveries; every change is one item on the writer's thread."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, delivery: WebhookDelivery) -> None:
        """Keep a delivery durably, unless one of this process and number is there."""
        await self._write(partial(_add, delivery=delivery))

    async def of_process(self, process_id: str) -> Sequence[WebhookDelivery]:
        """Give the deliveries of a process in the order of its events."""
        return await self._reader.run(partial(_of_process, process_id=process_id))

    async def get(self, process_id: str, sequence: int) -> WebhookDelivery | None:
        """Give the delivery of one event."""
        return await self._reader.run(partial(_get, process_id=process_id, sequence=sequence))

    async def lease_due(
        self, *, now: int, leased_until: int, limit: int, except_hosts: Collection[str] = ()
    ) -> Sequence[WebhookDelivery]:
        """Take deliveries that are due, the longest due first."""
        work = partial(_lease, now=now, until=leased_until, limit=limit, hosts=sorted(except_hosts))
        return await self._write(work)

    async def replace(self, delivery: WebhookDelivery) -> bool:
        """Write a delivery whose version is the stored one's plus one."""
        return await self._write(partial(_replace, delivery=delivery))

    async def purge(self, *, ended_before: int, limit: int) -> int:
        """Delete at most so many of those that ended before a point in time."""
        return await self._write(
            lambda connection: connection.execute(_PURGE, (ended_before, limit)).rowcount
        )

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._writer.run(work)
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"it was not confirmed, repeating is safe: {error}") from error


def _add(connection: sqlite3.Connection, delivery: WebhookDelivery) -> None:
    one = delivery
    connection.execute(
        _INSERT,
        (one.process_id, one.sequence, one.host, one.due_at, one.ended_at, one.version, to_document(one)),
    )


def _of_process(connection: sqlite3.Connection, process_id: str) -> list[WebhookDelivery]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM deliveries WHERE process_id = ? ORDER BY sequence",  # noqa: S608 - our own names
        (process_id,),
    )
    return [_delivery(row) for row in rows]


def _get(connection: sqlite3.Connection, process_id: str, sequence: int) -> WebhookDelivery | None:
    row: tuple[str, int | None, int] | None = connection.execute(
        f"SELECT {_COLUMNS} FROM deliveries WHERE process_id = ? AND sequence = ?",  # noqa: S608
        (process_id, sequence),
    ).fetchone()
    return None if row is None else _delivery(row)


def _lease(
    connection: sqlite3.Connection, now: int, until: int, limit: int, hosts: Sequence[str]
) -> list[WebhookDelivery]:
    marks = ", ".join("?" * len(hosts))
    due = connection.execute(_DUE.format(marks=marks), (now, *hosts, limit)).fetchall()
    return [_delivery(connection.execute(_TAKE, (until, rowid)).fetchone()) for (rowid,) in due]


def _replace(connection: sqlite3.Connection, delivery: WebhookDelivery) -> bool:
    one = delivery
    key = (one.process_id, one.sequence, one.version - 1)
    values = (one.due_at, one.ended_at, one.version, to_document(one))
    return connection.execute(_REPLACE, (*values, *key)).rowcount > 0


def _delivery(row: tuple[str, int | None, int]) -> WebhookDelivery:
    document, due_at, version = row
    return from_document(document, due_at=due_at, version=version)
