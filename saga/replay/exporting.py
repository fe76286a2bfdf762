"""Write histories as an export: streaming, whole, and with the definitions that they follow."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from saga.definition.catalog import is_unchanged, refuse_changed
from saga.errors import SagaError, UnknownDefinition, UnreadableLog
from saga.ports.definitions import DefinitionStore, StoredDefinition
from saga.replay.history import Histories, History, states
from saga.replay.lines import definition_line, end_line, header_line, transition_line


@dataclass(slots=True)
class Written:
    """Hold what an export has written so far; one that broke off goes on behind it.

    `last` is the last process that is whole there, `definitions` are the hashes of those that stand there.
    """

    last: str = ""
    processes: int = 0
    definitions: set[str] = field(default_factory=set)


class ExportHistories:
    """Export the processes of a store."""

    def __init__(self, histories: Histories, definitions: DefinitionStore) -> None:
        self._histories = histories
        self._definitions = definitions

    async def lines(
        self, *, only: Collection[str] = (), written: Written | None = None
    ) -> AsyncIterator[str | SagaError]:
        """Give the lines, and an error in the place of each process that can't be exported whole.

        `only` names the processes that are wanted, in place of all. Raises StoreUnavailable.
        """
        current = {one.process_type: one for one in await self._definitions.current() if is_unchanged(one)}
        so_far = written or Written()
        if written is None:
            yield header_line()
        async for history in self._wanted(only, so_far.last):
            try:
                definitions = await self._needed(history, current, so_far.definitions)
            except (UnreadableLog, UnknownDefinition) as error:
                yield error
                continue
            for definition in definitions:
                so_far.definitions.add(definition.hash)
                yield definition_line(definition)
            for transition in history.transitions:
                yield transition_line(transition)
            so_far.processes += 1
        yield end_line(so_far.processes)

    async def _wanted(self, only: Collection[str], after: str) -> AsyncIterator[History]:
        if not only:
            async for history in self._histories.every(after):
                yield history
            return
        for process_id in sorted(set(only)):
            found = await self._histories.one(process_id)
            if found is None:
                found = History(process_id, (), UnreadableLog(process_id, 1, "there is no such process"))
            if process_id > after:
                yield found

    async def _needed(
        self, history: History, current: dict[str, StoredDefinition], known: Collection[str]
    ) -> Sequence[StoredDefinition]:
        """Give the definitions that a process needs and the export lacks, of each type the current one first.

        Raises UnreadableLog and UnknownDefinition.
        """
        hashes: dict[str, None] = {}
        for state in states(history):
            hashes[state.origin.definition_hash] = None
        # Another version only adds to what is pinned.
        hashes.update(dict.fromkeys(state.origin.children.values()))
        found: dict[str, StoredDefinition] = {}
        for hash_ in hashes.keys() - set(known):
            stored = await self._definitions.get(hash_)
            if stored is None:
                raise UnknownDefinition(
                    f"process {history.process_id} has the definition {hash_}, which is not stored"
                )
            refuse_changed(stored)
            for one in (current.get(stored.process_type, stored), stored):
                if one.hash not in known:
                    found[one.hash] = one
        return tuple(found.values())
