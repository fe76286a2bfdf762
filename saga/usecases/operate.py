"""What a person can do: act on a process, on all that match a filter, on a type; or answer for a participant.

Nothing is decided here. What is asked for is published, confirmed, and judged again when a coordinator takes it:
the process may have moved on by then.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from saga.coordinator.outgoing import control_message, reply_message
from saga.coordinator.type_pauses import REASON
from saga.definition.catalog import Catalog
from saga.errors import BusUnavailable, StoreUnavailable, Unstorable
from saga.messages.command import CommandRef
from saga.messages.control import REASON_MAX, ControlCommand
from saga.messages.json_text import JsonObject
from saga.messages.strict_json import UnstorableJson, decode
from saga.ports.bus import MessageBus, OutgoingMessage, PublishResult
from saga.ports.clock import Clock
from saga.ports.projections import Position, Projection, ProjectionFilter, ProjectionStore
from saga.process.state import ProcessState
from saga.process.status import Direction, ProcessStatus
from saga.usecases.read import ReadProcesses
from saga.usecases.requests import Looked, judge, request_id_of

# Whoever asks hears within two seconds, together with the reads before it, that the broker is away.
CONFIRM_WITHIN_S = 1.2
READ_WITHIN_S = 1.8
_PAGE = 200
_OPEN = (ProcessStatus.STARTED, ProcessStatus.COMPENSATING)


class PartlyAsked(BusUnavailable):
    """Say that the broker confirmed only some of many requests; repeating all of it is safe."""

    def __init__(self, requested: int) -> None:
        super().__init__(f"{requested} requests were confirmed before the broker failed")
        self.requested = requested


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
    ) -> None:
        self._read = read
        self._projections = projections
        self._catalog = catalog
        self._bus = bus
        self._clock = clock

    async def look(self, process_id: str) -> Looked | None:
        """Read a process from its log: a projection may be a moment late. None for one never accepted."""
        async for state, entries in self._read.follow(process_id, after=0, stopping=_NEVER):
            return Looked(state, entries)
        return None

    async def judge(self, command: ControlCommand, state: ProcessState) -> None:
        """Judge a request by where the process stands; what a coordinator finds later is what counts.

        Raises WrongStep, NotAllowedNow, and StepNotAllowedNow.
        """
        known = await self._catalog.get(state.origin.definition_hash)
        judge(command, known.graph, state)

    async def ask(self, command: ControlCommand, state: ProcessState, *, key: str | None) -> None:
        """Ask one process for an action; returns when the broker has confirmed it.

        Raises BusUnavailable where it may or may not have been asked: repeating it is safe. Unstorable where the
        coordinators would not take the message.
        """
        await self._ask(command, state.version, key)

    async def act_on_all(
        self, command: ControlCommand, chosen: ProjectionFilter, *, dry_run: bool, key: str | None = None
    ) -> Bulk:
        """Ask all that match for an action; each judges by itself whether it applies to it.

        All are found before the first is asked. Raises PartlyAsked.
        """
        found = [projection async for projection in self._matching(chosen)]
        if dry_run:
            return Bulk(len(found), 0)
        requested = 0
        for first in range(0, len(found), _PAGE):
            outcomes = await asyncio.gather(
                *(
                    self._ask(replace(command, process_id=process_id), version, key)
                    for process_id, version in found[first : first + _PAGE]
                ),
                return_exceptions=True,
            )
            failures = [outcome for outcome in outcomes if outcome is not None]
            requested += len(outcomes) - len(failures)
            for failure in failures:
                raise PartlyAsked(requested) if isinstance(failure, BusUnavailable) else failure
        return Bulk(len(found), requested)

    async def pause_type(self, process_type: str, command: ControlCommand, *, key: str | None = None) -> Bulk:
        """Pause a type: new processes of it wait, and those that are under way are paused.

        What coordinators begin before they know of it is paused by them a moment later.
        """
        async with _in_time():
            await self._catalog.set_paused(process_type, paused=True)
        chosen = ProjectionFilter(statuses=tuple(map(str, _OPEN)), process_type=process_type)
        reason = f"{REASON}: {command.reason}"[:REASON_MAX]
        return await self.act_on_all(replace(command, reason=reason), chosen, dry_run=False, key=key)

    async def resume_type(
        self, process_type: str, command: ControlCommand, *, key: str | None = None
    ) -> Bulk:
        """Resume a type, and all processes of it that are paused."""
        async with _in_time():
            await self._catalog.set_paused(process_type, paused=False)
        chosen = ProjectionFilter(statuses=(str(ProcessStatus.PAUSED),), process_type=process_type)
        return await self.act_on_all(command, chosen, dry_run=False, key=key)

    async def find(self, ref: CommandRef) -> ProcessState | None:
        """Give the process that sent a command; None where it was never sent."""
        state = await self._read.get(ref.process_id)
        if state is None or _was_sent(state, ref):
            return state
        # A participant may answer before the projection knows that it was asked.
        looked = await self.look(ref.process_id)
        return looked.state if looked is not None and _was_sent(looked.state, ref) else None

    async def answer(self, state: ProcessState, ref: CommandRef, word: str, body: JsonObject) -> None:
        """Send a reply in a participant's place, or give a signal; returns when the broker has confirmed it.

        Raises BusUnavailable (repeating it is safe), and Unstorable.
        """
        await self._publish(reply_message(state, ref, word, body, at=self._clock.now()))

    async def _ask(self, command: ControlCommand, version: int, key: str | None) -> None:
        request_id = request_id_of(command, key=key, version=version)
        identified = replace(command, request_id=request_id)
        await self._publish(control_message(identified, request_id=request_id, at=self._clock.now()))

    async def _publish(self, message: OutgoingMessage) -> None:
        try:
            decode(message.body)  # what the coordinators' door refuses must not be taken here
        except UnstorableJson as error:
            raise Unstorable(f"the message that carries it is {error}") from None
        try:
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                result = await self._bus.publish(replace(message, mandatory=True))
        except TimeoutError:
            raise BusUnavailable(f"the broker did not confirm within {CONFIRM_WITHIN_S} s") from None
        if result is PublishResult.RETURNED:
            raise BusUnavailable("the coordinators' queue is not there")

    async def _matching(self, chosen: ProjectionFilter) -> AsyncIterator[tuple[str, int]]:
        after: Position | None = None
        while True:
            async with _in_time():
                page: Sequence[Projection] = await self._projections.page(chosen, after=after, limit=_PAGE)
            for projection in page:
                yield projection.process_id, projection.version
            if len(page) < _PAGE:
                return
            after = Position(page[-1].started_at, page[-1].process_id)


def _was_sent(state: ProcessState, ref: CommandRef) -> bool:
    effort = state.effort(Direction(ref.kind), ref.step)
    return effort is not None and effort.attempt(ref.attempt) is not None


class _Never:
    """Stop for nobody: one look at a log is short."""

    def is_set(self) -> bool:
        return False


_NEVER = _Never()


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            yield
    except TimeoutError:
        raise StoreUnavailable("the store did not answer in time") from None
