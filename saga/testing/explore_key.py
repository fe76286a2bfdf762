"""What two moments have in common from which a process goes on alike: the canonical form of the search."""

from collections.abc import Iterable, Mapping

from saga.definition.graph import StepGraph
from saga.messages.json_text import NULL
from saga.process.state import Effort, ProcessState, StepState
from saga.process.status import AttemptOutcome, EffortStatus
from saga.process.timers import deadline_at
from saga.testing.explore_machine import Moment
from saga.testing.explore_witness import found_nothing

_SETTLED = frozenset(
    {EffortStatus.DONE, EffortStatus.FAILED, EffortStatus.UNKNOWN, EffortStatus.SKIPPED}
)  # fmt: skip


def key_of(graph: StepGraph, moment: Moment, *, is_strict: bool = True) -> object:
    """Give all that still matters. Of points in time that is their order, not how far they are apart.

    Versions, counts and reasons don't matter, nor do the attempts of what is settled for good. Where it isn't
    strict, it also leaves out which replies were recorded, and what an outsider made of them.
    """
    state = moment.state
    deadline = deadline_at(graph, state)
    order = _order_of(state, deadline, moment.now)
    # Where a person may order another try, what was asked about the last one matters again.
    asks_no_more = _SETTLED if state.suspended_for is None else frozenset({EffortStatus.DONE})
    steps = frozenset(
        (
            name,
            *_step_key(step, order, is_strict),
            None if step.action.status in asks_no_more else _effort_key(step.verify, order, is_strict),
        )
        for name, step in state.steps.items()
    )
    return (
        state.status, state.is_taken, state.is_going_back, state.suspended_for, state.undo_plan, state.noted,
        state.deadline_passed, state.stopped_at is None, state.joined_to, state.locks, state.requests, steps,
        None if deadline is None else order[deadline], moment.witness.key() if is_strict else None,
    )  # fmt: skip


def _step_key(step: StepState, order: Mapping[int, int], is_strict: bool) -> tuple[object, ...]:  # noqa: FBT001 - handed on
    action = step.action
    undo = step.undo
    is_undone = (
        undo is not None and undo.status is EffortStatus.DONE and not found_nothing(undo.output or NULL)
    )
    is_done = action.status is EffortStatus.DONE
    return (
        step.items,
        (action.status, action.output) if is_done else _effort_key(action, order, is_strict),
        EffortStatus.DONE if is_undone else _effort_key(undo, order, is_strict),
    )


def _effort_key(effort: Effort | None, order: Mapping[int, int], is_strict: bool) -> object:  # noqa: FBT001 - handed on
    if effort is None:
        return None
    attempts = tuple(
        (
            attempt.outcome,
            attempt.replies if is_strict else None,
            attempt.cancelled,
            order.get(attempt.due_at),
        )
        if attempt.outcome is AttemptOutcome.RUNNING
        else (attempt.outcome, attempt.replies if is_strict else None)
        for attempt in effort.attempts
    )
    next_at = None if effort.next_attempt_at is None else order[effort.next_attempt_at]
    return (effort.status, attempts, next_at, effort.output, effort.granted, effort.input)


def _order_of(state: ProcessState, deadline: int | None, now: int) -> dict[int, int]:
    points = set(_points(state))
    if deadline is not None:
        points.add(deadline)
    coming = sorted(point for point in points if point > now)
    return dict.fromkeys(points, 0) | {point: place for place, point in enumerate(coming, start=1)}


def _points(state: ProcessState) -> Iterable[int]:
    for step in state.steps.values():
        for effort in (step.action, step.undo, step.verify):
            if effort is None:
                continue
            if effort.next_attempt_at is not None:
                yield effort.next_attempt_at
            current = effort.current
            if effort.status is EffortStatus.RUNNING and current is not None:
                yield current.due_at
