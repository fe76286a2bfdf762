"""Where all steps of a process stand, as bit masks over the graph's positions, kept up to date event by event.

With masks, each rule about order is one expression: a step may start when `node.before & ~done` is
nothing, and be undone when `node.descendants & not_undone` is nothing. The instances of a step that runs once
per item share its bit, and are counted beside. So one event costs the same in a process of three steps and of a
thousand.
"""

from collections.abc import Iterable
from typing import TypeAlias

from saga.definition.graph import StepGraph, StepNode
from saga.process import events as ev
from saga.process.state import UNTOUCHED, Effort, ProcessState, StepState, split_instance
from saga.process.status import Direction, EffortStatus

_RANK = {status: rank for rank, status in enumerate(EffortStatus)}
_KINDS = len(_RANK)
_OfOneStep: TypeAlias = ev.AttemptEvent | ev.StepEvent | ev.Observed
_PENDING, _RUNNING, _RETRYING, _VERIFYING, _DONE, _FAILED, _UNKNOWN, _SKIPPED = range(_KINDS)


class Instances:
    """Count the instances of one step by where they stand, each way.

    No instance before `next_action` waits for its start, and none before `next_undo` for its undo.
    """

    __slots__ = ("actions", "count", "next_action", "next_undo", "undos")

    def __init__(self, count: int) -> None:
        self.count = count
        self.actions = [count] + [0] * (_KINDS - 1)
        self.undos = [0] * _KINDS
        self.next_action = 0
        self.next_undo = count

    def copy(self) -> "Instances":
        """Give the same counts again, to be counted on."""
        copied = Instances(self.count)
        copied.actions, copied.undos = self.actions.copy(), self.undos.copy()
        copied.next_action, copied.next_undo = self.next_action, self.next_undo
        return copied

    @property
    def is_any_spent(self) -> bool:
        """Say whether an instance failed or is unknown."""
        return bool(self.actions[_FAILED] or self.actions[_UNKNOWN])

    @property
    def are_settled(self) -> bool:
        """Say whether all are completed or skipped."""
        return self.count == self.actions[_DONE] + self.actions[_SKIPPED]

    @property
    def under_way(self) -> int:
        """Count those whose action is open."""
        return _open_in(self.actions)

    @property
    def undos_under_way(self) -> int:
        """Count those whose undo is open."""
        return _open_in(self.undos)


