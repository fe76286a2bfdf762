"""The recorded histories: of one process or of all, from a log, checked for gaps, and never guessed past one."""

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from saga.definition.catalog import Catalog, KnownDefinition
from saga.errors import UnreadableLog
from saga.ports.event_log import EventLog
from saga.process.evolve import evolve
from saga.process.state import ProcessState
from saga.process.transition import Transition
from saga.values import value


@value
class History:
    """Hold what one process went through, up to where its log can be read.

    `problem` names the event, and the field, at which it can't be read on; None where all of it is here.
    """

    process_id: str
    transitions: tuple[Transition, ...]
    problem: UnreadableLog | None = None

    @property
    def version(self) -> int:
        """Give the number of the last event that could be read."""
        return self.transitions[-1].last if self.transitions else 0

    def whole(self) -> tuple[Transition, ...]:
        """Give all transitions. Raises UnreadableLog where some can't be read."""
        if self.problem is not None:
            raise self.problem
        return self.transitions


class Histories(Protocol):
    """Give recorded histories and their definitions: those of a store, or of an exported file."""

    def every(self, after: str = "") -> AsyncIterator[History]:
        """Stream the history of each process behind the id `after`, one at a time."""
        ...

    async def one(self, process_id: str) -> History | None:
        """Give the history of one process; None where there is none."""
        ...

    async def definition(self, hash_: str) -> KnownDefinition:
        """Give a definition by its hash. Raises UnknownDefinition."""
        ...


class StoredHistories:
    """Give the histories of a store."""

    def __init__(self, log: EventLog, catalog: Catalog) -> None:
        self._log = log
        self._catalog = catalog

    async def every(self, after: str = "") -> AsyncIterator[History]:
        """Stream the history of each process behind the id `after`; one of them is in memory at a time."""
        grouped = Grouping()
        async for found in self._log.read_all(after):
            history = grouped.add(found)
            if history is not None:
                yield history
        last = grouped.end()
        if last is not None:
            yield last

    async def one(self, process_id: str) -> History | None:
        """Give the history of one process; what is unreadable is its `problem`. Raises StoreUnavailable."""
        try:
            transitions = await self._log.read(process_id)
        except UnreadableLog as error:
            return await self._as_far_as_possible(process_id) or History(process_id, (), error)
        return History(process_id, tuple(transitions)) if transitions else None

    async def _as_far_as_possible(self, process_id: str) -> History | None:
        """Give what can be read of a damaged log, from the stream of all; None where it does not come there."""
        grouped = Grouping()
        async for found in self._log.read_all(_just_before(process_id)):
            if found.process_id != process_id:
                break
            grouped.add(found)
        history = grouped.end()
        return None if history is None or history.problem is None else history

    async def definition(self, hash_: str) -> KnownDefinition:
        """Give a definition by its hash. Raises UnknownDefinition, StoreUnavailable."""
        return await self._catalog.get(hash_)


def _just_before(process_id: str) -> str:
    """Give a text that sorts before an id, and behind all others that do."""
    return process_id[:-1] + chr(ord(process_id[-1]) - 1) + "\U0010ffff" if process_id else ""


class Grouping:
    """Put together what comes in the order of the processes; each history is given when the next one begins."""

    def __init__(self) -> None:
        self._process_id: str | None = None
        self._transitions: list[Transition] = []
        self._problem: UnreadableLog | None = None

    def add(self, found: Transition | UnreadableLog) -> History | None:
        """Take the next of the stream; give the history that ended before it, if one did."""
        ended = None
        if found.process_id != self._process_id:
            ended = self.end()
            self._process_id = found.process_id
        if self._problem is not None:
            return ended
        if isinstance(found, UnreadableLog):
            self._problem = found
            return ended
        expected = self._transitions[-1].last + 1 if self._transitions else 1
        if found.first == expected:
            self._transitions.append(found)
        else:
            problem = f"the log goes on with {found.first}"
            self._problem = UnreadableLog(found.process_id, expected, problem)
        return ended

    def end(self) -> History | None:
        """Give the history that was being put together, and forget it."""
        if self._process_id is None:
            return None
        history = History(self._process_id, tuple(self._transitions), self._problem)
        self._process_id, self._transitions, self._problem = None, [], None
        return history


def states(history: History) -> Iterator[ProcessState]:
    """Give the process as it stood after each of its events. Raises UnreadableLog where it can't be read on."""
    state: ProcessState | None = None
    for transition in history.transitions:
        for number, event in enumerate(transition.events, start=transition.first):
            try:
                state = evolve(state, event, at=transition.at, process_id=history.process_id)
            except (KeyError, TypeError, ValueError) as error:
                raise UnreadableLog(history.process_id, number, str(error), field="type") from error
            yield state
    if history.problem is not None:
        raise history.problem


def state_at(history: History, number: int) -> ProcessState | None:
    """Give the process as it stood after event `number`; None where its log has no such event.

    Raises UnreadableLog where the log can't be read up to there.
    """
    for state in states(history):
        if state.version == number:
            return state
    return None
