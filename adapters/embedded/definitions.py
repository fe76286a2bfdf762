"""The definitions in SQLite."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from adapters.embedded.lanes import Reader, Writer
from saga.errors import OutcomeUnknown, StoreUnavailable
from saga.ports.definitions import StoredDefinition

_COLUMNS = "d.hash, d.process_type, d.text, d.registered_at"


class SqliteDefinitionStore:
    """Keep every definition that was ever used, and which one is current per type."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def register(self, definition: StoredDefinition) -> bool:
        """Store a new hash and make it current; False, and no change, for a known one."""
        return await self._write(partial(_register, definition=definition))

    async def restore(self, definition: StoredDefinition) -> bool:
        """Store a definition of another store; it is current only where its type has no other."""
        return await self._write(partial(_restore, definition=definition))

    async def get(self, definition_hash: str) -> StoredDefinition | None:
        """Give a definition by its hash."""
        found = await self._select("FROM definitions d WHERE d.hash = ?", definition_hash)
        return found[0] if found else None

    async def current(self) -> Sequence[StoredDefinition]:
        """Give the current definition of every type, in the order of the types' names."""
        return await self._select(
            "FROM current_definitions c JOIN definitions d ON d.hash = c.hash ORDER BY d.process_type"
        )

    async def make_current(self, definition_hash: str) -> bool:
        """Make a known definition current again; False for one that is not stored."""
        return await self._write(partial(_make_current, definition_hash=definition_hash))

    async def set_paused(self, process_type: str, *, paused: bool) -> None:
        """Note that processes of a type are not to go on, or are again."""
        statement = "INSERT OR IGNORE INTO paused_types VALUES (?)"
        if not paused:
            statement = "DELETE FROM paused_types WHERE process_type = ?"
        await self._write(lambda connection: connection.execute(statement, (process_type,)).rowcount > 0)

    async def paused_types(self) -> Sequence[str]:
        """Name the types that are paused, in order."""

        def work(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute("SELECT process_type FROM paused_types ORDER BY process_type")
            return [name for (name,) in rows]

        return await self._reader.run(work)

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all definitions of a type, the newest first."""
        return await self._select(
            "FROM definitions d WHERE d.process_type = ? ORDER BY d.registered_at DESC, d.rowid DESC",
            process_type,
        )

    async def _write(self, work: Callable[[sqlite3.Connection], bool]) -> bool:
        try:
            return await self._writer.run(work)
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"the write was not confirmed, repeating is safe: {error}") from error

    async def _select(self, where: str, *values: str) -> list[StoredDefinition]:
        def work(connection: sqlite3.Connection) -> list[StoredDefinition]:
            rows = connection.execute(f"SELECT {_COLUMNS} {where}", values)
            return [StoredDefinition(*row) for row in rows]

        return await self._reader.run(work)


def _register(connection: sqlite3.Connection, definition: StoredDefinition) -> bool:
    cursor = connection.execute(
        "INSERT INTO definitions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (definition.hash, definition.process_type, definition.text, definition.registered_at),
    )
    return cursor.rowcount > 0 and _make_current(connection, definition.hash)


def _restore(connection: sqlite3.Connection, definition: StoredDefinition) -> bool:
    cursor = connection.execute(
        "INSERT INTO definitions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (definition.hash, definition.process_type, definition.text, definition.registered_at),
    )
    connection.execute(
        "INSERT INTO current_definitions VALUES (?, ?) ON CONFLICT DO NOTHING",
        (definition.process_type, definition.hash),
    )
    return cursor.rowcount > 0


def _make_current(connection: sqlite3.Connection, definition_hash: str) -> bool:
    cursor = connection.execute(
        "INSERT INTO current_definitions SELECT process_type, hash FROM definitions WHERE hash = ?"
        " ON CONFLICT (process_type) DO UPDATE SET hash = excluded.hash",
        (definition_hash,),
    )
    return cursor.rowcount > 0
