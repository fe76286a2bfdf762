"""Where all steps of a process stand, as bit masks over the graph's positions, read in one pass.

With masks, each rule about order is one expression: a step may start when `node.before & ~done` is
nothing, and be undone when `node.descendants & not_undone` is nothing. The instances of a step that runs once
per item share its bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from saga.definition.graph import StepGraph, StepNode, nodes_in
from saga.process.state import ProcessState, StepState, instance_name
from saga.process.status import AttemptOutcome, EffortStatus


@dataclass(frozen=True, slots=True)
class Survey:
    """Hold one mask per standing of the actions, and of the undos in the plan.

    `done` is completed or skipped. `expanded` are steps whose instances are being worked on. `in_flight` counts
    the efforts of all directions that are open.
    """

    everything: int
    untouched: int
    open: int
    completed: int
    done: int
    failed: int
    unknown: int
    expanded: int
    undo_pending: int
    undo_open: int
    undo_stuck: int
    in_flight: int

    @property
    def not_undone(self) -> int:
        """Give the steps in the plan whose undo is not acknowledged."""
        return self.undo_pending | self.undo_open | self.undo_stuck


_NOWHERE = dict.fromkeys(EffortStatus, 0)


def survey(graph: StepGraph, state: ProcessState) -> Survey:
    """Read where the steps stand now."""
    everything = (1 << len(graph.nodes)) - 1
    actions = _NOWHERE.copy()
    undos = _NOWHERE.copy()
    instances = _NOWHERE.copy()
    touched = expanded = in_flight = 0
    for name, step in state.steps.items():
        node = graph.by_name.get(name)
        status = step.action.status
        if node is None:
            node = graph.node_of(name)
            instances[status] |= node.bit
        elif step.items is not None and status is EffortStatus.RUNNING:
            touched |= node.bit
            expanded |= node.bit
        else:
            touched |= node.bit
            actions[status] |= node.bit
        in_flight += status.is_open and step.items is None
        if step.undo is not None:
            undos[step.undo.status] |= node.bit
            in_flight += step.undo.status.is_open
    return Survey(
        everything=everything,
        untouched=everything & ~touched | actions[EffortStatus.PENDING],
        open=_open_in(actions) | _open_in(instances),
        completed=actions[EffortStatus.DONE],
        done=actions[EffortStatus.DONE] | actions[EffortStatus.SKIPPED],
        failed=actions[EffortStatus.FAILED] | instances[EffortStatus.FAILED],
        unknown=actions[EffortStatus.UNKNOWN] | instances[EffortStatus.UNKNOWN],
        expanded=expanded,
        undo_pending=undos[EffortStatus.PENDING],
        undo_open=undos[EffortStatus.RUNNING] | undos[EffortStatus.RETRYING],
        undo_stuck=undos[EffortStatus.FAILED],
        in_flight=in_flight,
    )


def startable(graph: StepGraph, seen: Survey) -> Iterator[StepNode]:
    """Give the steps whose turn it is: what they wait for is settled, or enough of it completed.

    The pivot waits for all but what follows it.
    """
    for node in nodes_in(graph, seen.untouched):
        if node.pivot and seen.everything & ~node.descendants & ~node.bit & ~seen.done:
            continue
        if not node.before & ~seen.done or _is_joined(node, seen):
            yield node


def is_left_out(node: StepNode, seen: Survey) -> bool:
    """Say whether a step whose turn it is has nothing to join: all that it waited for was skipped."""
    return node.join_count is not None and not node.before & seen.completed


def _is_joined(node: StepNode, seen: Survey) -> bool:
    return node.join_count is not None and (node.before & seen.completed).bit_count() >= node.join_count


def undoable(graph: StepGraph, state: ProcessState, seen: Survey) -> Iterator[str]:
    """Name the steps and instances that may be undone: what comes after them is undone or was never started."""
    for node in nodes_in(graph, seen.undo_pending):
        if node.descendants & seen.not_undone:
            continue
        undos = [(name, step.undo.status) for name, step in _parts(state, node) if step.undo is not None]
        under_way = sum(status.is_open for _, status in undos)
        pending = [name for name, status in undos if status is EffortStatus.PENDING]
        yield from pending[: max(0, node.at_once - under_way)] if node.for_each else pending


def startable_items(state: ProcessState, node: StepNode) -> list[str]:
    """Name the instances that may start now: none once one is spent, and at most `at_once` under way."""
    items = state.step(node.name).items or ()
    pending = []
    under_way = 0
    for index in range(len(items)):
        name = instance_name(node.name, index)
        status = state.step(name).action.status
        if status in {EffortStatus.FAILED, EffortStatus.UNKNOWN}:
            return []
        under_way += status.is_open
        if status is EffortStatus.PENDING:
            pending.append(name)
    return pending[: max(0, node.at_once - under_way)]


def is_gathered(state: ProcessState, node: StepNode) -> bool:
    """Say whether all instances of a step are completed or skipped."""
    items = state.step(node.name).items or ()
    settled = {EffortStatus.DONE, EffortStatus.SKIPPED}
    return all(
        state.step(instance_name(node.name, index)).action.status in settled for index in range(len(items))
    )


def to_undo(graph: StepGraph, state: ProcessState) -> tuple[str, ...]:
    """Give the undo plan: every step and instance that completed, or may have, and has a compensation."""
    return tuple(
        name
        for node in graph.nodes
        if node.compensation is not None
        for name, step in _parts(state, node)
        if step.items is None and happened(step)
    )


def events_there_and_back(graph: StepGraph, state: ProcessState) -> int:
    """Count the events of the rest if all goes well and is undone then: a start and an answer each way."""
    return sum(
        (2 * (step.action.status is EffortStatus.PENDING) + step.action.status.is_open)
        + 2 * (node.compensation is not None and may_happen(step))
        for node in graph.nodes
        for _, step in _parts(state, node)
        if step.items is None
    )


def may_happen(step: StepState) -> bool:
    """Say whether the action of a step took effect, or still may."""
    return step.action.status is EffortStatus.PENDING or step.action.status.is_open or happened(step)


def unasked(state: ProcessState) -> tuple[str, ...]:
    """Name the steps and instances whose participant must be asked what became of an attempt, and isn't yet."""
    return tuple(
        name
        for name, step in state.steps.items()
        if step.action.status is EffortStatus.VERIFYING
        and (step.verify is None or not step.verify.status.is_open)
    )


def happened(step: StepState) -> bool:
    """Say whether the action of a step took effect, or may have, as far as anybody said."""
    match step.action.status:
        case EffortStatus.DONE | EffortStatus.UNKNOWN:
            return True
        case EffortStatus.SKIPPED:  # a participant may have known better than who skipped it
            return any(attempt.outcome is AttemptOutcome.COMPLETED for attempt in step.action.attempts)
        case _:
            return False


def instances_of(state: ProcessState, node: StepNode) -> Iterator[str]:
    """Name what a step consists of: itself, or its instances in order."""
    items = state.step(node.name).items
    if items is None:
        yield node.name
    else:
        yield from (instance_name(node.name, index) for index in range(len(items)))


def _parts(state: ProcessState, node: StepNode) -> Iterator[tuple[str, StepState]]:
    return ((name, state.step(name)) for name in instances_of(state, node))


def _open_in(standings: dict[EffortStatus, int]) -> int:
    return (
        standings[EffortStatus.RUNNING] | standings[EffortStatus.RETRYING] | standings[EffortStatus.VERIFYING]
    )
