"""What follows from the state alone: which steps start, when a process turns back or stops, when it ends.

Runs after every input's own events until nothing more follows, so that a state in the log leaves nothing to
do but wait for a reply or a timer (or, after a slice of a large release, for the next slice).
"""

from collections.abc import Iterable

from saga.definition.graph import StepNode
from saga.messages.json_text import to_text
from saga.process import events as ev
from saga.process.draft import Draft
from saga.process.effects import command_bytes
from saga.process.limits import COMMANDS_BYTES_MAX, EVENTS_MAX, FORWARD_EVENTS_MAX
from saga.process.state import Effort
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.survey import Survey, nodes_in, startable, survey, to_undo, undoable

# Reasons of a suspension that no reply can settle: they end by an operator's word.
EVENT_LIMIT = "event_limit"
UNDECIDABLE = "stuck"
ENDS_BY_OPERATOR = frozenset({EVENT_LIMIT, UNDECIDABLE})


def advance(draft: Draft) -> None:
    """Record all that follows now."""
    if draft.state.status.is_ended or draft.state.suspended_for in ENDS_BY_OPERATOR:
        return
    seen = survey(draft.graph, draft.state)
    if draft.state.status is ProcessStatus.SUSPENDED and _stuck(draft, seen) is None:
        _resume(draft)
    if not draft.state.is_going_back:
        seen = _turn_back_if_failed(draft, seen)
    if draft.state.is_going_back:
        _go_back(draft, seen)
    else:
        _go_forward(draft, seen)


def start_attempt(draft: Draft, direction: Direction, step: str) -> None:
    """Record that the next attempt of an effort starts now."""
    effort = draft.state.effort(direction, step)
    number = len(effort.attempts) + 1 if effort else 1
    due_at = draft.now + draft.plan(direction, step).timeout_ms
    draft.record(ev.AttemptStarted(direction, step, number, due_at))
    draft.command_bytes += command_bytes(draft.graph, draft.state, draft.graph.by_name[step])


def _go_forward(draft: Draft, seen: Survey) -> None:
    if not _release(draft, Direction.ACTION, startable(draft.graph, seen)):
        advance(draft)  # a command could not be built: its step failed, and that has consequences
        return
    if seen.done == seen.everything:
        draft.record(ev.Completed())
    else:
        _suspend_if_stuck(draft, seen)


def _go_back(draft: Draft, seen: Survey) -> None:
    if seen.open:
        return  # what is in flight is awaited: its outcome says whether it must be undone
    if draft.state.undo_plan is None:
        draft.record(ev.CompensationPlanned(to_undo(draft.graph, seen)))
        seen = survey(draft.graph, draft.state)
    if draft.state.version >= EVENTS_MAX:
        draft.record(ev.Suspended(EVENT_LIMIT, None, f"the log holds {EVENTS_MAX} events"))
        return
    released = _release(draft, Direction.COMPENSATION, undoable(draft.graph, seen))
    if not seen.not_undone:
        draft.record(ev.Compensated())
    else:
        _suspend_if_stuck(draft, seen if released else survey(draft.graph, draft.state))


def _release(draft: Draft, direction: Direction, nodes: Iterable[StepNode]) -> bool:
    """Start what may start, as far as the commands fit one transition; False when a step was refused."""
    for node in nodes:
        size = command_bytes(draft.graph, draft.state, node)
        if size > COMMANDS_BYTES_MAX:
            _refuse(draft, direction, node, size)
            return False
        if draft.command_bytes + size > COMMANDS_BYTES_MAX:
            return True  # the rest goes with the next transition, which a timer asks for at once
        start_attempt(draft, direction, node.name)
    return True


def _refuse(draft: Draft, direction: Direction, node: StepNode, size: int) -> None:
    message = f"parameters and results of {size} bytes don't fit a command of {COMMANDS_BYTES_MAX}"
    error = to_text({"code": "command_too_large", "message": message, "retryable": False})
    draft.record(ev.AttemptFailed(direction, node.name, 0, EffortStatus.FAILED, error))


def _turn_back_if_failed(draft: Draft, seen: Survey) -> Survey:
    for node in nodes_in(draft.graph, seen.failed | seen.unknown):
        is_failed = bool(seen.failed & node.bit)
        if node.behind_pivot or (node.pivot and not is_failed):
            continue  # nothing turns back from here on: the process stops for a person
        return _turn_back(draft, "step_failed" if is_failed else "step_unknown", node.name)
    if draft.state.version >= FORWARD_EVENTS_MAX:
        if _pivot_was_sent(draft):
            draft.record(ev.Suspended(EVENT_LIMIT, None, f"the log holds {FORWARD_EVENTS_MAX} events"))
        else:
            return _turn_back(draft, EVENT_LIMIT, None)
    return seen


def _turn_back(draft: Draft, reason: str, step: str | None) -> Survey:
    closes = tuple(
        (name, EffortStatus.UNKNOWN if state.action.is_unanswered else EffortStatus.FAILED)
        for name, state in draft.state.steps.items()
        if state.action.status is EffortStatus.RETRYING
    )
    draft.record(ev.TurnedBack(reason, step, closes))
    return survey(draft.graph, draft.state)


def _pivot_was_sent(draft: Draft) -> bool:
    pivot = draft.graph.pivot
    return pivot is not None and bool(draft.state.step(pivot.name).action.attempts)


def _suspend_if_stuck(draft: Draft, seen: Survey) -> None:
    state = draft.state
    stuck = _stuck(draft, seen)
    if stuck is None or state.status is ProcessStatus.SUSPENDED:
        return
    direction, name = stuck
    effort = state.effort(direction, name) or Effort()
    detail = f"the {direction} of step {name} is {effort.status} after {len(effort.attempts)} attempts"
    draft.record(ev.Suspended(f"{direction}_{effort.status}", name, detail))


def _resume(draft: Draft) -> None:
    is_going_back = draft.state.is_going_back
    draft.record(
        ev.Resumed("settled", ProcessStatus.COMPENSATING if is_going_back else ProcessStatus.STARTED)
    )


def _stuck(draft: Draft, seen: Survey) -> tuple[Direction, str] | None:
    """Find an effort that spent its attempts where neither forward nor backward is left."""
    for node in nodes_in(draft.graph, seen.undo_stuck):
        return Direction.COMPENSATION, node.name
    if not draft.state.is_going_back:
        for node in nodes_in(draft.graph, seen.failed | seen.unknown):
            if node.behind_pivot or (node.pivot and seen.unknown & node.bit):
                return Direction.ACTION, node.name
    return None
