"""`evolve(state, event, at) -> state`: what each event does to a process; it decides nothing.

An event that does not fit the state means that the log is damaged or newer than this code: ValueError, which
readers of a log turn into UnreadableLog. Guessing past it would be a decision.
"""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from saga.errors import UnreadableLog
from saga.process import events as ev
from saga.process.state import Attempt, Effort, ProcessState, StepState
from saga.process.status import LEGAL_MOVES, AttemptOutcome, Direction, EffortStatus, ProcessStatus
from saga.process.transition import Transition


def evolve(state: ProcessState | None, event: ev.Event, *, at: int, process_id: str) -> ProcessState:
    """Give the state after one more event. Raises ValueError for an event that can't follow."""
    if state is None:
        if not isinstance(event, ev.Accepted):
            raise ValueError(f"the log starts with {type(event).__name__}, not with Accepted")
        return _accept(event, at, process_id)
    return replace(_apply(state, event, at), version=state.version + 1, updated_at=at)


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
            except ValueError as error:
                raise UnreadableLog(transition.process_id, number, str(error)) from error
            number += 1
    return state


def _accept(event: ev.Accepted, at: int, process_id: str) -> ProcessState:
    return ProcessState(
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
        updated_at=at,
        payload_bytes=len(event.parameters),
    )


def _apply(state: ProcessState, event: ev.Event, at: int) -> ProcessState:
    match event:
        case ev.Accepted():
            raise ValueError("Accepted stands twice in one log")
        case ev.Started():
            return replace(state, is_taken=True)
        case (
            ev.AttemptStarted()
            | ev.AttemptCompleted()
            | ev.AttemptFailed()
            | ev.AttemptTimedOut()
            | ev.AttemptProgressed()
            | ev.RetryScheduled()
        ):
            return _apply_to_effort(state, event, at)
        case ev.Observed():
            return _observe(state, event)
        case ev.TurnedBack():
            return _turn_back(state, event, at)
        case ev.CompensationPlanned():
            return _plan(state, event)
        case ev.Suspended():
            return replace(_move(state, ProcessStatus.SUSPENDED), suspended_for=event.reason)
        case ev.Resumed():
            return replace(_move(state, event.status), suspended_for=None)
        case ev.Completed():
            return replace(_move(state, ProcessStatus.COMPLETED), ended_at=at)
        case ev.Compensated():
            return replace(_move(state, ProcessStatus.COMPENSATED), ended_at=at)
        case _:
            assert_never(event)


def _move(state: ProcessState, status: ProcessStatus) -> ProcessState:
    if status not in LEGAL_MOVES[state.status]:
        raise ValueError(f"a process can't go from {state.status} to {status}")
    return replace(state, status=status)


def _turn_back(state: ProcessState, event: ev.TurnedBack, at: int) -> ProcessState:
    moved = _move(state, ProcessStatus.COMPENSATING)
    moved = replace(moved, is_going_back=True, ended_at=None, suspended_for=None)
    if state.reason is None:
        moved = replace(moved, reason=event.reason)
    for name, status in event.closes:
        action = moved.step(name).action
        moved = _with_effort(moved, Direction.ACTION, name, _settled(action, status, at))
    return moved


def _plan(state: ProcessState, event: ev.CompensationPlanned) -> ProcessState:
    steps = dict(state.steps)
    for name in event.steps:
        before = state.step(name)
        # Planned again after its undo found nothing to undo: the attempts go on counting.
        undo = replace(before.undo or Effort(), status=EffortStatus.PENDING, settled_at=None)
        steps[name] = replace(before, undo=undo)
    planned = (state.undo_plan or frozenset()) | frozenset(event.steps)
    return replace(state, undo_plan=planned, steps=MappingProxyType(steps))


def _observe(state: ProcessState, event: ev.Observed) -> ProcessState:
    observed = replace(
        state, observations=state.observations + 1, attention=state.attention or event.attention
    )
    effort = state.effort(event.direction, event.step)
    attempt = effort.attempt(event.attempt) if effort else None
    if effort is None or attempt is None:
        raise ValueError(f"attempt {event.attempt} of {event.step} was never started")
    outcome = attempt.outcome
    if event.reply == "failed" and effort.status.is_open and outcome is AttemptOutcome.UNANSWERED:
        outcome = AttemptOutcome.FAILED  # the late word of the participant: this attempt had no effect
    answered = replace(attempt, replies=attempt.replies | {event.reply}, outcome=outcome)
    return _with_effort(observed, event.direction, event.step, _with_attempt(effort, answered))


def _apply_to_effort(state: ProcessState, event: ev.AttemptEvent, at: int) -> ProcessState:
    effort = state.effort(event.direction, event.step)
    if effort is None:
        if not isinstance(event, ev.AttemptStarted):
            raise ValueError(f"{event.step} has no undo under way")
        effort = Effort()
    match event:
        case ev.AttemptStarted():
            changed = _start(effort, event, at)
        case ev.AttemptCompleted():
            changed = _complete(effort, event, at)
        case ev.AttemptFailed():
            changed = _fail(effort, event, at)
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
    changed_state = _with_effort(state, event.direction, event.step, changed)
    return replace(changed_state, payload_bytes=state.payload_bytes + kept)


def _start(effort: Effort, event: ev.AttemptStarted, at: int) -> Effort:
    if event.attempt != len(effort.attempts) + 1:
        raise ValueError(f"attempt {event.attempt} of {event.step} follows {len(effort.attempts)}")
    attempt = Attempt(event.attempt, at, event.due_at)
    return replace(
        effort,
        status=EffortStatus.RUNNING,
        attempts=(*effort.attempts, attempt),
        next_attempt_at=None,
        settled_at=None,
    )


def _complete(effort: Effort, event: ev.AttemptCompleted, at: int) -> Effort:
    attempt = _attempt(effort, event.attempt)
    answered = replace(attempt, outcome=AttemptOutcome.COMPLETED, replies=attempt.replies | {"completed"})
    done = _with_attempt(effort, answered)
    return replace(_settled(done, EffortStatus.DONE, at), output=event.output, error=None)


def _fail(effort: Effort, event: ev.AttemptFailed, at: int) -> Effort:
    if event.attempt == 0:
        return replace(_settled(effort, event.becomes, at), error=event.error)
    attempt = _attempt(effort, event.attempt)
    outcome = AttemptOutcome.UNANSWERED if event.effect_unknown else AttemptOutcome.FAILED
    answered = replace(attempt, outcome=outcome, replies=attempt.replies | {"failed"})
    return replace(_settled(_with_attempt(effort, answered), event.becomes, at), error=event.error)


def _settled(effort: Effort, status: EffortStatus, at: int) -> Effort:
    return replace(effort, status=status, next_attempt_at=None, settled_at=None if status.is_open else at)


def _attempt(effort: Effort, number: int) -> Attempt:
    attempt = effort.attempt(number)
    if attempt is None:
        raise ValueError(f"attempt {number} was never started")
    return attempt


def _with_attempt(effort: Effort, attempt: Attempt) -> Effort:
    index = attempt.number - 1
    return replace(effort, attempts=(*effort.attempts[:index], attempt, *effort.attempts[index + 1 :]))


def _with_effort(state: ProcessState, direction: Direction, step: str, effort: Effort) -> ProcessState:
    before = state.step(step)
    after = (
        StepState(effort, before.undo) if direction is Direction.ACTION else StepState(before.action, effort)
    )
    return replace(state, steps=MappingProxyType({**state.steps, step: after}))
