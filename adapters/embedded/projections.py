"""The projections in SQLite: listing, counting and timers."""

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from adapters.embedded import listing
from adapters.embedded.lanes import Reader, Writer
from adapters.embedded.messages import delete_from_unprojected
from saga.errors import OutcomeUnknown, StoreUnavailable
from saga.ports.projections import NO_SNAPSHOT, DueTimer, Position, Projection, ProjectionFilter

_FIELDS = (
    *("process_id", "process_type", "definition_hash", "status", "version", "state", "state_format"),
    *("labels", "attention", "wake_at", "wake_for", "started_at", "updated_at", "ended_at"),
)
_COLUMNS = ", ".join(_FIELDS)
_SNAPSHOT = ("state", "state_format")
_REPLACEMENTS = ", ".join(
    [f"{name} = excluded.{name}" for name in _FIELDS[1:] if name not in _SNAPSHOT]
    + [f"{name} = iif(excluded.state_format = {NO_SNAPSHOT}, {name}, excluded.{name})" for name in _SNAPSHOT]
)
# Lease columns are not among the fields: a save leaves them alone.
_SAVE = (
    f"INSERT INTO projections ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608
    f" ON CONFLICT (process_id) DO UPDATE SET {_REPLACEMENTS}"
    " WHERE excluded.version > projections.version"
)
_REWRITE = (
    f"INSERT INTO projections ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608
    f" ON CONFLICT (process_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FIELDS[1:])}"
    " WHERE projections.version <= excluded.version OR projections.version = ?"
)
_PAGE_COUNT = 100
_LEASE = (
    "UPDATE projections SET leased_until = :until, leased_wake_at = wake_at WHERE process_id IN"
    " (SELECT process_id FROM projections WHERE wake_at < :before AND"
    " (leased_until IS NULL OR leased_until <= :now OR leased_wake_at IS NOT wake_at)"
    " ORDER BY wake_at LIMIT :limit) RETURNING process_id, version, wake_at, wake_for"
)
_ORPHANS = (
    "SELECT u.process_id, p.version, p.wake_at, p.wake_for FROM unprojected u"
    " LEFT JOIN projections p ON p.process_id = u.process_id"
    " WHERE u.orphaned = 1 AND u.leased_until <= ? LIMIT ?"
)
_Row: TypeAlias = tuple[
    str, str, str, str, int, str, int, str, int, int | None, str | None, int, int, int | None
]


class SqliteProjectionStore:
    """Keep one projection per process; a greater version replaces a smaller one, never the other way."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def save(self, projection: Projection) -> None:
        """Write durably unless the stored version is as great already; repeating is safe."""
        try:
            await self._writer.run(partial(_save, projection=projection))
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"the projection was not confirmed: {error}") from error

    async def rewrite(self, projection: Projection, *, seen: int) -> bool:
        """Replace what is stored, unless a coordinator wrote a greater version meanwhile."""
        try:
            return await self._writer.run(partial(_rewrite, projection=projection, seen=seen))
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"the projection was not confirmed: {error}") from error

    async def read_all(self, after: str = "") -> AsyncIterator[Projection]:
        """Stream the projections in the order of their ids, a page at a time."""
        while page := await self._reader.run(partial(_read_page, after=after)):
            for projection in page:
                yield projection
            after = page[-1].process_id

    async def load(self, process_id: str) -> Projection | None:
        """Give the stored projection; concurrent calls share one hop to the reader's thread."""
        return await self._reader.run(partial(_load, process_id=process_id))

    async def page(
        self, chosen: ProjectionFilter, *, after: Position | None, limit: int
    ) -> Sequence[Projection]:
        """List by (started_at, process_id) descending, from behind `after`."""
        return await self._reader.run(partial(_page, chosen=chosen, after=after, limit=limit))

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Count the processes by (process type, status)."""
        return await self._reader.run(_counts)

    async def lease_due(self, *, before: int, leased_until: int, now: int, limit: int) -> Sequence[DueTimer]:
        """Take overdue timers that nobody holds.

        Also gives every process whose log was ahead of its projection when a server died: its message was
        deleted with the append, so somebody must load it, publish its tail and project it.
        """
        try:
            return await self._writer.run(
                partial(_lease_due, before=before, leased_until=leased_until, now=now, limit=limit)
            )
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"the leases were not confirmed: {error}") from error


def _save(connection: sqlite3.Connection, projection: Projection) -> None:
    connection.execute(_SAVE, _row(projection))
    delete_from_unprojected(connection, projection.process_id, projection.version)


def _rewrite(connection: sqlite3.Connection, projection: Projection, seen: int) -> bool:
    # What is unprojected stays so: the next start sends what may not have been sent.
    return connection.execute(_REWRITE, (*_row(projection), seen)).rowcount > 0


def _row(projection: Projection) -> _Row:
    return (
        projection.process_id,
        projection.process_type,
        projection.definition_hash,
        projection.status,
        projection.version,
        projection.state,
        projection.state_format,
        json.dumps(dict(projection.labels)),
        projection.attention,
        projection.wake_at,
        projection.wake_for,
        projection.started_at,
        projection.updated_at,
        projection.ended_at,
    )


def _read_page(connection: sqlite3.Connection, after: str) -> list[Projection]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM projections WHERE process_id > ? ORDER BY process_id LIMIT ?",  # noqa: S608
        (after, _PAGE_COUNT),
    )
    return [_projection(row) for row in rows]


def _load(connection: sqlite3.Connection, process_id: str) -> Projection | None:
    row: _Row | None = connection.execute(
        f"SELECT {_COLUMNS} FROM projections WHERE process_id = ?",  # noqa: S608 - our own names
        (process_id,),
    ).fetchone()
    return None if row is None else _projection(row)


def _projection(row: _Row) -> Projection:
    return Projection(*row[:7], _labels(row[7]), bool(row[8]), *row[9:])


def _labels(text: str) -> dict[str, str]:
    try:
        labels = json.loads(text)
    except ValueError:
        return {}
    return labels if isinstance(labels, dict) else {}


def _page(
    connection: sqlite3.Connection, chosen: ProjectionFilter, after: Position | None, limit: int
) -> list[Projection]:
    found = listing.rows(connection, _FIELDS, chosen, after=after, limit=limit)
    return [_projection(row) for row in found]


def _counts(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(
        "SELECT process_type, status, count(*) FROM projections GROUP BY process_type, status"
    )
    return {(process_type, status): count for process_type, status, count in rows}


def _lease_due(
    connection: sqlite3.Connection, before: int, leased_until: int, now: int, limit: int
) -> list[DueTimer]:
    orphans = [
        DueTimer(process_id, version or 0, before - 1 if wake_at is None else wake_at, wake_for or "start")
        for process_id, version, wake_at, wake_for in connection.execute(_ORPHANS, (now, limit))
    ]
    for orphan in orphans:
        connection.execute(
            "UPDATE unprojected SET leased_until = ? WHERE process_id = ?", (leased_until, orphan.process_id)
        )
    # Those whose timer is due besides would be given twice, as two timers.
    connection.executemany(
        "UPDATE projections SET leased_until = ?, leased_wake_at = wake_at WHERE process_id = ?",
        [(leased_until, orphan.process_id) for orphan in orphans],
    )
    rows = connection.execute(
        _LEASE, {"until": leased_until, "before": before, "now": now, "limit": limit - len(orphans)}
    ).fetchall()
    return orphans + sorted((DueTimer(*row) for row in rows), key=lambda due: due.wake_at)