class Survey:
    """Hold one mask per standing of the actions, and of the undos in the plan.

    It belongs to one draft, which follows the state with it; once the decision is made nobody changes it.
    `parts` counts the steps and all instances, `in_flight` the efforts of all directions that are open,
    `asking` the actions whose participant must be asked and is not yet. `timers` says when an attempt is over
    or comes, `by_step` counts the instances of a step, and `spread` says of which steps there are any where.
    """

    __slots__ = (
        "actions", "asking", "by_step", "everything", "expanded",
        "in_flight", "parts", "spread", "timers", "undos",
    )  # fmt: skip

    def __init__(self, graph: StepGraph) -> None:
        self.everything = (1 << len(graph.nodes)) - 1
        self.expanded = 0
        self.parts = len(graph.nodes)
        self.in_flight = 0
        self.asking = 0
        self.timers: dict[tuple[str, Direction], tuple[int, EffortStatus]] = {}
        self.actions = [self.everything] + [0] * (_KINDS - 1)
        self.undos = [0] * _KINDS
        self.spread = [0] * _KINDS
        self.by_step: dict[str, Instances] = {}

    def copy(self) -> "Survey":
        """Give a survey that can follow on; the cost is that of a few small lists, and of the timers."""
        copied = Survey.__new__(Survey)
        copied.everything, copied.expanded, copied.parts = self.everything, self.expanded, self.parts
        copied.in_flight, copied.asking = self.in_flight, self.asking
        copied.timers = self.timers.copy()
        copied.actions, copied.undos = self.actions.copy(), self.undos.copy()
        copied.spread = self.spread.copy()
        copied.by_step = {name: instances.copy() for name, instances in self.by_step.items()}
        return copied

    @property
    def untouched(self) -> int:
        """Give the steps that nothing happened to."""
        return self.actions[_PENDING]

    @property
    def open(self) -> int:
        """Give the steps that an answer, or another attempt, is awaited of."""
        return _any_open(self.actions) | _any_open(self.spread)

    @property
    def completed(self) -> int:
        """Give the steps that completed."""
        return self.actions[_DONE]

    @property
    def done(self) -> int:
        """Give the steps that are completed or skipped."""
        return self.actions[_DONE] | self.actions[_SKIPPED]

    @property
    def failed(self) -> int:
        """Give the steps that failed for good, or with an instance that did."""
        return self.actions[_FAILED] | self.spread[_FAILED]

    @property
    def unknown(self) -> int:
        """Give the steps of which nobody knows the outcome, or of one of their instances."""
        return self.actions[_UNKNOWN] | self.spread[_UNKNOWN]

    @property
    def undo_pending(self) -> int:
        """Give the steps in the plan whose undo waits for its turn."""
        return self.undos[_PENDING]

    @property
    def undo_open(self) -> int:
        """Give the steps whose undo is under way."""
        return self.undos[_RUNNING] | self.undos[_RETRYING]

    @property
    def undo_stuck(self) -> int:
        """Give the steps whose undo spent its attempts."""
        return self.undos[_FAILED]

    @property
    def not_undone(self) -> int:
        """Give the steps in the plan whose undo is not acknowledged."""
        return self.undo_pending | self.undo_open | self.undo_stuck

    def instances(self, node: StepNode) -> Instances | None:
        """Give the counts of a step's instances; None where it has none."""
        return self.by_step.get(node.name)

    def follow(
        self, graph: StepGraph, before: ProcessState, after: ProcessState, names: Iterable[str]
    ) -> None:
        """Take in what changed in the steps and instances of these names."""
        for name in names:
            self.move(graph, name, before.step(name), after.step(name))

    def move(self, graph: StepGraph, name: str, was: StepState, after: StepState) -> None:
        """Take in what changed in one step or instance."""
        node = graph.by_name.get(name)
        if node is None:
            step, index = split_instance(name)
            self._move_instance(graph.by_name[step], index or 0, was, after)
        else:
            self._move_step(node, was, after)
        if was.action is not after.action:
            self.asking += must_be_asked(after) - must_be_asked(was)
            self._time(name, Direction.ACTION, after.action)
        elif was.verify is not after.verify:
            self.asking += must_be_asked(after) - must_be_asked(was)
        if after.undo is not None and after.undo is not was.undo:
            self._time(name, Direction.COMPENSATION, after.undo)
        if after.verify is not None and after.verify is not was.verify:
            self._time(name, Direction.VERIFY, after.verify)

    def _move_step(self, node: StepNode, was: StepState, after: StepState) -> None:
        bit = node.bit
        if after.items is not None and after.items is not was.items:
            self.parts += len(after.items) - len(was.items or ())
            self.by_step[node.name] = Instances(len(after.items))
        if _is_expanded(was):
            self.expanded &= ~bit
        else:
            self.actions[_RANK[was.action.status]] &= ~bit
            self.in_flight -= was.action.status.is_open
        if _is_expanded(after):
            self.expanded |= bit
        else:
            self.actions[_RANK[after.action.status]] |= bit
            self.in_flight += after.action.status.is_open
        if was.undo is not None:
            self.undos[_RANK[was.undo.status]] &= ~bit
            self.in_flight -= was.undo.status.is_open
        if after.undo is not None:
            self.undos[_RANK[after.undo.status]] |= bit
            self.in_flight += after.undo.status.is_open

    def _move_instance(self, node: StepNode, index: int, was: StepState, after: StepState) -> None:
        counts = self.by_step[node.name]
        self._count(counts.actions, self.spread, node, was.action, after.action)
        self._count(counts.undos, self.undos, node, was.undo, after.undo)
        if after.action.status is not EffortStatus.PENDING and index == counts.next_action:
            counts.next_action += 1
        if after.undo is None:
            return
        if after.undo.status is EffortStatus.PENDING:
            counts.next_undo = min(counts.next_undo, index)
        elif index == counts.next_undo:
            counts.next_undo += 1

    def _count(
        self, counts: list[int], masks: list[int], node: StepNode, was: Effort | None, now: Effort | None
    ) -> None:
        if was is not None:
            rank = _RANK[was.status]
            counts[rank] -= 1
            self.in_flight -= was.status.is_open
            if not counts[rank]:
                masks[rank] &= ~node.bit
        if now is not None:
            rank = _RANK[now.status]
            counts[rank] += 1
            self.in_flight += now.status.is_open
            masks[rank] |= node.bit

    def _time(self, name: str, direction: Direction, effort: Effort) -> None:
        at = due_at(effort)
        if at is None:
            self.timers.pop((name, direction), None)
        else:
            self.timers[name, direction] = (at, effort.status)


def survey(graph: StepGraph, state: ProcessState) -> Survey:
    """Read where the steps stand now, in one pass over all of them."""
    seen = Survey(graph)
    instances = []
    for name, step in state.steps.items():
        if name in graph.by_name:
            seen.move(graph, name, UNTOUCHED, step)
        else:
            instances.append(name)
    for name in instances:
        seen.move(graph, name, UNTOUCHED, state.steps[name])
    return seen


def touched(event: ev.Event) -> tuple[str, ...]:
    """Name the steps and instances that an event changes."""
    if isinstance(event, _OfOneStep):
        return (event.step,)
    if isinstance(event, ev.CompensationPlanned):
        return event.steps
    if isinstance(event, ev.TurnedBack):
        return tuple(name for name, _ in event.closes)
    return ()


def due_at(effort: Effort) -> int | None:
    """Give when the attempt under way is over, or the next one comes; None where neither is awaited."""
    if effort.status is EffortStatus.RUNNING and effort.attempts and not effort.attempts[-1].cancelled:
        return effort.attempts[-1].due_at
    return effort.next_attempt_at if effort.status is EffortStatus.RETRYING else None


def _is_expanded(step: StepState) -> bool:
    return step.items is not None and step.action.status is EffortStatus.RUNNING


def must_be_asked(step: StepState) -> bool:
    """Say whether the participant of an action must be asked what became of an attempt, and isn't yet."""
    is_verifying = step.action.status is EffortStatus.VERIFYING
    return is_verifying and (step.verify is None or not step.verify.status.is_open)


def _any_open(masks: list[int]) -> int:
    return masks[_RUNNING] | masks[_RETRYING] | masks[_VERIFYING]


def _open_in(counts: list[int]) -> int:
    return counts[_RUNNING] + counts[_RETRYING] + counts[_VERIFYING]
