"""The log in SQLite; an append also moves the messages that belong to it."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from adapters.embedded.lanes import Reader, Writer
from adapters.embedded.messages import NewMessage, StoredMessage, delete, insert
from adapters.embedded.routing import exchange_name, queue_for
from adapters.embedded.switch import Switch
from saga.errors import UnreadableLog, VersionConflict
from saga.messages.command import Command
from saga.ports.bus import APP_ID, Exchange
from saga.process.codec import Document, decode_transitions, encode_transitions
from saga.process.transition import Transition

PAGE_COUNT = 200
PAGE_BYTES = 4 * 1024 * 1024
_NOTHING = "", 0
_LAST_NUMBER = 2**62


@dataclass(frozen=True, slots=True)
class _Stored:
    """One row of the log, still as text."""

    process_id: str
    first: int
    document: str


@dataclass(frozen=True, slots=True)
class _Append:
    """Hold all that one append writes: a row of the log, rows of messages, and one that goes."""

    transition: Transition
    last: int
    document: str
    outgoing: tuple[NewMessage, ...]
    answered: tuple[int, ...]


class SqliteEventLog:
    """Append and read transitions.

    An append, its outgoing commands and the deletion of the message that it answers are one transaction.
    """

    def __init__(self, writer: Writer, reader: Reader, switch: Switch) -> None:
        self._writer = writer
        self._reader = reader
        self._switch = switch

    async def append(self, transition: Transition, *more: Transition) -> None:
        """Store transitions, durable on return; a command for a queue that nobody declared is left out.

        Such a command comes back when it is published, as from a broker.
        """
        await self._store((transition, *more), sends=True)

    async def restore(self, transition: Transition, *more: Transition) -> None:
        """Store transitions as `append` does, but leave all messages where they are."""
        await self._store((transition, *more), sends=False)

    async def _store(self, transitions: Sequence[Transition], *, sends: bool) -> None:
        carried_out = transitions if sends else ()
        tags = [one.cause.delivery for one in carried_out if one.cause.delivery is not None]
        outgoing = [
            message
            for one in carried_out
            for command in one.commands
            if (message := self._outgoing(command, one)) is not None
        ]
        append = _Append(
            transition=transitions[0],
            last=transitions[-1].last,
            document=json.dumps(encode_transitions(transitions), ensure_ascii=False, separators=(",", ":")),
            outgoing=tuple(outgoing),
            answered=tuple(int(tag) for tag in tags),
        )
        command_ids = [message.message_id for message in outgoing]
        await self._writer.run(partial(_append, append=append), partial(self._appended, tags, command_ids))

    async def read(self, process_id: str, after: int = 0) -> Sequence[Transition]:
        """Give the transitions above `after`; raises UnreadableLog also where one is missing."""
        stored = await self._reader.run(partial(_read, process_id=process_id, after=after))
        transitions = [one for row in stored for one in _decoded(row)]
        expected = 1 if after == 0 else None
        for transition in transitions:
            if expected is not None and transition.first != expected:
                raise UnreadableLog(process_id, expected, f"the log goes on with {transition.first}")
            expected = transition.last + 1
        return transitions

    async def read_all(self, after: str = "") -> AsyncIterator[Transition | UnreadableLog]:
        """Stream everything, process by process, a page at a time."""
        last = (after, _LAST_NUMBER) if after else _NOTHING
        while page := await self._reader.run(partial(_read_page, after=last)):
            for stored in page:
                for transition in _decoded_or_error(stored):
                    yield transition
            last = page[-1].process_id, page[-1].first

    def _outgoing(self, command: Command, transition: Transition) -> NewMessage | None:
        queue = queue_for(Exchange.COMMANDS, command.routing_key)
        if queue is None or not self._switch.has(queue):
            return None
        return NewMessage(
            queue=queue,
            exchange=exchange_name(Exchange.COMMANDS),
            routing_key=command.routing_key,
            message_id=command.command_id,
            correlation_id=transition.process_id,
            kind="",
            timestamp=transition.at,
            arrived_at=transition.at,
            body=command.body.encode(),
            # What one process tells another is believed of us only.
            app_id=APP_ID,
        )

    def _appended(self, tags: list[str], command_ids: list[str], stored: list[StoredMessage]) -> None:
        self._switch.appended(tags, command_ids, stored)


def _append(connection: sqlite3.Connection, append: _Append) -> list[StoredMessage]:
    """Write it; nothing when this very write was there already, and its messages with it."""
    transition = append.transition
    key = transition.process_id, transition.first
    cursor = connection.execute(
        "INSERT INTO events (process_id, first, mark, document) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*key, transition.mark, append.document),
    )
    if cursor.rowcount == 0:
        row: tuple[str] | None = connection.execute(
            "SELECT mark FROM events WHERE process_id = ? AND first = ?", key
        ).fetchone()
        if row != (transition.mark,):
            raise VersionConflict(*key)
        return []
    connection.execute(
        "INSERT INTO unprojected (process_id, last) VALUES (?, ?)"
        " ON CONFLICT (process_id) DO UPDATE SET last = excluded.last",
        (transition.process_id, append.last),
    )
    for message_id in append.answered:
        delete(connection, message_id)
    inserted = [insert(connection, message) for message in append.outgoing]
    return [message for message in inserted if message is not None]


def _read(connection: sqlite3.Connection, process_id: str, after: int) -> list[_Stored]:
    rows = connection.execute(
        "SELECT process_id, first, document FROM events WHERE process_id = ? AND first > ? ORDER BY first",
        (process_id, after),
    )
    return [_Stored(*row) for row in rows]


def _read_page(connection: sqlite3.Connection, after: tuple[str, int]) -> list[_Stored]:
    cursor = connection.execute(
        "SELECT process_id, first, document FROM events WHERE (process_id, first) > (?, ?)"
        " ORDER BY process_id, first LIMIT ?",
        (*after, PAGE_COUNT),
    )
    page: list[_Stored] = []
    characters = 0
    row: tuple[str, int, str] | None
    while characters < PAGE_BYTES and (row := cursor.fetchone()) is not None:
        page.append(_Stored(*row))
        characters += len(row[2])
    cursor.close()
    return page


def _decoded(stored: _Stored) -> tuple[Transition, ...]:
    """Read a row. Raises UnreadableLog, also where the document says that it stands elsewhere."""
    key = stored.process_id, stored.first
    try:
        document = json.loads(stored.document)
    except ValueError as error:
        raise UnreadableLog(*key, f"the document is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableLog(*key, "the document is no object")
    transitions = decode_transitions(cast("Document", document))
    first = transitions[0]
    if key != (first.process_id, first.first):
        problem = f"the document says that it is event {first.first} of process {first.process_id}"
        raise UnreadableLog(*key, problem, field="p" if stored.first == first.first else "n")
    return transitions


def _decoded_or_error(stored: _Stored) -> Sequence[Transition | UnreadableLog]:
    try:
        return _decoded(stored)
    except UnreadableLog as error:
        if error.process_id == stored.process_id:
            return [error]
        return [UnreadableLog(stored.process_id, stored.first, error.problem, field=error.field)]
