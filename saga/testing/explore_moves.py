"""What may come next to a process: every reply to every command that is out, the timers, a person's word."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from saga.definition.graph import OnLocked, StepGraph, StepKind
from saga.process import inputs
from saga.process.inputs import LockAnswer
from saga.process.state import Attempt, ProcessState
from saga.process.status import Direction, OperatorAction
from saga.process.timers import WakeReason, awaits_lock, deadline_at, next_wake
from saga.testing.explore_machine import DIRECTIONS, Moment, failure, is_late
from saga.testing.explore_outputs import FOUND_NOTHING, Outputs

_OTHER = "another"


@dataclass(frozen=True, slots=True)
class Move:
    """One message that may be delivered, and when."""

    label: str
    message: inputs.Input
    now: int
    is_timer: bool = False


class Moves:
    """Name what may come next. `requests` are made by a person, each once, at any moment.

    With `lost_effects` a failure may also leave open whether anything happened.
    """

    def __init__(
        self,
        graph: StepGraph,
        outputs: Outputs,
        *,
        requests: Iterable[OperatorAction] = (),
        lost_effects: bool = False,
    ) -> None:
        self._graph = graph
        self._outputs = outputs
        self._requests = tuple(requests)
        self._lost_effects = lost_effects

    def after(self, moment: Moment) -> Iterator[Move]:
        """Name what may come next to a process."""
        state = moment.state
        now = moment.now + 1  # so that what starts after another reply is also due after it
        if not state.is_taken:
            yield Move("start", inputs.StartRequested(), now)
            if self._graph.deadline_ms is not None:
                late = state.origin.accepted_at + self._graph.deadline_ms - 1
                yield Move("start, just before the deadline", inputs.StartRequested(), late)
        for label, message in self._replies(moment):
            yield Move(label, message, now)
        for label, message in self._locks(state):
            yield Move(label, message, now)
        for label, message in self._asked(state):
            yield Move(label, message, now)
        yield from self._timers(moment)

    def _asked(self, state: ProcessState) -> Iterator[tuple[str, inputs.Input]]:
        for action in self._requests:
            request_id = f"request-{action}"
            if request_id in state.requests:
                continue
            outcomes = ("completed", "failed") if action is OperatorAction.RESOLVE else (None,)
            for outcome in outcomes:
                label = str(action) if outcome is None else f"{action} as {outcome}"
                yield (
                    label,
                    inputs.OperatorRequested(action, "explored", "explorer", request_id, outcome=outcome),
                )

    def _timers(self, moment: Moment) -> Iterator[Move]:
        state = moment.state
        wake = next_wake(self._graph, state)
        if wake is None:
            return
        woken = inputs.WokenUp(state.version, wake.at)
        if wake.reason is not WakeReason.LOCK:  # that one only asks the keeper of the locks again
            yield Move(f"timer ({wake.reason})", woken, max(moment.now, wake.at), is_timer=True)
        deadline = deadline_at(self._graph, state)
        if deadline is not None and deadline > max(wake.at, moment.now):
            yield Move("timer, handled only at the deadline", woken, deadline, is_timer=True)

    def _replies(self, moment: Moment) -> Iterator[tuple[str, inputs.Input]]:
        for name, step in moment.state.steps.items():
            for direction, effort in zip(DIRECTIONS, (step.action, step.undo, step.verify), strict=True):
                for attempt in () if effort is None else effort.attempts:
                    if not attempt.replies:
                        for word, message in self._answers(moment, direction, name, attempt):
                            yield f"{name} {direction} {attempt.number}: {word}", message

    def _answers(
        self, moment: Moment, direction: Direction, name: str, attempt: Attempt
    ) -> Iterator[tuple[str, inputs.Input]]:
        kind = self._graph.node_of(name).kind
        number = attempt.number
        late = is_late(moment.state, direction, name, number)
        prefix = "late " if late else ""
        output = self._outputs.of(direction, name)
        yield f"{prefix}completed", inputs.SuccessReceived(direction, name, number, output)
        if direction is Direction.COMPENSATION and not moment.witness.of(name).happened:
            yield (
                f"{prefix}completed, found nothing",
                inputs.SuccessReceived(direction, name, number, FOUND_NOTHING),
            )
        if kind is StepKind.PROCESS and direction is Direction.ACTION:
            yield "compensated", failure(direction, name, number, "process_compensated")
            yield "failed", failure(direction, name, number, "process_failed", effect_unknown=True)
            return
        if direction is Direction.VERIFY:
            yield "not found", failure(direction, name, number, "not_found", retryable=False)
        if kind is not StepKind.SIGNAL:
            yield f"{prefix}failed", failure(direction, name, number, "unavailable")
        if not late:
            yield "refused", failure(direction, name, number, "refused", retryable=False)
        if self._lost_effects and direction is Direction.ACTION and kind is StepKind.SERVICE:
            yield f"{prefix}lost", failure(direction, name, number, "unavailable", effect_unknown=True)

    def _locks(self, state: ProcessState) -> Iterator[tuple[str, inputs.Input]]:
        if state.joined_to is not None and not state.status.is_ended:
            for status in ("completed", "compensated"):
                yield f"holder {status}", inputs.HolderEnded(state.joined_to, status, None)
            return
        if not awaits_lock(state):
            return
        lock = next(lock for lock in state.locks or () if not lock.is_held)
        answers = [(LockAnswer.HELD, state.origin.root_id)]
        match self._graph.on_locked:
            case OnLocked.REFUSE:
                answers.append((LockAnswer.REFUSED, _OTHER))
            case OnLocked.JOIN:
                answers.append((LockAnswer.JOINED, _OTHER))
            case OnLocked.WAIT:
                answers.append((LockAnswer.WAITING if lock.holder is None else LockAnswer.DEADLOCK, _OTHER))
        for answer, holder in answers:
            yield f"lock {lock.key}: {answer}", inputs.LockAnswered(lock.key, answer, holder)
