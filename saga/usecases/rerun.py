"""Begin a process anew from one of its steps: a new process, which keeps what the old one did before that step.

The new one is accepted like any other. Its start tells the old one of it, by the road that all messages take; so
the logs of both name each other, whatever fails in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from saga.coordinator.rulings import Beginning, acceptance
from saga.definition.catalog import Catalog, KnownDefinition
from saga.errors import (
    IdempotencyConflict,
    InvalidParameters,
    NotAllowedNow,
    StoreUnavailable,
    Unstorable,
)
from saga.messages.json_text import Json, JsonObject, from_text, to_canonical_text
from saga.messages.start import StartCommand, id_for_rerun
from saga.process.events import Event, OperatorReran
from saga.process.evolve import fold
from saga.process.limits import COMMANDS_BYTES_MAX
from saga.process.operating import allowed_actions
from saga.process.rerunning import results_kept, why_no_rerun
from saga.process.state import ProcessState, split_instance
from saga.process.transition import Transition
from saga.usecases.accepting import Acceptor, StartPorts
from saga.usecases.requests import WrongStep
from saga.usecases.start import StartedProcess
from saga.webhooks.policy import NOBODY, CallbackPolicy


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """Hold what a caller asks for; `changes` take the place of old parameters, those `without` are left out.

    The callback address is that of the new process: the old one's is not kept.
    """

    process_id: str
    step: str
    reason: str
    changes: JsonObject
    without: frozenset[str]
    idempotency_key: str | None
    principal: str
    traceparent: str | None
    callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class Rerun:
    """Hold a request, the process that it is about, and the one that it begins, where that is there already."""

    request: RerunRequest
    old: ProcessState
    known: KnownDefinition
    command: StartCommand
    process_id: str
    earlier: ProcessState | None


class RerunProcess:
    """Begin processes from others."""

    def __init__(self, ports: StartPorts, catalog: Catalog, may_call_back: CallbackPolicy = NOBODY) -> None:
        self._may_call_back = may_call_back
        self._log = ports.log
        self._acceptor = Acceptor(ports)
        self._catalog = catalog

    async def look(self, request: RerunRequest) -> Rerun | None:
        """Read the process that a request is about; None for one that was never accepted."""
        transitions = await self._log.read(request.process_id)
        old = fold(transitions)
        if old is None:
            return None
        known = await self._catalog.get(old.origin.definition_hash)
        before = cast("JsonObject", from_text(old.parameters))
        kept = {name: value for name, value in before.items() if name not in request.without}
        parameters = {**kept, **request.changes}
        command = StartCommand(
            old.origin.process_type, parameters, old.origin.labels, callback_url=request.callback_url
        )
        process_id = _new_id(request, transitions)
        return Rerun(request, old, known, command, process_id, await self._acceptor.existing(process_id))

    async def begin(self, rerun: Rerun) -> StartedProcess:
        """Return once the new process is durable, also while the broker is away.

        Raises WrongStep, NotAllowedNow, InvalidParameters, CallbackRefused, IdempotencyConflict, Unstorable
        where the results are too large to be taken over, StoreUnavailable, NotReady, and OutcomeUnknown: asking
        again is safe.
        """
        earlier = rerun.earlier
        if earlier is None:
            events = self._judged(rerun)
            state = await self._acceptor.accept(rerun.process_id, events, rerun.command, rerun.known)
            if state is not None:
                return StartedProcess(rerun.process_id, state, rerun.known, is_replayed=False)
            earlier = await self._acceptor.existing(rerun.process_id)
        if earlier is None:
            raise StoreUnavailable("the log conflicted and then was empty")
        if not _asks_the_same(rerun, earlier):
            raise IdempotencyConflict(rerun.process_id)
        if not earlier.is_taken:
            await self._acceptor.hand_over(rerun.command, rerun.known, earlier)
        return StartedProcess(rerun.process_id, earlier, rerun.known, is_replayed=True)

    def _judged(self, rerun: Rerun) -> tuple[Event, ...]:
        """Give the first events of the new process, where it may begin."""
        request, old, known = rerun.request, rerun.old, rerun.known
        if request.step not in known.graph.by_name:
            is_item = split_instance(request.step)[1] is not None
            raise WrongStep(
                "must be a whole step: items go together" if is_item else "is no step of this process"
            )
        if why_no_rerun(old) is not None:
            raise NotAllowedNow(old.status, tuple(map(str, allowed_actions(known.graph, old))))
        problems = known.problems_with(rerun.command.parameters)
        if problems:
            raise InvalidParameters(problems)
        self._may_call_back.check(request.callback_url)
        kept = results_kept(known.graph, old, request.step)
        if sum(len(result.output or "") for result in kept) > COMMANDS_BYTES_MAX:
            raise Unstorable(f"the results before step {request.step} exceed {COMMANDS_BYTES_MAX} bytes")
        beginning = Beginning(known, old.origin.children)
        accepted = acceptance(rerun.command, beginning, request.principal, request.traceparent)
        lineage = replace(
            accepted, forked_from=request.process_id, from_step=request.step, fork_reason=request.reason
        )
        return (lineage, *kept)


def _new_id(request: RerunRequest, transitions: Sequence[Transition]) -> str:
    """Derive the id of the new process, so that the same request gives the same one.

    Without a key the same request is the same words, as long as nothing but reruns happened to the old process.
    """
    if request.idempotency_key is not None:
        return id_for_rerun(request.principal, request.process_id, f"key\n{request.idempotency_key}")
    happened = sum(
        not isinstance(event, OperatorReran) for transition in transitions for event in transition.events
    )
    asked: list[Json] = [request.step, request.reason, request.changes, [*sorted(request.without)], happened]
    if request.callback_url is not None:
        asked.append(request.callback_url)
    words = to_canonical_text(asked)
    return id_for_rerun(request.principal, request.process_id, f"words\n{words}")


def _asks_the_same(rerun: Rerun, earlier: ProcessState) -> bool:
    origin, request = earlier.origin, rerun.request
    return (origin.forked_from, origin.from_step, origin.fork_reason, origin.request_hash) == (
        request.process_id, request.step, request.reason, rerun.command.request_hash
    )  # fmt: skip
