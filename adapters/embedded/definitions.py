"""The definitions in SQLite."""

import sqlite3
from collections.abc import Sequence
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
        try:
            return await self._writer.run(partial(_register, definition=definition))
        except OutcomeUnknown as error:
            raise StoreUnavailable(f"registering was not confirmed, repeating is safe: {error}") from error

    async def get(self, definition_hash: str) -> StoredDefinition | None:
        """Give a definition by its hash."""
        found = await self._select("FROM definitions d WHERE d.hash = ?", definition_hash)
        return found[0] if found else None

    async def current(self) -> Sequence[StoredDefinition]:
        """Give the current definition of every type, in the order of the types' names."""
        return await self._select(
            "FROM current_definitions c JOIN definitions d ON d.hash = c.hash ORDER BY d.process_type"
        )

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all definitions of a type, the newest first."""
        return await self._select(
            "FROM definitions d WHERE d.process_type = ? ORDER BY d.registered_at DESC, d.rowid DESC",
            process_type,
        )

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
    if cursor.rowcount == 0:
        return False
    connection.execute(
        "INSERT INTO current_definitions VALUES (?, ?)"
        " ON CONFLICT (process_type) DO UPDATE SET hash = excluded.hash",
        (definition.process_type, definition.hash),
    )
    return True
