"""One run of a process with participants that have faults, from its start until nothing is left to happen."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from saga.process import events as ev
from saga.process import inputs
from saga.process.operating import allowed_actions
from saga.process.state import ProcessState
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.timers import next_wake
from saga.testing.explore_machine import Machine, Moment
from saga.testing.explore_participants import Fault, Participants
from saga.testing.explore_rules import RuleBroken

_MESSAGES_MAX = 50_000


class End(StrEnum):
    """Tell how a run came to rest."""

    COMPLETED = "completed"
    COMPENSATED = "compensated"
    NEEDS_A_PERSON = "needs a person"
    STRANDED = "stranded"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one combination of faults.

    `waits` names what stands still, `allowed` what a person may ask for, `undone` the steps that were undone in
    order. `broken` says which rule of the machine did not hold, where one did not.
    """

    faults: tuple[Fault, ...]
    end: End
    reason: str
    waits: tuple[str, ...]
    allowed: tuple[str, ...]
    undone: tuple[str, ...]
    attention: bool
    broken: str | None = None


@dataclass(slots=True)
class Run:
    """One process with its participants, driven to its end; `broken` says which rule did not hold."""

    machine: Machine
    participants: Participants
    _moment: Moment | None = None
    broken: str | None = None
    is_endless: bool = False

    @property
    def moment(self) -> Moment:
        """Give where it stands."""
        if self._moment is None:
            self._moment = self.machine.accept()
        return self._moment

    def to_its_end(self) -> "Run":
        """Deliver what is due, until nothing is."""
        waiting: deque[tuple[str, inputs.Input]] = deque([("start", inputs.StartRequested())])
        try:
            for _ in range(_MESSAGES_MAX):
                if waiting:
                    self._deliver(*waiting.popleft(), waiting, now=self.moment.now + 1)
                elif not (self._wake(waiting) or self._come_late(waiting)):
                    break
            else:
                self.is_endless = True
            self.machine.examine(self.moment)
            self.machine.refold(self.moment)
        except RuleBroken as broken:
            self.broken = str(broken)
        return self

    def row(self, faults: tuple[Fault, ...]) -> Row:
        """Write what became of it."""
        state = self.moment.state
        allowed: tuple[str, ...] = ()
        waits: tuple[str, ...] = ()
        if not state.status.is_ended:
            allowed = tuple(str(action) for action in allowed_actions(self.machine.graph, state))
            waits = tuple(_standing_still(state))
        return Row(
            faults, self._end(), self._reason(), waits, allowed, self._undone(), state.attention, self.broken
        )

    def _end(self) -> End:
        match self.moment.state.status:
            case _ if self.is_endless:
                return End.STRANDED
            case ProcessStatus.COMPLETED:
                return End.COMPLETED
            case ProcessStatus.COMPENSATED:
                return End.COMPENSATED
            case ProcessStatus.SUSPENDED:
                return End.NEEDS_A_PERSON
            case _:
                return End.STRANDED

    def _reason(self) -> str:
        if self.is_endless:
            return f"it has no end after {_MESSAGES_MAX} messages"
        reason = ""
        for event in events_of(self.moment):
            match event:
                case ev.TurnedBack():
                    reason = reason or (
                        event.reason if event.step is None else f"{event.reason}: {event.step}"
                    )
                case ev.Suspended() if self.moment.state.status is ProcessStatus.SUSPENDED:
                    reason = event.detail
                case _:
                    pass
        return reason

    def _undone(self) -> tuple[str, ...]:
        """Name what is undone now, in the order in which that was said first."""
        said = [
            event.step
            for event in events_of(self.moment)
            if isinstance(event, ev.AttemptCompleted) and event.direction is Direction.COMPENSATION
        ]
        undos = {name: step.undo for name, step in self.moment.state.steps.items()}
        return tuple(
            name for name in dict.fromkeys(said) if (undo := undos[name]) and undo.status is EffortStatus.DONE
        )

    def _wake(self, waiting: deque[tuple[str, inputs.Input]]) -> bool:
        state = self.moment.state
        wake = next_wake(self.machine.graph, state)
        if wake is None:
            return False
        now = max(self.moment.now, wake.at)
        if not self._deliver("timer", inputs.WokenUp(state.version, wake.at), waiting, now=now):
            raise RuleBroken("a timer that is due does something", str(wake.reason))
        return True

    def _come_late(self, waiting: deque[tuple[str, inputs.Input]]) -> bool:
        late = self.participants.late_completion()
        if late is not None:
            waiting.append(("late completion", late))
        return late is not None

    def _deliver(
        self, label: str, message: inputs.Input, waiting: deque[tuple[str, inputs.Input]], *, now: int
    ) -> bool:
        after = self.machine.receive(self.moment, message, now=now, label=label)
        if after is None:
            return False
        self._moment = after
        for event in after.transition.events:
            answer = self._answer(event)
            if answer is not None:
                waiting.append((type(event).__name__, answer))
        return True

    def _answer(self, event: ev.Event) -> inputs.Input | None:
        match event:
            case ev.AttemptStarted():
                return self.participants.answer(event.direction, event.step, event.attempt)
            case ev.SignalAwaited():
                return self.participants.answer(Direction.ACTION, event.step, event.attempt)
            case ev.ChildCancelled():
                return self.participants.answer_cancel(event.step, event.attempt)
            case ev.LocksWanted() | ev.LockAcquired():
                return self._next_lock()
            case _:
                return None

    def _next_lock(self) -> inputs.Input | None:
        state = self.moment.state
        lock = next((lock for lock in state.locks or () if not lock.is_held), None)
        if lock is None:
            return None
        return inputs.LockAnswered(lock.key, inputs.LockAnswer.HELD, state.origin.root_id)


def events_of(moment: Moment) -> Iterator[ev.Event]:
    """Give all events that led to a moment, in order."""
    return chain.from_iterable(transition.events for transition in moment.log())


def _standing_still(state: ProcessState) -> Iterator[str]:
    """Say what is stuck, then what waits for it."""
    for name, step in state.steps.items():
        if step.undo is not None and step.undo.status is EffortStatus.FAILED:
            yield f"undo of {name} failed"
        elif not state.is_going_back and step.action.status in {EffortStatus.FAILED, EffortStatus.UNKNOWN}:
            yield f"{name} {step.action.status}"
    for name, step in state.steps.items():
        if step.undo is not None and step.undo.status is EffortStatus.PENDING:
            yield f"undo of {name} waits"
