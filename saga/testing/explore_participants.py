"""Participants with faults: each command is answered at once, by what its fault says, or well.

A fault is of one step, or of one of its items, in one direction, and holds for all attempts unless it says
otherwise. Which of them were met in a run is noted: one that was not says nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from saga.definition.graph import EffortPlan, StepGraph, StepKind, StepNode
from saga.process import inputs
from saga.process.draft import plan_of
from saga.process.state import ProcessState
from saga.process.status import Direction, EffortStatus
from saga.testing.explore_machine import failure
from saga.testing.explore_outputs import FOUND_NOTHING, Outputs

_UNAVAILABLE = "unavailable"
_UNDO = "its undo "


class FaultKind(StrEnum):
    """Tell what goes wrong, in the words of the table."""

    REFUSED = "fails for good"
    FLAKY = "fails once, then works"
    UNANSWERED = "stays unanswered"
    LATE = "completes after it was given up"
    FOUND_DONE = "stays unanswered; asked, it is completed"
    FOUND_MISSING = "stays unanswered; asked, it is not found"
    UNDO_REFUSED = "its undo fails for good"
    SIGNAL_REFUSED = "is refused"
    NOT_GIVEN = "is not given"
    CHILD_COMPENSATED = "ends compensated"
    CHILD_FAILED = "is given up by a person"
    CHILD_SLOW = "does not end in time"


_OF_AN_ACTION = (FaultKind.REFUSED, FaultKind.FLAKY, FaultKind.UNANSWERED, FaultKind.LATE)
_WITH_A_QUESTION = (FaultKind.FOUND_DONE, FaultKind.FOUND_MISSING)
_OF_A_SIGNAL = (FaultKind.SIGNAL_REFUSED, FaultKind.NOT_GIVEN)
_OF_A_CHILD = (FaultKind.CHILD_COMPENSATED, FaultKind.CHILD_FAILED, FaultKind.CHILD_SLOW)
_SILENT = frozenset(
    {FaultKind.UNANSWERED, FaultKind.LATE, FaultKind.NOT_GIVEN, FaultKind.CHILD_SLOW, *_WITH_A_QUESTION}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one step, or with one instance of it."""

    step: str
    kind: FaultKind

    @property
    def direction(self) -> Direction:
        """Give whether it befalls the step's action or its undo."""
        return Direction.COMPENSATION if self.kind is FaultKind.UNDO_REFUSED else Direction.ACTION

    def __str__(self) -> str:
        if self.direction is Direction.COMPENSATION:
            return f"undo of {self.step}: {self.kind.removeprefix(_UNDO)}"
        return f"{self.step}: {self.kind}"


def faults_of(graph: StepGraph, state: ProcessState) -> Iterator[Fault]:
    """Name what can go wrong with each step that a run came to; of a list, with its last item."""
    for node in graph.nodes:
        items = state.step(node.name).items
        if node.name not in state.steps or state.step(node.name).action.status is EffortStatus.SKIPPED:
            continue
        if items is None:
            yield from (Fault(node.name, kind) for kind in _kinds(node))
        elif items:
            yield from (Fault(f"{node.name}[{len(items) - 1}]", kind) for kind in _kinds(node))


def _kinds(node: StepNode) -> Iterator[FaultKind]:
    match node.kind:
        case StepKind.SIGNAL:
            yield from _OF_A_SIGNAL
        case StepKind.PROCESS:
            yield from _OF_A_CHILD
        case StepKind.SERVICE:
            may_repeat = node.action.retry.attempts > 1 and _retried_code(node.action) is not None
            yield from (kind for kind in _OF_AN_ACTION if may_repeat or kind is not FaultKind.FLAKY)
            if node.verify is not None:
                yield from _WITH_A_QUESTION
    if node.compensation is not None and not node.forward_only:
        yield FaultKind.UNDO_REFUSED


def _retried_code(plan: EffortPlan) -> str | None:
    """Give a code that is worth another try."""
    if plan.retry.retry_on is None:
        return _UNAVAILABLE
    return next((code for code in sorted(plan.retry.retry_on) if code != "timeout"), None)


class Participants:
    """Answer the commands of one run."""

    def __init__(self, graph: StepGraph, outputs: Outputs, faults: Iterable[Fault]) -> None:
        self._graph = graph
        self._outputs = outputs
        self._faults = {(fault.step, fault.direction): fault for fault in faults}
        self._met: set[Fault] = set()
        self._late: dict[str, int] = {}

    @property
    def all_met(self) -> bool:
        """Say whether every fault befell somebody."""
        return len(self._met) == len(self._faults)

    def answer(self, direction: Direction, name: str, attempt: int) -> inputs.Input | None:
        """Answer a command; None where nobody does."""
        if direction is Direction.VERIFY:
            return self._answer_question(name, attempt)
        fault = self._faults.get((name, direction))
        if direction is Direction.COMPENSATION and name in self._late:
            return inputs.SuccessReceived(direction, name, attempt, FOUND_NOTHING)
        if fault is None or (fault.kind is FaultKind.FLAKY and attempt > 1):
            return inputs.SuccessReceived(direction, name, attempt, self._outputs.of(direction, name))
        self._met.add(fault)
        if fault.kind is FaultKind.LATE:
            self._late[name] = attempt
        if fault.kind in _SILENT:
            return None
        return self._failure(fault, attempt)

    def answer_cancel(self, name: str, attempt: int) -> inputs.Input:
        """Answer for a child that was told to end."""
        return failure(Direction.ACTION, name, attempt, "process_compensated")

    def late_completion(self) -> inputs.Input | None:
        """Give a completion that nobody expects any more, each once."""
        for name, attempt in self._late.items():
            del self._late[name]
            output = self._outputs.of(Direction.ACTION, name)
            return inputs.SuccessReceived(Direction.ACTION, name, attempt, output)
        return None

    def _failure(self, fault: Fault, attempt: int) -> inputs.Input:
        direction = fault.direction
        match fault.kind:
            case FaultKind.FLAKY:
                plan = plan_of(self._graph.node_of(fault.step), direction)
                code = (_retried_code(plan) if plan else None) or _UNAVAILABLE
                return failure(direction, fault.step, attempt, code)
            case FaultKind.CHILD_COMPENSATED:
                return failure(direction, fault.step, attempt, "process_compensated")
            case FaultKind.CHILD_FAILED:
                return failure(direction, fault.step, attempt, "process_failed", effect_unknown=True)
            case _:
                return failure(direction, fault.step, attempt, "refused", retryable=False)

    def _answer_question(self, name: str, attempt: int) -> inputs.Input | None:
        fault = self._faults.get((name, Direction.ACTION))
        if fault is not None and fault.kind is FaultKind.FOUND_DONE:
            output = self._outputs.of(Direction.ACTION, name)
            return inputs.SuccessReceived(Direction.VERIFY, name, attempt, output)
        if fault is not None and fault.kind is FaultKind.FOUND_MISSING:
            return failure(Direction.VERIFY, name, attempt, "not_found", retryable=False)
        return None
