"""Start a process: what is asked for is checked, and accepted once."""

from collections.abc import Mapping
from dataclasses import dataclass

from saga.coordinator.rulings import Beginning, acceptance
from saga.definition.catalog import Catalog, KnownDefinition
from saga.errors import IdempotencyConflict, InvalidParameters, StoreUnavailable, UnknownProcessType
from saga.messages.json_text import JsonObject
from saga.messages.start import StartCommand, id_for_key
from saga.process.state import ProcessState
from saga.usecases.accepting import Acceptor, StartPorts
from saga.webhooks.policy import NOBODY, CallbackPolicy


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
        return StartCommand(self.process_type, self.parameters, self.labels, callback_url=self.callback_url)


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """Hold an accepted process; `is_replayed` says that an earlier, equal request had started it."""

    process_id: str
    state: ProcessState
    known: KnownDefinition
    is_replayed: bool


class StartProcess:
    """Accept processes."""

    def __init__(self, ports: StartPorts, catalog: Catalog, may_call_back: CallbackPolicy = NOBODY) -> None:
        self._ports = ports
        self._may_call_back = may_call_back
        self._acceptor = Acceptor(ports)
        self._catalog = catalog

    async def __call__(self, request: StartRequest) -> StartedProcess:
        """Return once the start is durable, also while the broker is away.

        Raises UnknownProcessType, InvalidParameters, CallbackRefused, IdempotencyConflict, StoreUnavailable,
        NotReady, and OutcomeUnknown with the process id: asking again with that id is safe.
        """
        known = await self._definition(request.process_type)
        problems = known.problems_with(request.parameters)
        if problems:
            raise InvalidParameters(problems)
        self._may_call_back.check(request.callback_url)
        process_id = self._process_id(request)
        command = request.command
        beginning = Beginning(known, self._catalog.pins(known))
        event = acceptance(command, beginning, request.principal, request.traceparent)
        state = await self._acceptor.accept(process_id, (event,), command, known)
        if state is None:
            return await self._started_before(request, process_id)
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

    async def _started_before(self, request: StartRequest, process_id: str) -> StartedProcess:
        state = await self._acceptor.existing(process_id)
        if state is None:
            raise StoreUnavailable("the log conflicted and then was empty")
        if state.origin.request_hash != request.command.request_hash:
            raise IdempotencyConflict(process_id)
        known = await self._catalog.get(state.origin.definition_hash)
        if not state.is_taken:
            await self._acceptor.hand_over(request.command, known, state)
        return StartedProcess(process_id, state, known, is_replayed=True)
