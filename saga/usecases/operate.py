"""What a person can do: act on a process, on all that match a filter, on a type; or answer for a participant.

Nothing is decided here. What is asked for is published, confirmed, and judged again when a coordinator takes it:
the process may have moved on by then.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from saga.coordinator.outgoing import control_message, reply_message
from saga.coordinator.type_pauses import REASON
from saga.definition.catalog import Catalog
from saga.errors import NotAllowedNow
from saga.messages.command import CommandRef
from saga.messages.control import ControlCommand
from saga.messages.json_text import JsonObject
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock, Ids
from saga.ports.projections import Position, Projection, ProjectionFilter, ProjectionStore
from saga.process.operating import allowed_actions
from saga.process.state import ProcessState
from saga.process.status import Direction, OperatorAction, ProcessStatus
from saga.usecases.read import ReadProcesses

_PAGE = 200
_OPEN = (ProcessStatus.STARTED, ProcessStatus.COMPENSATING)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Hold what came of an action on many: how many match, and how many were asked."""

    matching: int
    requested: int


class OperateProcesses:
    """Ask processes to change their course."""

    def __init__(
        self,
        read: ReadProcesses,
        projections: ProjectionStore,
        catalog: Catalog,
        bus: MessageBus,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._read = read
        self._projections = projections
        self._catalog = catalog
        self._bus = bus
        self._clock = clock
        self._ids = ids

    async def act(self, command: ControlCommand, state: ProcessState) -> None:
        """Ask one process for an action; returns when the broker has confirmed it.

        Raises NotAllowedNow by where the process stands in `state`, BusUnavailable where it may or may not have
        been asked: repeating it with the same request id is safe.
        """
        known = await self._catalog.get(state.origin.definition_hash)
        allowed = allowed_actions(known.graph, state)
        if OperatorAction(command.action) not in allowed:
            raise NotAllowedNow(state.status, tuple(map(str, allowed)))
        await self._ask(command)

    async def act_on_all(self, command: ControlCommand, chosen: ProjectionFilter, *, dry_run: bool) -> Bulk:
        """Ask all that match for an action; each judges by itself whether it applies to it."""
        matching = requested = 0
        async for process_id in self._matching(chosen):
            matching += 1
            if not dry_run:
                await self._ask(replace(command, process_id=process_id, request_id=None))
                requested += 1
        return Bulk(matching, requested)

    async def pause_type(self, process_type: str, command: ControlCommand) -> Bulk:
        """Pause a type: new processes of it wait, and those that are under way are paused.

        What coordinators begin before they know of it is paused by them a moment later.
        """
        await self._catalog.set_paused(process_type, paused=True)
        chosen = ProjectionFilter(statuses=tuple(map(str, _OPEN)), process_type=process_type)
        return await self.act_on_all(replace(command, action="pause", reason=REASON), chosen, dry_run=False)

    async def resume_type(self, process_type: str, command: ControlCommand) -> Bulk:
        """Resume a type, and all processes of it that are paused."""
        await self._catalog.set_paused(process_type, paused=False)
        chosen = ProjectionFilter(statuses=(str(ProcessStatus.PAUSED),), process_type=process_type)
        return await self.act_on_all(replace(command, action="resume"), chosen, dry_run=False)

    async def answer(self, ref: CommandRef, word: str, body: JsonObject) -> bool:
        """Send a reply in a participant's place, or give a signal; False where that command was never sent.

        Returns when the broker has confirmed it. Raises BusUnavailable; repeating it is safe.
        """
        state = await self._read.get(ref.process_id)
        effort = None if state is None else state.effort(Direction(ref.kind), ref.step)
        if state is None or effort is None or effort.attempt(ref.attempt) is None:
            return False
        await self._bus.publish(reply_message(state, ref, word, body, at=self._clock.now()))
        return True

    async def _ask(self, command: ControlCommand) -> None:
        request_id = command.request_id or self._ids.process_id()
        identified = replace(command, request_id=request_id)
        await self._bus.publish(control_message(identified, request_id=request_id, at=self._clock.now()))

    async def _matching(self, chosen: ProjectionFilter) -> AsyncIterator[str]:
        after: Position | None = None
        while True:
            page: Sequence[Projection] = await self._projections.page(chosen, after=after, limit=_PAGE)
            for projection in page:
                yield projection.process_id
            if len(page) < _PAGE:
                return
            after = Position(page[-1].started_at, page[-1].process_id)
