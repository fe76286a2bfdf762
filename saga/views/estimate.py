"""When a process will probably have ended: the longest path of what is left, by what steps usually take."""

from collections.abc import Mapping

from saga.definition.graph import StepGraph, StepNode, nodes_in
from saga.process.state import Effort, ProcessState
from saga.process.status import Direction, EffortStatus

# How long one direction of a step took in the past, in milliseconds.
Durations = Mapping[tuple[Direction, str], int]


def estimated_end(graph: StepGraph, state: ProcessState, *, durations: Durations, now: int) -> int:
    """Give the point in time, in milliseconds; for an ended process the one at which it ended."""
    if state.ended_at is not None:
        return state.ended_at
    if state.is_going_back:
        return _end_of_undo(graph, state, durations, now)
    return _end_of_work(graph, state, durations, now)


def _end_of_work(graph: StepGraph, state: ProcessState, durations: Durations, now: int) -> int:
    ends: dict[str, int] = {}
    for node in _in_working_order(graph):
        starts_at = max([now, *(ends[name] for name in _awaited(graph, node))])
        usual = _usual_ms(node, Direction.ACTION, durations)
        ends[node.name] = _end_of(state.step(node.name).action, starts_at, usual, now)
    return max(ends.values())


def _end_of_undo(graph: StepGraph, state: ProcessState, durations: Durations, now: int) -> int:
    # A step is undone after all that come after it, so each end is handed on to the steps before it.
    starts = dict.fromkeys(graph.by_name, now)
    end = now
    for node in reversed(_in_working_order(graph)):
        step = state.step(node.name)
        may_be_undone = step.undo is not None
        if step.action.status.is_open:
            usual = _usual_ms(node, Direction.ACTION, durations)
            starts[node.name] = max(starts[node.name], _end_of(step.action, now, usual, now))
            may_be_undone = node.compensation is not None
        ends_at = starts[node.name]
        if may_be_undone:
            usual = _usual_ms(node, Direction.COMPENSATION, durations)
            ends_at = max(ends_at, _end_of(step.undo or Effort(), ends_at, usual, now))
        for before in node.after:
            starts[before] = max(starts[before], ends_at)
        end = max(end, ends_at)
    return end


def _end_of(effort: Effort, starts_at: int, usual_ms: int, now: int) -> int:
    match effort.status:
        case EffortStatus.PENDING:
            return starts_at + usual_ms
        case EffortStatus.RUNNING if effort.attempts:
            return max(now, effort.attempts[-1].started_at + usual_ms)
        case EffortStatus.RUNNING | EffortStatus.VERIFYING:
            return now + usual_ms
        case EffortStatus.RETRYING:
            return max(now, effort.next_attempt_at or now) + usual_ms
        case _:
            return now


def _awaited(graph: StepGraph, node: StepNode) -> tuple[str, ...]:
    """Give what a step waits for; the pivot waits for all that does not come after it."""
    if not node.pivot:
        return node.after
    everything = (1 << len(graph.nodes)) - 1
    return tuple(other.name for other in nodes_in(graph, everything & ~node.descendants & ~node.bit))


def _in_working_order(graph: StepGraph) -> list[StepNode]:
    """Sort so that each step stands behind all that it waits for."""
    return sorted(graph.nodes, key=lambda node: (node.forward_only, node.ancestors.bit_count()))


def _usual_ms(node: StepNode, direction: Direction, durations: Durations) -> int:
    seen = durations.get((direction, node.name))
    if seen is not None:
        return seen
    if node.expected_ms is not None:
        return node.expected_ms
    plan = node.compensation if direction is Direction.COMPENSATION and node.compensation else node.action
    return plan.timeout_ms
