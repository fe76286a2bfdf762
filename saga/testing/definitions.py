"""The definitions in memory."""

from collections.abc import Sequence

from saga.ports.definitions import StoredDefinition


class InMemoryDefinitionStore:
    """Keep definitions by hash; implements `saga.ports.definitions.DefinitionStore`."""

    def __init__(self) -> None:
        self._by_hash: dict[str, StoredDefinition] = {}
        self._current: dict[str, StoredDefinition] = {}
        self._paused: set[str] = set()

    async def register(self, definition: StoredDefinition) -> bool:
        """Store a new hash and make it current for its type; a known hash changes nothing (False)."""
        if definition.hash in self._by_hash:
            return False
        self._by_hash[definition.hash] = definition
        self._current[definition.process_type] = definition
        return True

    async def restore(self, definition: StoredDefinition) -> bool:
        """Store a definition of another store; it is current only where its type has no other."""
        if definition.hash in self._by_hash:
            return False
        self._by_hash[definition.hash] = definition
        self._current.setdefault(definition.process_type, definition)
        return True

    async def get(self, definition_hash: str) -> StoredDefinition | None:
        """Give a definition by its hash."""
        return self._by_hash.get(definition_hash)

    async def current(self) -> Sequence[StoredDefinition]:
        """Give the current definition of every type, in the order of the types' names."""
        return [definition for _, definition in sorted(self._current.items())]

    async def make_current(self, definition_hash: str) -> bool:
        """Make a known definition current again for its type; False for one that is not stored."""
        definition = self._by_hash.get(definition_hash)
        if definition is not None:
            self._current[definition.process_type] = definition
        return definition is not None

    async def set_paused(self, process_type: str, *, paused: bool) -> None:
        """Note that processes of a type are not to go on, or are again."""
        if paused:
            self._paused.add(process_type)
        else:
            self._paused.discard(process_type)

    async def paused_types(self) -> Sequence[str]:
        """Name the types that are paused, in order."""
        return sorted(self._paused)

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all definitions of a type, the newest first."""
        found = [one for one in self._by_hash.values() if one.process_type == process_type]
        return sorted(found, key=lambda one: one.registered_at, reverse=True)
