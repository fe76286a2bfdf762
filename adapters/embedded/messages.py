"""The rows of the bus: messages that wait or are in hand, and dead letters. Only SQL, no decisions.

Each function runs on a lane's thread, inside the transaction of whoever calls it; so an append can put its
commands on their queues and take its own message off in one commit.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

_Row: TypeAlias = tuple[int, str, str, str, str, int, str | None, str, bytes]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """Hold a message on its way to a queue."""

    queue: str
    exchange: str
    routing_key: str
    message_id: str
    correlation_id: str
    kind: str
    timestamp: int
    arrived_at: int
    body: bytes
    app_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """Hold a message of a queue; `position` is its place in line and names it for ever."""

    position: int
    queue: str
    exchange: str
    routing_key: str
    message_id: str
    arrived_at: int
    app_id: str | None
    headers: Mapping[str, str]
    body: bytes


def insert(connection: sqlite3.Connection, message: NewMessage) -> StoredMessage | None:
    """Put a message in line; None when the same one (id and body) is in line or in hand already."""
    cursor = connection.execute(
        "INSERT INTO messages (queue, exchange, routing_key, message_id, correlation_id, kind, timestamp,"
        " arrived_at, app_id, headers, body) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
        " WHERE NOT EXISTS (SELECT 1 FROM messages WHERE message_id = ?4 AND queue = ?1 AND body = ?11)",
        (
            message.queue,
            message.exchange,
            message.routing_key,
            message.message_id,
            message.correlation_id,
            message.kind,
            message.timestamp,
            message.arrived_at,
            message.app_id,
            json.dumps(dict(message.headers)),
            message.body,
        ),
    )
    if cursor.rowcount == 0 or cursor.lastrowid is None:
        return None
    return StoredMessage(
        position=cursor.lastrowid,
        queue=message.queue,
        exchange=message.exchange,
        routing_key=message.routing_key,
        message_id=message.message_id,
        arrived_at=message.arrived_at,
        app_id=message.app_id,
        headers=message.headers,
        body=message.body,
    )


def delete(connection: sqlite3.Connection, position: int) -> None:
    """Take a message off for good; harmless when that was done already."""
    connection.execute("DELETE FROM messages WHERE position = ?", (position,))


@dataclass(frozen=True, slots=True)
class Window:
    """Hold the next messages of a queue; `is_last` says that nothing is in line behind them."""

    messages: tuple[StoredMessage, ...]
    is_last: bool


def read_window(
    connection: sqlite3.Connection, queue: str, *, after: int, count_max: int, bytes_max: int
) -> Window:
    """Read messages in the order of the line, until one of the bounds is reached."""
    cursor = connection.execute(
        "SELECT position, queue, exchange, routing_key, message_id, arrived_at, app_id, headers, body"
        " FROM messages WHERE queue = ? AND position > ? ORDER BY position LIMIT ?",
        (queue, after, count_max),
    )
    messages: list[StoredMessage] = []
    total = 0
    row: _Row | None
    while (row := cursor.fetchone()) is not None:
        message = _stored(row)
        messages.append(message)
        total += len(message.body)
        if total >= bytes_max:
            cursor.close()
            return Window(tuple(messages), is_last=False)
    return Window(tuple(messages), is_last=len(messages) < count_max)


def _stored(row: _Row) -> StoredMessage:
    position, queue, exchange, routing_key, message_id, arrived_at, app_id, headers, body = row
    return StoredMessage(
        position, queue, exchange, routing_key, message_id, arrived_at, app_id, json.loads(headers), body
    )


def insert_dead_letter(
    connection: sqlite3.Connection, message: StoredMessage, *, reason: str, detail: str, at: int
) -> None:
    """Keep a message that can't be processed; doing it twice keeps it once."""
    connection.execute(
        "INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message.position,
            reason,
            detail,
            message.arrived_at,
            at,
            message.exchange,
            message.routing_key,
            message.message_id,
            message.app_id,
            json.dumps(dict(message.headers)),
            message.body,
        ),
    )


def insert_queues(connection: sqlite3.Connection, names: Collection[str]) -> None:
    """Remember that queues were declared; they stay, like durable ones of a broker."""
    connection.executemany("INSERT OR IGNORE INTO queues VALUES (?)", [(name,) for name in names])


def count(connection: sqlite3.Connection, queue: str) -> int:
    """Count the messages of a queue, those in somebody's hands among them."""
    row: tuple[int] = connection.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,)).fetchone()
    return row[0]


def read_queues(connection: sqlite3.Connection) -> list[str]:
    """Name the declared queues."""
    return [name for (name,) in connection.execute("SELECT name FROM queues ORDER BY name")]


def delete_from_unprojected(connection: sqlite3.Connection, process_id: str, version: int) -> None:
    """Note that a projection caught up with its log."""
    connection.execute("DELETE FROM unprojected WHERE process_id = ? AND last <= ?", (process_id, version))


def mark_orphans(connection: sqlite3.Connection) -> None:
    """Make every process due whose log is ahead of its projection, because nobody has it in hand now."""
    connection.execute("UPDATE unprojected SET orphaned = 1, leased_until = 0")
