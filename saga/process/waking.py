"""The rules for timers that go off: time-outs, retries, the deadline, a start that nobody took."""

from saga.definition.graph import StepKind
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance, pivot_in_flight, pivot_was_sent
from saga.process.attempts import (
    TIMEOUT,
    after_failure,
    can_ask,
    conclude,
    schedule_retry,
    start_attempt,
)
from saga.process.draft import Draft
from saga.process.state import Effort
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.timers import awaits_lock, deadline_at
from saga.process.turning import DEADLINE, turn_back


def wake(draft: Draft, woken: inputs.WokenUp) -> None:
    """Do all that is due; a wake of an older version says nothing, because the newer one has its own timer."""
    if woken.version != draft.state.version or woken.due_at > draft.now:
        return
    if not draft.state.is_taken:
        draft.record(ev.Started())
    # Who waits for a business key sent nothing yet whose answer an outage may hold back: the clock counts there.
    due_at = draft.now if awaits_lock(draft.state) else woken.due_at
    _pass_deadline(draft, due_at)  # first: nothing is tried again for which there is no more time
    for name, step in tuple(draft.state.steps.items()):
        _wake_effort(draft, Direction.ACTION, name, step.action, woken.due_at)
        if step.undo is not None:
            _wake_effort(draft, Direction.COMPENSATION, name, step.undo, woken.due_at)
        if step.verify is not None:
            _wake_effort(draft, Direction.VERIFY, name, step.verify, woken.due_at)
    advance(draft)


def _wake_effort(draft: Draft, direction: Direction, name: str, effort: Effort, due_at: int) -> None:
    current = effort.current
    if effort.status is EffortStatus.RUNNING and current is not None and current.due_at <= due_at:
        if not current.cancelled:
            _time_out(draft, direction, name, current.number)
    elif effort.status is EffortStatus.RETRYING and (effort.next_attempt_at or 0) <= due_at:
        _try_again(draft, direction, name)


def _try_again(draft: Draft, direction: Direction, name: str) -> None:
    if draft.state.status is not ProcessStatus.PAUSED:
        start_attempt(draft, direction, name)


def _time_out(draft: Draft, direction: Direction, name: str, attempt: int) -> None:
    kind = draft.graph.node_of(name).kind
    if kind is StepKind.PROCESS and direction is Direction.ACTION:
        # Never two at a time: the next attempt starts when this one is undone.
        if draft.state.status is not ProcessStatus.PAUSED:
            draft.record(ev.ChildCancelled(name, attempt, TIMEOUT))
        return
    if can_ask(draft, direction, name):
        draft.record(ev.AttemptTimedOut(direction, name, attempt, EffortStatus.VERIFYING))
        return
    # Nothing is sent for a signal, so that nobody gave it leaves nothing to undo.
    effect_unknown = kind is not StepKind.SIGNAL
    becomes = after_failure(
        draft, direction, name, code=TIMEOUT, attempt=attempt, effect_unknown=effect_unknown
    )
    draft.record(ev.AttemptTimedOut(direction, name, attempt, becomes))
    if becomes is EffortStatus.RETRYING:
        schedule_retry(draft, direction, name)
    elif direction is Direction.VERIFY:
        conclude(draft, name, had_no_effect=False)


def _pass_deadline(draft: Draft, due_at: int) -> None:
    # By the timer and not by the clock: after an outage the deadline's own timer is held back for a while.
    at = deadline_at(draft.graph, draft.state)
    if at is None or at > due_at:
        return
    if pivot_in_flight(draft):
        draft.record(ev.DeadlinePassed("noted"))
        draft.record(ev.TurnNoted(DEADLINE))
    elif pivot_was_sent(draft):
        draft.record(ev.DeadlinePassed("attention"))
    else:
        draft.record(ev.DeadlinePassed("turns_back"))
        turn_back(draft, DEADLINE, None)
