"""When a process must be looked at again, from its state alone."""

from dataclasses import dataclass
from enum import StrEnum

from saga.definition.graph import StepGraph
from saga.process.advance import ENDS_BY_OPERATOR
from saga.process.effects import FRAME_BYTES
from saga.process.limits import COMMANDS_BYTES_MAX
from saga.process.state import Effort, ProcessState
from saga.process.status import EffortStatus
from saga.process.survey import startable, survey, undoable

# How long an accepted process may wait for its start message before a timer starts it.
START_GRACE_MS = 1_000


class WakeReason(StrEnum):
    """Tell what a timer is for; only time-outs are held back after the broker was away."""

    START = "start"
    RELEASE = "release"
    RETRY = "retry"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Wake:
    """Hold the earliest timer of a process, in milliseconds."""

    at: int
    reason: WakeReason


def next_wake(graph: StepGraph, state: ProcessState) -> Wake | None:
    """Give the earliest timer; None where only a message can move the process."""
    if state.status.is_ended or state.suspended_for in ENDS_BY_OPERATOR:
        return None
    if not state.is_taken:
        return Wake(state.origin.accepted_at + START_GRACE_MS, WakeReason.START)
    if _has_more_to_release(graph, state):
        return Wake(state.updated_at, WakeReason.RELEASE)
    timers = [
        timer
        for step in state.steps.values()
        for effort in (step.action, step.undo)
        if effort is not None and (timer := _timer(effort)) is not None
    ]
    return min(timers, key=lambda timer: timer.at, default=None)


def _timer(effort: Effort) -> Wake | None:
    if effort.status is EffortStatus.RUNNING:
        return Wake(effort.attempts[-1].due_at, WakeReason.TIMEOUT)
    if effort.status is EffortStatus.RETRYING and effort.next_attempt_at is not None:
        return Wake(effort.next_attempt_at, WakeReason.RETRY)
    return None


def _has_more_to_release(graph: StepGraph, state: ProcessState) -> bool:
    """Say whether a slice of a large release was sent and the rest is still to come."""
    if len(graph.nodes) * (2 * state.payload_bytes + FRAME_BYTES) <= COMMANDS_BYTES_MAX:
        return False  # all commands together would fit one slice
    seen = survey(graph, state)
    if not state.is_going_back:
        return any(True for _ in startable(graph, seen))
    return not seen.open and any(True for _ in undoable(graph, seen))
