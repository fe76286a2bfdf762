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
from saga.process.evolve_steps import Changes, attempt_changes, closed, observed, planned, step_changes
from saga.process.state import Lock, Origin, ProcessState
from saga.process.status import LEGAL_MOVES, ProcessStatus
from saga.process.transition import Transition
from saga.values import with_changes


def evolve(state: ProcessState | None, event: ev.Event, *, at: int, process_id: str) -> ProcessState:
    """Give the state after one more event. Raises ValueError for an event that can't follow."""
    if state is None:
        if not isinstance(event, ev.Accepted):
            raise ValueError(f"the log starts with {type(event).__name__}, not with Accepted")
        return _accepted(event, at, process_id)
    # The fields' names and types stand together in each rule below.
    return with_changes(state, version=state.version + 1, updated_at=at, **_changes(state, event, at))


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
        parent=event.parent,
        root_id=event.root_id or process_id,
        children=MappingProxyType(dict(event.children)),
        forked_from=event.forked_from,
        from_step=event.from_step,
        fork_reason=event.fork_reason,
    )
    return ProcessState(origin, updated_at=at, payload_bytes=len(event.parameters), reply_to=event.parent)


def _changes(state: ProcessState, event: ev.Event, at: int) -> Changes:
    if isinstance(event, ev.AttemptEvent):
        return attempt_changes(state, event, at)
    if isinstance(event, ev.StepEvent):
        return step_changes(state, event, at)
    if isinstance(event, ev.LockEvent):
        return _lock_changes(state, event)
    if isinstance(event, ev.StandingEvent):
        return _standing_changes(state, event, at)
    match event:
        case ev.Accepted():
            raise ValueError("Accepted stands twice in one log")
        case ev.Started():
            return {"is_taken": True}
        case ev.Observed():
            return observed(state, event)
        case ev.CompensationPlanned():
            return planned(state, event, at)
        case ev.DeadlinePassed():
            return {"deadline_passed": True, "attention": state.attention or event.consequence == "attention"}
        case ev.TurnNoted():
            return {"noted": state.noted or event.reason}
        case (
            ev.OperatorActed()
            | ev.OperatorRejected()
            | ev.OperatorReran()
            | ev.Migrated()
            | ev.MigrationRejected()
        ):
            return _requested(state, event)
        case _:
            assert_never(event)


def _requested(
    state: ProcessState,
    event: ev.OperatorActed | ev.OperatorRejected | ev.OperatorReran | ev.MigrationEvent,
) -> Changes:
    requests = state.requests | {event.request_id}
    match event:
        case ev.OperatorActed():
            return {"requests": requests, "reply_to": event.reply_to or state.reply_to}
        case ev.OperatorRejected() | ev.MigrationRejected():
            return {"requests": requests, "rejections": state.rejections + 1}
        case ev.OperatorReran():
            return {"requests": requests}
        case ev.Migrated():
            return {"requests": requests, "origin": _moved(state.origin, event)}


def _moved(origin: Origin, event: ev.Migrated) -> Origin:
    if event.from_hash != origin.definition_hash:
        raise ValueError(f"it is moved from the definition {event.from_hash}, not from its own")
    children = MappingProxyType({**origin.children, **event.children})
    return replace(origin, definition_hash=event.definition_hash, children=children)


def _standing_changes(state: ProcessState, event: ev.StandingEvent, at: int) -> Changes:
    match event:
        case ev.TurnedBack():
            return _turned_back(state, event, at)
        case ev.Suspended():
            status = _move(state, ProcessStatus.SUSPENDED)
            return {"status": status, "suspended_for": event.reason, "stopped_at": at}
        case ev.Paused():
            return {"status": _move(state, ProcessStatus.PAUSED), "stopped_at": at}
        case ev.Resumed():
            return {"status": _move(state, event.status), "suspended_for": None, **_going_again(state, at)}
        case ev.Completed():
            attention = state.attention or event.problem is not None
            ended = _ended(state, ProcessStatus.COMPLETED, at)
            return {**ended, "result": event.result, "attention": attention}
        case ev.Compensated():
            return _ended(state, ProcessStatus.COMPENSATED, at)
        case ev.Failed():
            return {**_ended(state, ProcessStatus.FAILED, at), "reason": event.reason, "suspended_for": None}
        case _:
            assert_never(event)


def _turned_back(state: ProcessState, event: ev.TurnedBack, at: int) -> Changes:
    return {
        "status": _move(state, ProcessStatus.COMPENSATING),
        "is_going_back": True,
        "reason": state.reason or event.reason,
        "suspended_for": None,
        "ended_at": None,
        "steps": closed(state, event, at),
        **_going_again(state, at),
    }


def _move(state: ProcessState, status: ProcessStatus) -> ProcessStatus:
    if status not in LEGAL_MOVES[state.status]:
        raise ValueError(f"a process can't go from {state.status} to {status}")
    return status


def _ended(state: ProcessState, status: ProcessStatus, at: int) -> Changes:
    return {"status": _move(state, status), "ended_at": at, **_going_again(state, at)}


def _going_again(state: ProcessState, at: int) -> Changes:
    stood_still_ms = 0 if state.stopped_at is None else at - state.stopped_at
    return {"stopped_at": None, "stood_still_ms": state.stood_still_ms + stood_still_ms}


def _lock_changes(state: ProcessState, event: ev.LockEvent) -> Changes:
    match event:
        case ev.LocksWanted():
            return {"locks": tuple(Lock(key) for key in event.keys)}
        case ev.LockAcquired():
            changed = Lock(event.key, state.origin.root_id, is_held=True)
        case ev.LockAwaited():
            changed = Lock(event.key, event.holder)
        case ev.LockJoined():
            return {"joined_to": event.holder}
        case _:
            assert_never(event)
    return {"locks": tuple(changed if lock.key == event.key else lock for lock in state.locks or ())}
