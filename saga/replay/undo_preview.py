"""Which commands would undo a process if it were compensated now: decided as in production, and never sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from saga.definition.graph import StepGraph, StepKind, StepNode
from saga.messages.command import Command, CommandRef
from saga.messages.json_text import EMPTY_OBJECT, to_text
from saga.process import inputs
from saga.process.advance import pivot_was_sent
from saga.process.decide import decide
from saga.process.draft import Draft
from saga.process.effects import awaited, effects
from saga.process.operating import why_not_allowed
from saga.process.order import happened, instances_of
from saga.process.replying import NOT_FOUND
from saga.process.state import ProcessState
from saga.process.status import Direction, EffortStatus, OperatorAction, ProcessStatus
from saga.process.timers import next_wake

if TYPE_CHECKING:
    from saga.process.survey import Survey

_ASKED_BY = "undo-preview"


class Left(StrEnum):
    """Tell why a step that took effect, or may have, would not be undone."""

    PIVOT_PASSED = "pivot_passed"
    NO_COMPENSATION = "no_compensation"
    NOTHING_SENT = "nothing_sent"
    SKIPPED = "skipped"
    STUCK = "stuck"
    WAITS = "waits"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True, slots=True)
class LeftStep:
    """Name a step, or an instance, that would not be undone, and why."""

    step: str
    why: Left


@dataclass(frozen=True, slots=True)
class UndoPreview:
    """Hold what a compensation would send, wave by wave, and where it would leave the process.

    `refusal` says why `compensate` would be refused; a process that has turned back already has waves all the
    same: those that are still to come. `awaited` are the commands in flight forward, whose outcome is waited
    for first: the waves are those that follow where none of them took effect. `end` is the state behind the
    last wave.
    """

    refusal: str | None
    awaited: tuple[CommandRef, ...]
    waves: tuple[tuple[Command, ...], ...]
    left: tuple[LeftStep, ...]
    end: ProcessState


def preview_undo(graph: StepGraph, state: ProcessState, now: int) -> UndoPreview:
    """Play a compensation to its end, with each undo acknowledged."""
    refusal = why_not_allowed(graph, state, OperatorAction.COMPENSATE)
    is_on_its_way = state.is_going_back or state.noted is not None
    course = _Course(graph, state, now)
    if refusal is None:
        course.ask(OperatorAction.COMPENSATE)
    elif is_on_its_way and state.status is ProcessStatus.PAUSED:
        course.ask(OperatorAction.RESUME)
    elif not is_on_its_way:
        return UndoPreview(refusal, (), (), _left(graph, state), state)
    waited_for = tuple(ref for ref in awaited(course.state) if ref.kind != Direction.COMPENSATION)
    waves = [course.sent]
    while course.goes_on():
        waves.append(course.sent)
    sent = tuple(tuple(wave) for wave in waves if wave)
    return UndoPreview(refusal, waited_for, sent, _left(graph, course.state), course.state)


class _Course:
    """Follow one process into its compensation; `sent` are the commands of the latest move."""

    def __init__(self, graph: StepGraph, state: ProcessState, now: int) -> None:
        self._graph = graph
        self._now = max(now, state.updated_at)
        self._seen: Survey | None = None
        self.state = state
        self.sent: list[Command] = []

    def ask(self, action: OperatorAction) -> None:
        """Ask for what is allowed now."""
        self._receive(inputs.OperatorRequested(action, "", _ASKED_BY, f"{_ASKED_BY}:{action}"))

    def goes_on(self) -> bool:
        """Answer all that is in flight, or else let the next timer go off; False where nothing moves."""
        self.sent = []
        before = self.state.version
        in_flight = tuple(awaited(self.state))
        for ref in in_flight:
            self._receive(_answer(ref))
        if not in_flight:
            wake = next_wake(self._graph, self.state, self._seen)
            if wake is not None:
                self._now = max(self._now, wake.at)
                self._receive(inputs.WokenUp(before, wake.at))
        return self.state.version != before

    def _receive(self, received: inputs.Input) -> None:
        decision = decide(self._graph, self.state, received, self._now, self._seen)
        self.state, self._seen = decision.state, decision.seen
        commands = effects(self._graph, decision.state, decision.events)
        # The answer to a parent undoes nothing, nor does the news of a fork.
        self.sent += [command for command in commands if command.is_answered]


def _answer(ref: CommandRef) -> inputs.ReplyReceived:
    """Acknowledge an undo; of anything else say that nothing happened."""
    direction = Direction(ref.kind)
    if direction is Direction.COMPENSATION:
        return inputs.SuccessReceived(direction, ref.step, ref.attempt, EMPTY_OBJECT)
    error = to_text({"code": NOT_FOUND, "message": "assumed", "retryable": False})
    return inputs.FailureReceived(direction, ref.step, ref.attempt, NOT_FOUND, error, retryable=False)


def _left(graph: StepGraph, state: ProcessState) -> tuple[LeftStep, ...]:
    has_passed = not state.is_going_back and pivot_was_sent(Draft(graph, state, state.updated_at))
    return tuple(
        LeftStep(name, why)
        for node in graph.nodes
        for name in instances_of(state, node)
        if (why := _why_left(node, state, name, has_passed=has_passed)) is not None
    )


def _why_left(node: StepNode, state: ProcessState, name: str, *, has_passed: bool) -> Left | None:
    """Say why a step would not be undone that took effect, or may have; None for any other."""
    step = state.step(name)
    if step.items is not None or not happened(step):
        return None
    if node.kind is StepKind.SIGNAL:
        return Left.NOTHING_SENT
    if step.undo is not None:
        return _OF_UNDO.get(step.undo.status, Left.WAITS)
    if has_passed:
        return Left.PIVOT_PASSED
    return Left.NO_COMPENSATION if node.compensation is None else Left.NOT_ALLOWED


_OF_UNDO: Mapping[EffortStatus, Left | None] = MappingProxyType(
    {EffortStatus.DONE: None, EffortStatus.SKIPPED: Left.SKIPPED, EffortStatus.FAILED: Left.STUCK}
)
