"""Bring exported histories into a store: what is there already is left, and nothing is sent.

It may be repeated, and goes on where it broke off. A history that differs from the one in the store is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, zip_longest

from saga.coordinator.projector import project
from saga.definition.catalog import KnownDefinition, known_definition
from saga.errors import UnknownDefinition, UnreadableLog, Unstorable, VersionConflict
from saga.messages.json_text import JsonObject
from saga.ports.definitions import DefinitionStore, StoredDefinition
from saga.ports.event_log import EventLog
from saga.ports.projections import ProjectionStore
from saga.process.codec import encode_transition
from saga.process.evolve import fold
from saga.process.state import ProcessState
from saga.process.timers import next_wake
from saga.process.transition import Transition
from saga.replay.difference import differences
from saga.replay.history import Grouping, History
from saga.replay.lines import End, Line
from saga.replay.replaying import Problem

# How many processes are in hand at once.
AT_ONCE = 50


class Fate(StrEnum):
    """Say what became of one process of an export.

    IMPORTED: some or all of it was new. SAME: all of it was there. REFUSED: it was not taken.
    """

    IMPORTED = "imported"
    SAME = "same"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Imported:
    """Hold what became of one process: how many of its events were new, or why it was refused."""

    process_id: str
    fate: Fate
    events: int = 0
    problem: Problem | None = None

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "process_id": self.process_id,
            "outcome": str(self.fate),
            "events": self.events,
            "problem": None if self.problem is None else self.problem.document(),
        }


class ImportHistories:
    """Import exported processes into a store."""

    def __init__(self, log: EventLog, projections: ProjectionStore, definitions: DefinitionStore) -> None:
        self._log = log
        self._projections = projections
        self._definitions = definitions
        self._known: dict[str, KnownDefinition] = {}

    async def __call__(self, lines: Iterable[Line]) -> AsyncIterator[Imported]:
        """Import line by line. Raises what reading the lines does, StoreUnavailable and OutcomeUnknown."""
        grouped = Grouping()
        waiting: list[History] = []
        for line in lines:
            match line:
                case StoredDefinition():
                    await self._definitions.restore(line)
                case End():
                    pass
                case _:
                    history = grouped.add(line)
                    if history is not None:
                        waiting.append(history)
            if len(waiting) >= AT_ONCE:
                for imported in await asyncio.gather(*map(self._one, waiting)):
                    yield imported
                waiting.clear()
        last = grouped.end()
        if last is not None:
            waiting.append(last)
        for imported in await asyncio.gather(*map(self._one, waiting)):
            yield imported

    async def _one(self, history: History) -> Imported:
        process_id = history.process_id
        try:
            state = _folded(history)
            stored = await self._log.read(process_id)
            known = await self._definition(state.origin.definition_hash)
            problem = _conflict(history.transitions, stored)
            if problem is not None:
                return Imported(process_id, Fate.REFUSED, problem=problem)
            new = history.transitions[len(stored) :]
            for together in _together(new):
                await self._log.restore(*together)
        except UnreadableLog as error:
            problem = Problem(error.number, error.field, error.problem)
            return Imported(process_id, Fate.REFUSED, problem=problem)
        except UnknownDefinition as error:
            return Imported(process_id, Fate.REFUSED, problem=Problem(1, "definition_hash", str(error)))
        except Unstorable as error:
            number = history.transitions[0].first
            return Imported(process_id, Fate.REFUSED, problem=Problem(number, None, str(error)))
        except VersionConflict as error:
            detail = "somebody else appends to this process now"
            return Imported(process_id, Fate.REFUSED, problem=Problem(error.number, None, detail))
        if len(stored) <= len(history.transitions):
            await self._projections.save(project(state, next_wake(known.graph, state)))
        events = sum(len(transition.events) for transition in new)
        return Imported(process_id, Fate.IMPORTED if new else Fate.SAME, events)

    async def _definition(self, hash_: str) -> KnownDefinition:
        known = self._known.get(hash_)
        if known is None:
            stored = await self._definitions.get(hash_)
            if stored is None:
                raise UnknownDefinition(f"no definition with the hash {hash_} is stored")
            self._known[hash_] = known = known_definition(stored)
        return known


def _folded(history: History) -> ProcessState:
    state = fold(history.whole())
    if state is None:
        raise UnreadableLog(history.process_id, 1, "the log is empty")
    return state


def _conflict(given: Sequence[Transition], stored: Sequence[Transition]) -> Problem | None:
    """Say at which event, and at which field, what is given is not what is stored; one may be longer."""
    for ours, theirs in zip(given, stored, strict=False):
        if ours != theirs:
            left, right = encode_transition(ours), encode_transition(theirs)
            pairs = zip_longest(ours.events, theirs.events)
            offset = next((index for index, (one, other) in enumerate(pairs) if one != other), 0)
            first = next(differences(ours.first, left, right))
            detail = "the store has another transition here: this process has gone another way"
            return Problem(ours.first + offset, first.field, detail)
    return None


def _together(transitions: Sequence[Transition]) -> Iterator[list[Transition]]:
    """Put together again what was appended at once."""
    for _, group in groupby(transitions, key=lambda one: (one.at, one.by, one.mark)):
        yield list(group)
