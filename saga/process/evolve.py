"""`evolve(state, event, at) -> state`: what each event does to a process; it decides nothing.

An event that does not fit the state means that the log is damaged or newer than this code: ValueError, which
readers of a log turn into UnreadableLog. Guessing past it would be a decision.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias, assert_never

from saga.errors import UnreadableLog
from saga.process import events as ev
from saga.process.state import Attempt, Effort, Origin, ProcessState, StepState
from saga.process.status import LEGAL_MOVES, AttemptOutcome, Direction, EffortStatus, ProcessStatus
from saga.process.transition import Transition

# What an event changes, by the name of the field of the state.
Changes: TypeAlias = dict[str, object]


def evolve(state: ProcessState | None, event: ev.Event, *, at: int, process_id: str) -> ProcessState:
    """Give the state after one more event. Raises ValueError for an event that can't follow."""
    if state is None:
        if not isinstance(event, ev.Accepted):
            raise ValueError(f"the log starts with {type(event).__name__}, not with Accepted")
        return _accepted(event, at, process_id)
    return replace(state, version=state.version + 1, updated_at=at, **_changes(state, event, at))  # type: ignore[arg-type]  # the fields' names and types stand together in each rule below


def fold(transitions: Iterable[Transition], state: ProcessState | None = None) -> ProcessState | None:
    """Fold a log, or the part of it that follows `state`. Raises UnreadableLog at a gap or a misfit."""
    for transition in transitions:
        number = transition.first
        expected = 1 if state is None else state.version + 1
        if number != expected:
            raise UnreadableLog(transition.process_id, number, f"expected event {expected} here")
        for event in transition.events:
            try:
                state = evolve(state, event, at=transition.at, process_id=transition.process_id)
            except (KeyError, TypeError, ValueError) as error:
                raise UnreadableLog(transition.process_id, number, str(error)) from error
            number += 1
    return state


def _accepted(event: ev.Accepted, at: int, process_id: str) -> ProcessState:
    origin = Origin(
        process_id=process_id,
        process_type=event.process_type,
        definition_hash=event.definition_hash,
        parameters=event.parameters,
        labels=MappingProxyType(dict(event.labels)),
        request_hash=event.request_hash,
        principal=event.principal,
        callback_url=event.callback_url,
        traceparent=event.traceparent,
        accepted_at=at,
    )
    return ProcessState(origin, updated_at=at, payload_bytes=len(event.parameters))


def _changes(state: ProcessState, event: ev.Event, at: int) -> Changes:
    if isinstance(event, ev.AttemptEvent):
        return _effort_changes(state, event, at)
    match event:
        case ev.Accepted():
            raise ValueError("Accepted stands twice in one log")
        case ev.Started():
            return {"is_taken": True}
        case ev.Observed():
            return _observed(state, event)
        case ev.TurnedBack():
            return _turned_back(state, event, at)
        case ev.CompensationPlanned():
            return _planned(state, event, at)
        case ev.Suspended():
            return {"status": _move(state, ProcessStatus.SUSPENDED), "suspended_for": event.reason}
        case ev.Resumed():
            return {"status": _move(state, event.status), "suspended_for": None}
        case ev.Completed():
            return {"status": _move(state, ProcessStatus.COMPLETED), "ended_at": at}
        case ev.Compensated():
            return {"status": _move(state, ProcessStatus.COMPENSATED), "ended_at": at}
        case _:
            assert_never(event)


def _move(state: ProcessState, status: ProcessStatus) -> ProcessStatus:
    if status not in LEGAL_MOVES[state.status]:
        raise ValueError(f"a process can't go from {state.status} to {status}")
    return status


def _turned_back(state: ProcessState, event: ev.TurnedBack, at: int) -> Changes:
    steps = dict(state.steps)
    for name, status in event.closes:
        before = state.step(name)
        steps[name] = StepState(_settled(before.action, status, at), before.undo)
    return {
        "status": _move(state, ProcessStatus.COMPENSATING),
        "is_going_back": True,
        "reason": state.reason or event.reason,
        "suspended_for": None,
        "ended_at": None,
        "steps": MappingProxyType(steps),
    }


def _planned(state: ProcessState, event: ev.CompensationPlanned, at: int) -> Changes:
    steps = dict(state.steps)
    for name in event.steps:
        before = state.step(name)
        # Planned again, because its undo found nothing or must wait for another: the attempts go on counting.
        undo = _settled(before.undo or Effort(), EffortStatus.PENDING, at)
        steps[name] = StepState(before.action, undo)
    planned = (state.undo_plan or frozenset()) | frozenset(event.steps)
    return {"undo_plan": planned, "steps": MappingProxyType(steps)}


