"""The port to the definitions: every one that was ever used, by the hash of its canonical text."""

from collections.abc import Sequence
from typing import Protocol

from saga.values import value


@value
class StoredDefinition:
    """Hold a definition as it was registered: `text` is its canonical JSON, `hash` the hash of that text."""

    hash: str
    process_type: str
    text: str
    registered_at: int


class DefinitionStore(Protocol):
    """Keep definitions for as long as a process may need them, and which one is current per type."""

    async def register(self, definition: StoredDefinition) -> bool:
        """Store a new hash and make it current for its type; a known hash changes nothing (False)."""
        ...

    async def restore(self, definition: StoredDefinition) -> bool:
        """Store a definition that another store had; a known hash changes nothing (False).

        It is current only where its type has no other.
        """
        ...

    async def get(self, definition_hash: str) -> StoredDefinition | None:
        """Give a definition by its hash."""
        ...

    async def current(self) -> Sequence[StoredDefinition]:
        """Give the current definition of every type, in the order of the types' names."""
        ...

    async def make_current(self, definition_hash: str) -> bool:
        """Make a known definition current again for its type; False for one that is not stored."""
        ...

    async def set_paused(self, process_type: str, *, paused: bool) -> None:
        """Note durably that processes of a type are not to go on, or are again."""
        ...

    async def paused_types(self) -> Sequence[str]:
        """Name the types that are paused, in order."""
        ...

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all definitions of a type, the newest first."""
        ...
