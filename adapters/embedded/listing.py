"""The listing in SQLite: which index a page is read from, and the statement that reads it in order.

SQLite knows nothing of how often a status or a label occurs, so each index that could lead is asked how much it
would read, and the one with the least leads; everything else is looked up for each row that it gives.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from saga.ports.projections import Position, ProjectionFilter
from saga.process.status import ProcessStatus

Value: TypeAlias = str | int | None

# As far as an index is asked how much it would read.
_ASKED_MAX = 20_000
_LABELLED = "projection_labels l CROSS JOIN projections p ON p.process_id = l.process_id"


@dataclass(frozen=True, slots=True)
class _Term:
    """A condition; what users gave is only ever a bound value."""

    text: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class _Lead:
    """Ranges of one index that hold all that is chosen, each in the order of the listing.

    `place` is the table that has the start and the id in it; `entries` is where its ranges are counted.
    """

    entries: str
    source: str
    place: str
    ranges: tuple[_Term, ...]


def rows(
    connection: sqlite3.Connection,
    columns: Sequence[str],
    chosen: ProjectionFilter,
    *,
    after: Position | None,
    limit: int,
) -> sqlite3.Cursor:
    """Read a page, from the newest start to the oldest."""
    lead = _least(connection, list(_leads(chosen)), chosen, after)
    terms = [*_bounds(lead.place, chosen, after), *_conditions(chosen)]
    names = ", ".join(f"p.{name}" for name in columns)
    parts: list[str] = []
    values: list[Value] = []
    for one in lead.ranges:
        where = " AND ".join(term.text for term in (one, *terms))
        order = f"{lead.place}.started_at DESC, {lead.place}.process_id DESC"
        part = f"SELECT {names} FROM {lead.source} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - our own words
        parts.append(f"SELECT * FROM ({part})")  # noqa: S608
        values += [value for term in (one, *terms) for value in term.values]
        values.append(limit)
    union = " UNION ALL ".join(parts)
    return connection.execute(f"{union} ORDER BY started_at DESC, process_id DESC LIMIT ?", (*values, limit))


def _leads(chosen: ProjectionFilter) -> Iterator[_Lead]:
    """Give each index that could lead; the first is taken where none reads less."""
    for key, value in dict.fromkeys(chosen.labels):
        one = _Term("l.key = ? AND l.value = ?", (key, value))
        yield _Lead("projection_labels l", _LABELLED, "l", (one,))
    if chosen.attention:
        yield _of_projections("projections_of_attention", (_Term("p.attention = 1", ()),))
    statuses = tuple(dict.fromkeys(chosen.statuses))
    if chosen.process_type is not None:
        # Behind the type the index has the status: by naming each, every range is in order.
        every = product([chosen.process_type], statuses or map(str, ProcessStatus))
        ranges = tuple(_Term("p.process_type = ? AND p.status = ?", pair) for pair in every)
        yield _of_projections("projections_by_type_and_status", ranges)
    elif statuses:
        ranges = tuple(_Term("p.status = ?", (status,)) for status in statuses)
        yield _of_projections("projections_by_status", ranges)


def _of_projections(index: str, ranges: tuple[_Term, ...]) -> _Lead:
    source = f"projections p INDEXED BY {index}"
    return _Lead(source, source, "p", ranges)


_ALL = _of_projections("projections_by_start", (_Term("true", ()),))


def _least(
    connection: sqlite3.Connection, leads: Sequence[_Lead], chosen: ProjectionFilter, after: Position | None
) -> _Lead:
    """Choose the index that would read the least."""
    if len(leads) < 2:  # noqa: PLR2004 - nothing to choose from
        return leads[0] if leads else _ALL
    most = _ASKED_MAX
    least = leads[0]
    for lead in leads:
        entries = 0
        for one in lead.ranges:
            entries += _entries(connection, lead, [one, *_bounds(lead.place, chosen, after)], most - entries)
        if entries < most:
            most, least = entries, lead
    return least


def _entries(connection: sqlite3.Connection, lead: _Lead, terms: Sequence[_Term], most: int) -> int:
    where = " AND ".join(term.text for term in terms)
    counted: tuple[int] = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {lead.entries} WHERE {where} LIMIT ?)",  # noqa: S608 - our own words
        [*(value for term in terms for value in term.values), most],
    ).fetchone()
    return counted[0]


def _bounds(place: str, chosen: ProjectionFilter, after: Position | None) -> Iterator[_Term]:
    if chosen.started_after is not None:
        yield _Term(f"{place}.started_at >= ?", (chosen.started_after,))
    if chosen.started_before is not None:
        yield _Term(f"{place}.started_at < ?", (chosen.started_before,))
    if after is not None:
        position = (after.started_at, after.process_id)
        yield _Term(f"({place}.started_at, {place}.process_id) < (?, ?)", position)


def _conditions(chosen: ProjectionFilter) -> Iterator[_Term]:
    """Write what must hold of a row; what holds of the whole index that leads is only said again."""
    if chosen.statuses:
        # The sign keeps SQLite from looking for another index.
        yield _Term(f"+p.status IN ({', '.join('?' * len(chosen.statuses))})", chosen.statuses)
    if chosen.process_type is not None:
        yield _Term("+p.process_type = ?", (chosen.process_type,))
    if chosen.attention is not None:
        yield _Term("+p.attention = ?", (chosen.attention,))
    for key, value in dict.fromkeys(chosen.labels):
        yield _Term(
            "EXISTS (SELECT 1 FROM projection_labels o WHERE o.key = ? AND o.value = ?"
            " AND o.started_at = p.started_at AND o.process_id = p.process_id)",
            (key, value),
        )
