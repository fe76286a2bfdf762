"""What anybody can ask about processes: one, its log, a page of many, and to be told when one moves on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Protocol

from saga.coordinator.projector import snapshot_in
from saga.definition.catalog import Catalog
from saga.definition.graph import StepGraph
from saga.errors import BusUnavailable, NotReady
from saga.messages.json_text import JsonObject
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock
from saga.ports.event_log import EventLog
from saga.ports.projections import Position, ProjectionFilter, ProjectionStore
from saga.process.evolve import fold
from saga.process.state import ProcessState
from saga.process.transition import Transition
from saga.replay.undo_preview import preview_undo
from saga.usecases.counting import Counts, ProcessCounts
from saga.usecases.durations import StepDurations
from saga.views.drawing import Standings
from saga.views.estimate import estimated_end
from saga.views.event import event_entries
from saga.views.graph import graph_document, standings
from saga.views.process import as_accepted, process_document, started_document, summary
from saga.views.process_type import process_type_document, process_type_summary
from saga.views.timeline import timeline_document
from saga.views.undo_preview import undo_preview_document
from saga.views.waiting import asked_services

# Somebody who waits looks again after this many seconds, then less and less often.
FIRST_LOOK_S = 0.02
LAST_LOOK_S = 0.5
LOOK_GROWTH = 1.5

ASK_BROKER_WITHIN_S = 0.5


class Stopping(Protocol):
    """Tell those who wait that the server is about to stop, so that they end with what they have."""

    def is_set(self) -> bool:
        """Say whether it is time to end."""
        ...


class ReadProcesses:
    """Answer questions from the projections, and from the log where they don't know yet. Changes nothing."""

    def __init__(
        self, log: EventLog, projections: ProjectionStore, catalog: Catalog, bus: MessageBus, clock: Clock
    ) -> None:
        self._log = log
        self._projections = projections
        self._catalog = catalog
        self._bus = bus
        self._clock = clock
        self._durations = StepDurations(projections, clock)
        self._counts = ProcessCounts(projections)

    async def get(self, process_id: str) -> ProcessState | None:
        """Give where a process stands; None for one that was never accepted."""
        # The log has the last word: who just heard of an end must not read that the process still runs.
        state = snapshot_in(await self._projections.load(process_id))
        return fold(await self._log.read(process_id, after=0 if state is None else state.version), state)

    async def document(self, state: ProcessState) -> JsonObject:
        """Write everything that is known of a process."""
        known = await self._catalog.get(state.origin.definition_hash)
        return process_document(
            known.graph,
            state,
            estimated_end=await self._end(known.graph, state),
            unserved=await self._unserved(known.graph, state),
        )

    async def graph(self, state: ProcessState) -> JsonObject:
        """Write the steps of a process as nodes and edges, with where they stand."""
        known = await self._catalog.get(state.origin.definition_hash)
        return graph_document(known.graph, state)

    async def drawing(self, state: ProcessState, draw: Callable[[StepGraph, Standings], str]) -> str:
        """Draw the steps of a process, with where they stand."""
        known = await self._catalog.get(state.origin.definition_hash)
        return draw(known.graph, standings(known.graph, state))

    async def timeline(self, process_id: str) -> JsonObject | None:
        """Write what a process did when; None for one that was never accepted."""
        transitions = await self._log.read(process_id)
        state = fold(transitions)
        return None if state is None else timeline_document(state, transitions)

    async def undo_preview(self, state: ProcessState) -> JsonObject:
        """Write what would be sent if a process were compensated now; nothing is."""
        known = await self._catalog.get(state.origin.definition_hash)
        # In a thread: a thousand undos are as many decisions, and others must not wait for them.
        preview = await asyncio.to_thread(preview_undo, known.graph, state, self._now(state))
        return undo_preview_document(known.graph, state, preview)

    async def started(self, graph: StepGraph, state: ProcessState) -> JsonObject:
        """Write the answer to a start from where the process stands."""
        return started_document(graph, state, estimated_end=await self._end(graph, state))

    async def accepted(self, graph: StepGraph, state: ProcessState) -> JsonObject:
        """Write the answer to a start as it was first given, also when the process has moved on since."""
        first = as_accepted(state)
        durations = await self._durations.of(state.origin.process_type)
        end = estimated_end(graph, first, durations=durations, now=state.origin.accepted_at)
        return started_document(graph, first, estimated_end=end)

    async def wait_for_change(
        self, process_id: str, *, version: int, seconds: float, stopping: Stopping
    ) -> ProcessState | None:
        """Give the process as soon as its version differs from `version`, or as it is after `seconds`."""
        async for state in self._looks(process_id, seconds, stopping):
            if state is None or state.version != version:
                return state
        return await self.get(process_id)

    async def wait_for_end(
        self, process_id: str, *, seconds: float, stopping: Stopping
    ) -> ProcessState | None:
        """Give the process as soon as it has ended, or as it is after `seconds`."""
        async for state in self._looks(process_id, seconds, stopping):
            if state is None or state.status.is_ended:
                return state
        return await self.get(process_id)

    async def events(self, process_id: str, *, after: int = 0) -> list[JsonObject] | None:
        """Give the entries of a log behind number `after`; None for a process that was never accepted."""
        # The whole log is read, because `after` may stand in the middle of a transition.
        transitions = await self._log.read(process_id)
        if not transitions:
            return None
        return _entries(transitions, after)

    async def follow(
        self, process_id: str, *, after: int, stopping: Stopping
    ) -> AsyncIterator[tuple[ProcessState, list[JsonObject]]]:
        """Give the new entries of a log as they come, with the state after them, until the process ended."""
        state: ProcessState | None = None
        pause = FIRST_LOOK_S
        while not stopping.is_set():
            transitions = await self._log.read(process_id, 0 if state is None else state.version)
            state = fold(transitions, state)
            if state is None:
                return
            entries = _entries(transitions, after)
            if entries or state.status.is_ended:
                yield state, entries
            if state.status.is_ended:
                return
            pause = FIRST_LOOK_S if entries else min(pause * LOOK_GROWTH, LAST_LOOK_S)
            await asyncio.sleep(pause)

    async def page(
        self, chosen: ProjectionFilter, *, after: Position | None, limit: int
    ) -> tuple[list[JsonObject], Position | None]:
        """Give a page of summaries, the newest first, and where the next page begins, if there is one."""
        found = await self._projections.page(chosen, after=after, limit=limit + 1)
        shown = found[:limit]
        more = len(found) > limit
        last = Position(shown[-1].started_at, shown[-1].process_id) if more else None
        return [summary(projection) for projection in shown], last

    async def counts(self) -> Counts:
        """Count the processes by (process type, status); of very many the numbers may be a minute old."""
        return await self._counts.now()

    def process_types(self) -> list[JsonObject]:
        """List the process types that can be started."""
        known = [self._catalog.current(name) for name in self._catalog.types()]
        return [process_type_summary(one.graph, definition_hash=one.hash) for one in known if one is not None]

    async def process_type(self, name: str) -> JsonObject | None:
        """Write everything about a process type; None for one that nobody defined."""
        known = self._catalog.current(name)
        if known is None:
            return None
        return process_type_document(
            known.definition,
            known.graph,
            definition_hash=known.hash,
            versions=await self._catalog.versions(name),
            durations=await self._durations.of(name),
            is_paused=self._catalog.is_paused(name),
        )

    async def _unserved(self, graph: StepGraph, state: ProcessState) -> Collection[str]:
        asked = asked_services(graph, state)
        if not asked:
            return ()
        try:
            async with asyncio.timeout(ASK_BROKER_WITHIN_S):
                return await self._bus.unserved(asked)
        except (BusUnavailable, TimeoutError):
            return ()  # a process can be read also while the broker is away

    async def _end(self, graph: StepGraph, state: ProcessState) -> int:
        durations = await self._durations.of(state.origin.process_type)
        return estimated_end(graph, state, durations=durations, now=self._now(state))

    def _now(self, state: ProcessState) -> int:
        try:
            return max(self._clock.now(), state.updated_at)
        except NotReady:  # a process can be read also while the clock is unsure
            return state.updated_at

    async def _looks(
        self, process_id: str, seconds: float, stopping: Stopping
    ) -> AsyncIterator[ProcessState | None]:
        ends_at = asyncio.get_running_loop().time() + seconds
        pause = FIRST_LOOK_S
        while True:
            yield await self.get(process_id)
            left = ends_at - asyncio.get_running_loop().time()
            if left <= 0 or stopping.is_set():
                return
            await asyncio.sleep(min(pause, left))
            pause = min(pause * LOOK_GROWTH, LAST_LOOK_S)


def _entries(transitions: Sequence[Transition], after: int) -> list[JsonObject]:
    return [entry for transition in transitions for entry in event_entries(transition, after=after)]
