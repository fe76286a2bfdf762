"""Start a process: durable in the log before anybody is told so, on its way to a coordinator after that.

If the start command is not published (the broker is away, this server dies), the timer that the projection
carries finds the process, and a coordinator starts it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from saga.coordinator.outgoing import start_message
from saga.coordinator.projector import project
from saga.coordinator.rulings import Beginning, acceptance
from saga.definition.catalog import Catalog, KnownDefinition
from saga.errors import (
    BusUnavailable,
    IdempotencyConflict,
    InvalidParameters,
    OutcomeUnknown,
    StoreUnavailable,
    UnknownProcessType,
    VersionConflict,
)
from saga.messages.json_text import JsonObject
from saga.messages.start import StartCommand, id_for_key
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock, Ids
from saga.ports.event_log import EventLog
from saga.ports.observer import Observer
from saga.ports.projections import ProjectionStore
from saga.process.evolve import evolve, fold
from saga.process.state import ProcessState
from saga.process.timers import next_wake
from saga.process.transition import Cause, Transition

# A caller is told within two seconds; the append itself may go on and be found by a repeated request.
APPEND_WITHIN_S = 1.8


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Hold what a caller asks for; the principal is the name of its token, or empty."""

    process_type: str
    parameters: JsonObject
    labels: Mapping[str, str]
    callback_url: str | None
    process_id: str | None
    idempotency_key: str | None
    principal: str
    traceparent: str | None

    @property
    def command(self) -> StartCommand:
        """Give the request as the start command that it becomes."""
        return StartCommand(self.process_type, self.parameters, self.labels)


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """Hold an accepted process; `is_replayed` says that an earlier, equal request had started it."""

    process_id: str
    state: ProcessState
    known: KnownDefinition
    is_replayed: bool


@dataclass(frozen=True, slots=True)
class StartPorts:
    """Hold what starting needs of the outside world."""

    log: EventLog
    projections: ProjectionStore
    bus: MessageBus
    clock: Clock
    ids: Ids
    observer: Observer
    name: str


class StartProcess:
    """Accept processes."""

    def __init__(self, ports: StartPorts, catalog: Catalog) -> None:
        self._ports = ports
        self._catalog = catalog

    async def __call__(self, request: StartRequest) -> StartedProcess:
        """Return once the start is durable, also while the broker is away.

        Raises UnknownProcessType, InvalidParameters, IdempotencyConflict, StoreUnavailable, NotReady, and
        OutcomeUnknown with the process id: asking again with that id is safe.
        """
        known = await self._definition(request.process_type)
        problems = known.problems_with(request.parameters)
        if problems:
            raise InvalidParameters(problems)
        process_id = self._process_id(request)
        transition, state = self._accepted(request, known, process_id)
        try:
            async with asyncio.timeout(APPEND_WITHIN_S):
                await self._ports.log.append(transition)
        except VersionConflict:
            return await self._started_before(request, process_id)
        except (OutcomeUnknown, TimeoutError) as unknown:
            raise OutcomeUnknown("the store did not say whether it has the start", process_id) from unknown
        self._ports.observer.reached("accepted")
        await self._hand_over(request.command, known, state)
        return StartedProcess(process_id, state, known, is_replayed=False)

    async def _definition(self, process_type: str) -> KnownDefinition:
        known = self._catalog.current(process_type)
        if known is None:
            await self._catalog.refresh()  # another server may have registered it
            known = self._catalog.current(process_type)
        if known is None:
            raise UnknownProcessType(process_type, self._catalog.types())
        return known

    def _process_id(self, request: StartRequest) -> str:
        if request.process_id is not None:
            return request.process_id
        if request.idempotency_key is not None:
            return id_for_key(request.principal, request.idempotency_key)
        return self._ports.ids.process_id()

    def _accepted(
        self, request: StartRequest, known: KnownDefinition, process_id: str
    ) -> tuple[Transition, ProcessState]:
        now = self._ports.clock.now()
        command = request.command
        beginning = Beginning(known, self._catalog.pins(known))
        event = acceptance(command, beginning, request.principal, request.traceparent)
        transition = Transition(
            process_id=process_id,
            first=1,
            events=(event,),
            commands=(),
            # Not the identity of the start message: that one is still to come, and begins the process.
            cause=Cause(f"accept:{process_id}", "client", ""),
            at=now,
            by=self._ports.name,
            mark=self._ports.ids.mark(),
        )
        return transition, evolve(None, event, at=now, process_id=process_id)

    async def _hand_over(self, command: StartCommand, known: KnownDefinition, state: ProcessState) -> None:
        """See to it that a coordinator finds the process: by its start message, or by its timer."""
        message = start_message(command, state, at=state.origin.accepted_at)
        outcomes = await asyncio.gather(
            self._ports.projections.save(project(state, next_wake(known.graph, state))),
            self._ports.bus.publish(message),
            return_exceptions=True,
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, (StoreUnavailable, OutcomeUnknown, BusUnavailable)):
                raise failure
        if len(failures) == len(outcomes):
            raise OutcomeUnknown("accepted, but nothing is there yet to go on with it", state.process_id)
        self._ports.observer.reached("published")

    async def _started_before(self, request: StartRequest, process_id: str) -> StartedProcess:
        state = fold(await self._ports.log.read(process_id))
        if state is None:
            raise StoreUnavailable("the log conflicted and then was empty")
        if state.origin.request_hash != request.command.request_hash:
            raise IdempotencyConflict(process_id)
        known = await self._catalog.get(state.origin.definition_hash)
        if not state.is_taken:
            await self._hand_over(request.command, known, state)
        return StartedProcess(process_id, state, known, is_replayed=True)
