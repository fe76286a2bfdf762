"""From an admitted message and the state it meets to a ruling: events, nothing, or the dead letters. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never, cast

from saga.coordinator.admitted import (
    Admitted,
    AdmittedControl,
    AdmittedFork,
    AdmittedLockNews,
    AdmittedMigration,
    AdmittedReply,
    AdmittedStart,
    AdmittedWake,
    Rejected,
)
from saga.definition.catalog import KnownDefinition
from saga.definition.graph import StepGraph
from saga.messages.json_text import JsonObject, from_text, to_text
from saga.messages.start import StartCommand
from saga.process.decide import decide, knows
from saga.process.events import Accepted, Event, Suspended
from saga.process.evolve import evolve
from saga.process.inputs import (
    FailureReceived,
    Input,
    MigrationRequested,
    ReplyReceived,
    StartRequested,
    SuccessReceived,
)
from saga.process.limits import PROCESS_BYTES_MAX, UNDECIDABLE
from saga.process.state import ProcessState
from saga.process.status import ProcessStatus
from saga.process.survey import Survey
from saga.values import value


@value
class Standing:
    """Hold what a ruling is made on; only a fresh one, just read from the log, may rule that nothing changes.

    `seen` is the survey of the state, where the decision before left it.
    """

    state: ProcessState
    graph: StepGraph
    is_fresh: bool
    seen: Survey | None = None


@value
class NoProcess:
    """Say that there is no such process; not fresh, it is only a guess."""

    is_fresh: bool


@value
class Ruling:
    """Hold what a message causes; `parked` says why a copy of it also goes to the dead letters."""

    graph: StepGraph
    state: ProcessState
    seen: Survey | None
    events: tuple[Event, ...]
    parked: str | None = None


def rule(
    message: Admitted,
    standing: Standing,
    now: int,
    *,
    is_paused: bool = False,
    target: "Beginning | None" = None,
) -> Ruling:
    """Rule on a message for a process that exists; `is_paused` says that its type is.

    `target` is the version that a migration names, where it is known with all that it starts.
    Raises Rejected, which is final on a fresh standing only.
    """
    state = standing.state
    match message:
        case AdmittedStart():
            if message.command.request_hash != state.origin.request_hash:
                raise Rejected("conflicting-start", "this process id belongs to another request")
            return _decided(standing, StartRequested(is_paused), now)
        case AdmittedReply():
            return _rule_on_reply(message, standing, now)
        case AdmittedWake() | AdmittedControl() | AdmittedFork() | AdmittedLockNews():
            return _decided(standing, message.received, now)
        case AdmittedMigration():
            return _decided(standing, migration(message, state, target), now)
        case _:
            assert_never(message)


def migration(
    message: AdmittedMigration, state: ProcessState, target: "Beginning | None"
) -> MigrationRequested:
    """Give what a migration asks of a process, with what is wrong with the version whatever its state."""
    command = message.command
    if target is None:
        problems = ("no such version, or not every process type that it starts, is known here",)
        return MigrationRequested(
            command.definition, None, command.reason, message.actor, message.request_id, problems=problems
        )
    parameters = cast("JsonObject", from_text(state.parameters))
    return MigrationRequested(
        definition_hash=command.definition,
        graph=target.known.graph,
        reason=command.reason,
        actor=message.actor,
        request_id=message.request_id,
        children=target.children,
        problems=tuple(
            f"its parameters are not those of the version: {pointer or '/'} {sentence}"
            for pointer, sentence in target.known.problems_with(parameters)
        ),
    )


@value
class Beginning:
    """Hold what a process starts or goes on with; `children` are the definitions of those that it starts."""

    known: KnownDefinition
    children: Mapping[str, str]
    is_paused: bool = False


def rule_on_new(message: AdmittedStart, beginning: Beginning, now: int) -> Ruling:
    """Rule on a start command that nobody accepted before: it is accepted and begun at once. Raises Rejected."""
    known = beginning.known
    problems = known.problems_with(message.command.parameters)
    if problems:
        sentences = "; ".join(f"{pointer or '/'} {sentence}" for pointer, sentence in problems)
        raise Rejected("invalid-parameters", sentences)
    accepted = acceptance(message.command, beginning, message.principal, message.traceparent)
    state = evolve(None, accepted, at=now, process_id=message.process_id)
    begun = _decided(Standing(state, known.graph, is_fresh=False), StartRequested(beginning.is_paused), now)
    return replace(begun, events=(accepted, *begun.events))


def acceptance(
    command: StartCommand, beginning: Beginning, principal: str, traceparent: str | None
) -> Accepted:
    """Give the first event of the log of a process that a start command asks for."""
    lineage = command.lineage
    return Accepted(
        process_type=command.process_type,
        definition_hash=beginning.known.hash,
        parameters=to_text(command.parameters),
        labels=command.labels,
        request_hash=command.request_hash,
        principal=principal,
        callback_url=command.callback_url,
        traceparent=traceparent,
        parent=lineage.parent if lineage else None,
        root_id=lineage.root_id if lineage else "",
        children=lineage.children if lineage else beginning.children,
    )


def _rule_on_reply(message: AdmittedReply, standing: Standing, now: int) -> Ruling:
    state = standing.state
    if not knows(state, message.received):
        raise Rejected("unknown-command", "command_id is none that this process ever sent")
    received: ReplyReceived = message.received
    parked = message.unusable
    if (
        isinstance(received, SuccessReceived)
        and state.payload_bytes + len(received.output) > PROCESS_BYTES_MAX
    ):
        parked = f"the outputs of this process would exceed {PROCESS_BYTES_MAX} bytes"
        error = to_text({"code": "unusable_output", "message": parked})
        received = FailureReceived(
            received.direction, received.step, received.attempt, "unusable_output", error, effect_unknown=True
        )
    ruling = _decided(standing, received, now)
    # Also where nothing changes: the server may have died between the append and the dead letters.
    return ruling if parked is None else replace(ruling, parked=parked)


def _decided(standing: Standing, received: Input, now: int) -> Ruling:
    graph, state = standing.graph, standing.state
    try:
        decision = decide(graph, state, received, now, standing.seen)
    except Exception as error:  # a defect of ours must stop this process, visibly, and never the queue
        if state.status not in (ProcessStatus.STARTED, ProcessStatus.COMPENSATING):
            raise Rejected("undecidable", f"{type(error).__name__} while deciding") from error
        detail = f"{type(error).__name__} while deciding on {type(received).__name__}"
        suspended = Suspended(UNDECIDABLE, None, detail)
        after = evolve(state, suspended, at=max(now, state.updated_at), process_id=state.process_id)
        return Ruling(graph, after, None, (suspended,))
    return Ruling(decision.graph, decision.state, decision.seen, decision.events)
