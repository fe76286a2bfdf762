"""When a process must be looked at again, from its state alone."""

from enum import StrEnum

from saga.definition.graph import StepGraph, StepKind, nodes_in
from saga.process.effects import FRAME_BYTES
from saga.process.limits import COMMANDS_BYTES_MAX, ENDS_BY_OPERATOR, IN_FLIGHT_MAX
from saga.process.order import startable, startable_items, unasked, undoable
from saga.process.state import ProcessState
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.survey import Survey, survey
from saga.values import value

# How long an accepted process may wait for its start message before a timer starts it.
START_GRACE_MS = 1_000

# How often whoever waits for a business key looks again, should the news of its release be lost.
LOCK_LOOK_MS = 10_000


class WakeReason(StrEnum):
    """Tell what a timer is for; time-outs and the deadline are held back after the broker was away."""

    START = "start"
    RELEASE = "release"
    RETRY = "retry"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    LOCK = "lock"


@value
class Wake:
    """Hold the earliest timer of a process, in milliseconds."""

    at: int
    reason: WakeReason


def next_wake(graph: StepGraph, state: ProcessState, seen: Survey | None = None) -> Wake | None:
    """Give the earliest timer; None where only a message can move the process.

    `seen` is the survey of this very state, where the caller has it.
    """
    if state.status.is_ended or state.suspended_for in ENDS_BY_OPERATOR:
        return None
    if not state.is_taken:
        return Wake(state.origin.accepted_at + START_GRACE_MS, WakeReason.START)
    seen = seen or survey(graph, state)
    if _has_more_to_release(graph, state, seen):
        return Wake(state.updated_at, WakeReason.RELEASE)
    timers = [_first_of_the_attempts(graph, state, seen)]
    deadline = deadline_at(graph, state)
    if deadline is not None:
        timers.append(Wake(deadline, WakeReason.DEADLINE))
    if awaits_lock(state):
        timers.append(Wake(state.updated_at + LOCK_LOOK_MS, WakeReason.LOCK))
    return min((timer for timer in timers if timer is not None), key=lambda timer: timer.at, default=None)


def _first_of_the_attempts(graph: StepGraph, state: ProcessState, seen: Survey) -> Wake | None:
    """Give when an attempt is over or comes; in a pause none comes, and no process of a step is told to end."""
    if state.status is not ProcessStatus.PAUSED:
        first = min(seen.timers.values(), default=None)
    else:
        running = (
            (at, status)
            for (name, direction), (at, status) in seen.timers.items()
            if status is EffortStatus.RUNNING
            if direction is not Direction.ACTION or graph.node_of(name).kind is not StepKind.PROCESS
        )
        first = min(running, default=None)
    if first is None:
        return None
    at, status = first
    return Wake(at, WakeReason.RETRY if status is EffortStatus.RETRYING else WakeReason.TIMEOUT)


def deadline_at(graph: StepGraph, state: ProcessState) -> int | None:
    """Give when the time of the process is over; None where it doesn't run, or is over already."""
    is_running = state.is_taken and not (state.is_stopped or state.is_going_back or state.status.is_ended)
    if graph.deadline_ms is None or state.deadline_passed or not is_running:
        return None
    return state.origin.accepted_at + graph.deadline_ms + state.stood_still_ms


def awaits_lock(state: ProcessState) -> bool:
    """Say whether a process waits for a business key, or for the end of the process that has it."""
    if state.locks is None or state.is_going_back or state.status.is_ended:
        return False
    return not all(lock.is_held for lock in state.locks)


def _has_more_to_release(graph: StepGraph, state: ProcessState, seen: Survey) -> bool:
    """Say whether a slice of a large release was sent and the rest is still to come."""
    if seen.parts * (2 * state.payload_bytes + FRAME_BYTES) <= COMMANDS_BYTES_MAX:
        return False  # all commands together would fit one slice
    if state.status is ProcessStatus.PAUSED or (state.locks is not None and awaits_lock(state)):
        return False
    if seen.in_flight >= IN_FLIGHT_MAX:
        return False
    if unasked(state, seen):
        return True
    if state.is_going_back:
        return not seen.open and any(True for _ in undoable(graph, state, seen))
    if any(startable_items(state, node, seen) for node in nodes_in(graph, seen.expanded)):
        return True
    return any(True for _ in startable(graph, seen))
