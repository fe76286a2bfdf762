"""The definitions that this server knows: which is current per type, and any other by its hash."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from saga.definition.canonical import canonical_text, definition_hash, from_canonical_text
from saga.definition.checks import problems_across
from saga.definition.graph import StepGraph, compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.parameters import ParameterSchema
from saga.errors import InvalidDefinition, UnknownDefinition
from saga.messages.json_text import JsonObject
from saga.ports.definitions import DefinitionStore, StoredDefinition


@dataclass(frozen=True)
class KnownDefinition:
    """Hold a definition ready to use; equal hashes mean equal definitions."""

    hash: str
    definition: SagaDefinition
    graph: StepGraph
    text: str

    def problems_with(self, parameters: JsonObject) -> tuple[tuple[str, str], ...]:
        """Judge parameters by the type's schema: (JSON pointer, sentence) for each complaint."""
        return self._schema.problems_with(parameters)

    @cached_property
    def _schema(self) -> ParameterSchema:
        return ParameterSchema(self.definition.parameters)


class Catalog:
    """Know the definitions. They are few and never change under their hash, so each is read once."""

    def __init__(self, store: DefinitionStore) -> None:
        self._store = store
        self._by_hash: dict[str, KnownDefinition] = {}
        self._current: dict[str, KnownDefinition] = {}
        self._paused: frozenset[str] = frozenset()

    async def register(self, definitions: Iterable[SagaDefinition], *, at: int) -> None:
        """Store what is new, and make it current for its type.

        Raises StoreUnavailable, UnknownDefinition where it is stored already and was changed there, and
        InvalidDefinition where the types that start each other don't fit together: nothing is stored then.
        """
        given = tuple(definitions)
        if any(step.process is not None for definition in given for step in definition.steps):
            await self.refresh()
        graphs = {name: known.graph for name, known in self._current.items()}
        graphs.update({definition.process_type: compile_graph(definition) for definition in given})
        problems = problems_across(graphs)
        if problems:
            raise InvalidDefinition("definitions", problems)
        for definition in given:
            stored = stored_definition(definition, at=at)
            await self._store.register(stored)
            await self.get(stored.hash)  # what stands there under its hash must be it
        await self.refresh()

    async def refresh(self) -> None:
        """Read which definitions are current; other servers may have registered some.

        One that only a newer version can read is left out: servers of both versions run side by side.
        """
        current: dict[str, KnownDefinition] = {}
        for stored in await self._store.current():
            with suppress(UnknownDefinition):
                current[stored.process_type] = self._known(stored)
        self._current = current
        await self.refresh_paused()

    def current(self, process_type: str) -> KnownDefinition | None:
        """Give the definition that new processes of a type start with."""
        return self._current.get(process_type)

    def is_paused(self, process_type: str) -> bool:
        """Say whether new processes of a type wait until somebody resumes it; known within seconds."""
        return process_type in self._paused

    def types(self) -> tuple[str, ...]:
        """Name the known types in order."""
        return tuple(sorted(self._current))

    def services(self) -> frozenset[str]:
        """Name the services that any current definition commands."""
        return frozenset(service for known in self._current.values() for service in known.graph.services)

    def pins(self, known: KnownDefinition) -> dict[str, str]:
        """Give the hashes of all definitions that a process may start, itself and through its children, by type.

        Raises UnknownDefinition where a type is not known here.
        """
        pinned: dict[str, str] = {}
        waiting = sorted(known.graph.child_types)
        while waiting:
            name = waiting.pop()
            child = self._current.get(name)
            if child is None:
                raise UnknownDefinition(f"no definition of the process type {name!r} is known")
            if name not in pinned:
                pinned[name] = child.hash
                waiting.extend(sorted(child.graph.child_types))
        return pinned

    @property
    def paused_types(self) -> frozenset[str]:
        """Name the types that were paused at the last look."""
        return self._paused

    async def refresh_paused(self) -> None:
        """Read which types are paused. Raises StoreUnavailable."""
        self._paused = frozenset(await self._store.paused_types())

    async def make_current(self, process_type: str, hash_: str) -> bool:
        """Go back to a definition that is stored: new processes start with it, at all servers within seconds.

        False where the type has no definition with this hash. Raises StoreUnavailable.
        """
        if all(version.hash != hash_ for version in await self._store.versions(process_type)):
            return False
        await self._store.make_current(hash_)
        await self.refresh()
        return True

    async def set_paused(self, process_type: str, *, paused: bool) -> None:
        """Pause or resume a type for all servers, durably. Raises StoreUnavailable."""
        await self._store.set_paused(process_type, paused=paused)
        await self.refresh_paused()

    async def get(self, hash_: str) -> KnownDefinition:
        """Give a definition by its hash. Raises UnknownDefinition, StoreUnavailable."""
        known = self._by_hash.get(hash_)
        if known is not None:
            return known
        stored = await self._store.get(hash_)
        if stored is None:
            raise UnknownDefinition(f"no definition with the hash {hash_} is stored")
        return self._known(stored)

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all stored definitions of a type, the newest first."""
        return await self._store.versions(process_type)

    def _known(self, stored: StoredDefinition) -> KnownDefinition:
        known = self._by_hash.get(stored.hash)
        if known is None:
            known = known_definition(stored)
            self._by_hash[stored.hash] = known
        return known


def stored_definition(definition: SagaDefinition, *, at: int) -> StoredDefinition:
    """Write a definition as it is stored when it is registered at that time, in milliseconds."""
    text = canonical_text(definition)
    return StoredDefinition(definition_hash(text), definition.process_type, text, at)


def known_definition(stored: StoredDefinition) -> KnownDefinition:
    """Make a stored definition ready to use. Raises UnknownDefinition where it is damaged, or newer than us."""
    refuse_changed(stored)
    try:
        definition = from_canonical_text(stored.text)
        known = KnownDefinition(stored.hash, definition, compile_graph(definition), stored.text)
    except ValueError as error:
        raise UnknownDefinition(
            f"this version of Batuta can't read the definition with the hash {stored.hash}: upgrade"
        ) from error
    if definition.process_type != stored.process_type:
        raise UnknownDefinition(
            f"the definition with the hash {stored.hash} is that of {definition.process_type}, and stored as one"
            f" of {stored.process_type[:80]!r}: remove it there, and load or import it again"
        )
    return known


def is_unchanged(stored: StoredDefinition) -> bool:
    """Say whether the text of a definition is the one that has its hash."""
    return definition_hash(stored.text) == stored.hash


def refuse_changed(stored: StoredDefinition) -> None:
    """Raise UnknownDefinition for a definition whose text is not the one that has its hash."""
    if not is_unchanged(stored):
        raise UnknownDefinition(
            f"the definition with the hash {stored.hash} was changed where it is stored: remove it there, and"
            " load or import it again"
        )
