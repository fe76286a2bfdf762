"""Which steps and instances may go next, each way, and what the undo plan holds."""

from collections.abc import Iterator
from itertools import islice

from saga.definition.graph import StepGraph, StepNode, nodes_in
from saga.process.state import ProcessState, StepState, instance_name
from saga.process.status import AttemptOutcome, EffortStatus
from saga.process.survey import Survey, must_be_asked


def startable(graph: StepGraph, seen: Survey) -> Iterator[StepNode]:
    """Give the steps whose turn it is: what they wait for is settled, or enough of it completed.

    The pivot waits for all but what follows it.
    """
    for node in nodes_in(graph, seen.untouched):
        if node.pivot and seen.everything & ~node.descendants & ~node.bit & ~seen.done:
            continue
        if may_join(node, seen.done, seen.completed):
            yield node


def is_left_out(node: StepNode, seen: Survey) -> bool:
    """Say whether a step whose turn it is has nothing to join: all that it waited for was skipped."""
    return node.join_count is not None and not node.before & seen.completed


def may_join(node: StepNode, done: int, completed: int) -> bool:
    """Say whether the steps that a step comes after let it start, or be left out, where these are done."""
    is_joined = node.join_count is not None and (node.before & completed).bit_count() >= node.join_count
    return is_joined or not node.before & ~done


def undoable(graph: StepGraph, state: ProcessState, seen: Survey) -> Iterator[str]:
    """Name the steps and instances that may be undone: what comes after them is undone or was never started."""
    for node in nodes_in(graph, seen.undo_pending):
        if node.descendants & seen.not_undone:
            continue
        instances = seen.instances(node)
        if instances is None:
            yield node.name
            continue
        room = node.at_once - instances.undos_under_way
        pending = _from(node, instances.next_undo, instances.count)
        yield from _first(room, (name for name in pending if _awaits_undo(state.step(name))))


def startable_items(state: ProcessState, node: StepNode, seen: Survey) -> list[str]:
    """Name the instances that may start now: none once one is spent, and at most `at_once` under way."""
    instances = seen.instances(node)
    if instances is None or instances.is_any_spent:
        return []
    pending = (
        name
        for name in _from(node, instances.next_action, instances.count)
        if state.step(name).action.status is EffortStatus.PENDING
    )
    return list(_first(node.at_once - instances.under_way, pending))


def is_gathered(node: StepNode, seen: Survey) -> bool:
    """Say whether all instances of a step are completed or skipped."""
    instances = seen.instances(node)
    return instances is None or instances.are_settled


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


def unasked(state: ProcessState, seen: Survey) -> tuple[str, ...]:
    """Name the steps and instances whose participant must be asked what became of an attempt, and isn't yet."""
    if not seen.asking:
        return ()
    return tuple(name for name, step in state.steps.items() if must_be_asked(step))


def happened(step: StepState) -> bool:
    """Say whether the action of a step took effect here, or may have, as far as anybody said."""
    if step.is_kept:
        return False  # it happened in another process, which undoes it where that is needed
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


def _awaits_undo(step: StepState) -> bool:
    return step.undo is not None and step.undo.status is EffortStatus.PENDING


def _from(node: StepNode, index: int, count: int) -> Iterator[str]:
    return (instance_name(node.name, number) for number in range(index, count))


def _first(count: int, names: Iterator[str]) -> Iterator[str]:
    return islice(names, max(0, count))