def _observed(state: ProcessState, event: ev.Observed) -> Changes:
    effort = state.effort(event.direction, event.step) or Effort()
    attempt = _attempt(effort, event.attempt)
    outcome = attempt.outcome
    says_nothing_happened = event.reply == "failed" and not event.effect_unknown
    if says_nothing_happened and effort.status.is_open and outcome is AttemptOutcome.UNANSWERED:
        outcome = AttemptOutcome.FAILED  # the late word of the participant: this attempt had no effect
    answered = replace(attempt, replies=attempt.replies | {event.reply}, outcome=outcome)
    return {
        "observations": state.observations + 1,
        "attention": state.attention or event.attention,
        "steps": _steps_with(state, event.direction, event.step, _with_attempt(effort, answered)),
    }


def _effort_changes(state: ProcessState, event: ev.AttemptEvent, at: int) -> Changes:
    effort = state.effort(event.direction, event.step)
    if effort is None:
        raise ValueError(f"{event.step} stands in no undo plan")
    match event:
        case ev.AttemptStarted():
            changed = _started(effort, event, at)
        case ev.AttemptCompleted():
            changed = _completed(effort, event, at)
        case ev.AttemptFailed():
            changed = _failed(effort, event, at)
        case ev.AttemptTimedOut():
            attempt = _attempt(effort, event.attempt)
            unanswered = _with_attempt(effort, replace(attempt, outcome=AttemptOutcome.UNANSWERED))
            changed = _settled(unanswered, event.becomes, at)
        case ev.AttemptProgressed():
            attempt = _attempt(effort, event.attempt)
            changed = _with_attempt(effort, replace(attempt, due_at=event.due_at, progressed_at=at))
        case ev.RetryScheduled():
            changed = replace(effort, status=EffortStatus.RETRYING, next_attempt_at=event.at)
        case _:
            assert_never(event)
    kept = len(event.output) if isinstance(event, ev.AttemptCompleted) else 0
    return {
        "steps": _steps_with(state, event.direction, event.step, changed),
        "payload_bytes": state.payload_bytes + kept,
    }


def _started(effort: Effort, event: ev.AttemptStarted, at: int) -> Effort:
    if event.attempt != len(effort.attempts) + 1:
        raise ValueError(f"attempt {event.attempt} of {event.step} follows {len(effort.attempts)}")
    attempts = (*effort.attempts, Attempt(event.attempt, at, event.due_at))
    return Effort(EffortStatus.RUNNING, attempts, output=effort.output, error=effort.error)


def _completed(effort: Effort, event: ev.AttemptCompleted, at: int) -> Effort:
    attempt = _attempt(effort, event.attempt)
    answered = replace(attempt, outcome=AttemptOutcome.COMPLETED, replies=attempt.replies | {"completed"})
    attempts = _with_attempt(effort, answered).attempts
    return Effort(EffortStatus.DONE, attempts, output=event.output, settled_at=at)


def _failed(effort: Effort, event: ev.AttemptFailed, at: int) -> Effort:
    if event.attempt == 0:
        return replace(_settled(effort, event.becomes, at), error=event.error)
    attempt = _attempt(effort, event.attempt)
    outcome = AttemptOutcome.UNANSWERED if event.effect_unknown else AttemptOutcome.FAILED
    answered = replace(attempt, outcome=outcome, replies=attempt.replies | {"failed"})
    return replace(_settled(_with_attempt(effort, answered), event.becomes, at), error=event.error)


def _settled(effort: Effort, status: EffortStatus, at: int) -> Effort:
    is_settled = not status.is_open and status is not EffortStatus.PENDING
    return replace(effort, status=status, next_attempt_at=None, settled_at=at if is_settled else None)


def _attempt(effort: Effort, number: int) -> Attempt:
    attempt = effort.attempt(number)
    if attempt is None:
        raise ValueError(f"attempt {number} was never started")
    return attempt


def _with_attempt(effort: Effort, attempt: Attempt) -> Effort:
    index = attempt.number - 1
    return replace(effort, attempts=(*effort.attempts[:index], attempt, *effort.attempts[index + 1 :]))


def _steps_with(
    state: ProcessState, direction: Direction, step: str, effort: Effort
) -> Mapping[str, StepState]:
    before = state.step(step)
    is_action = direction is Direction.ACTION
    after = StepState(effort, before.undo) if is_action else StepState(before.action, effort)
    return MappingProxyType({**state.steps, step: after})
