"""The definitions in memory."""

from collections.abc import Sequence

from saga.ports.definitions import StoredDefinition


class InMemoryDefinitionStore:
    """Keep definitions by hash; implements `saga.ports.definitions.DefinitionStore`."""

    def __init__(self) -> None:
        self._by_hash: dict[str, StoredDefinition] = {}
        self._current: dict[str, StoredDefinition] = {}

    async def register(self, definition: StoredDefinition) -> bool:
        """Store a new hash and make it current for its type; a known hash changes nothing (False)."""
        if definition.hash in self._by_hash:
            return False
        self._by_hash[definition.hash] = definition
        self._current[definition.process_type] = definition
        return True

    async def get(self, definition_hash: str) -> StoredDefinition | None:
        """Give a definition by its hash."""
        return self._by_hash.get(definition_hash)

    async def current(self) -> Sequence[StoredDefinition]:
        """Give the current definition of every type, in the order of the types' names."""
        return [definition for _, definition in sorted(self._current.items())]

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all definitions of a type, the newest first."""
        found = [one for one in self._by_hash.values() if one.process_type == process_type]
        return sorted(found, key=lambda one: one.registered_at, reverse=True)
