"""One process on the production machine, message by message, each transition judged as it is made."""

from collections.abc import Iterator
from dataclasses import dataclass

from saga.definition.graph import StepGraph
from saga.errors import UnreadableLog
from saga.messages.json_text import JsonObject, to_text
from saga.process import events as ev
from saga.process import inputs
from saga.process.codec import decode_transition, encode_transition
from saga.process.decide import decide
from saga.process.effects import effects
from saga.process.evolve import evolve, fold
from saga.process.operating import allowed_actions
from saga.process.snapshot import from_snapshot, to_snapshot
from saga.process.state import ProcessState
from saga.process.status import AttemptOutcome, Direction, ProcessStatus
from saga.process.timers import awaits_lock, next_wake
from saga.process.transition import Cause, Transition
from saga.testing.explore_rules import RuleBroken, Rules
from saga.testing.explore_witness import Witness

PROCESS_ID = "explored"
START_MS = 1_000_000
_HASH = "0" * 64
DIRECTIONS = (Direction.ACTION, Direction.COMPENSATION, Direction.VERIFY)


@dataclass(frozen=True, slots=True)
class Moment:
    """A state that was reached: how, and what an outsider knows of it."""

    state: ProcessState
    witness: Witness
    now: int
    transition: Transition
    message: inputs.Input | None = None
    label: str = "accepted"
    before: "Moment | None" = None

    def path(self) -> tuple[str, ...]:
        """Name the messages that lead here, the first one first."""
        return tuple(moment.label for moment in self.history())

    def log(self) -> list[Transition]:
        """Give the whole log."""
        return [moment.transition for moment in self.history()]

    def history(self) -> list["Moment"]:
        """Give the moments from the first one to this one."""
        found: list[Moment] = []
        moment: Moment | None = self
        while moment is not None:
            found.append(moment)
            moment = moment.before
        return found[::-1]


class Machine:
    """Run processes of one definition with one set of parameters."""

    def __init__(self, graph: StepGraph, parameters: JsonObject) -> None:
        self.graph = graph
        self._parameters = to_text(parameters)
        self._rules = Rules(graph)

    def accept(self) -> Moment:
        """Accept a process."""
        children = dict.fromkeys(sorted(self.graph.child_types), _HASH)
        accepted = ev.Accepted(
            self.graph.process_type, _HASH, self._parameters, {}, _HASH, "", None, None, children=children
        )
        state = evolve(None, accepted, at=START_MS, process_id=PROCESS_ID)
        transition = Transition(
            PROCESS_ID, 1, (accepted,), (), Cause("start", "start", "{}"), START_MS, "explorer", "1"
        )
        return Moment(state, Witness(), START_MS, transition)

    def receive(self, moment: Moment, message: inputs.Input, *, now: int, label: str) -> Moment | None:
        """Deliver a message; None where it changes nothing. Raises RuleBroken."""
        state = moment.state
        try:
            decision = decide(self.graph, state, message, now)
            if not decision.events:
                return None
            commands = effects(self.graph, decision.state, decision.events)
        except Exception as error:
            raise RuleBroken(
                "no message makes a decision fail", f"{type(error).__name__}: {error}"
            ) from error
        first = state.version + 1
        at = max(now, state.updated_at)
        cause = Cause(f"{label} at {first}", type(message).__name__, "{}")
        transition = Transition(
            PROCESS_ID, first, decision.events, commands, cause, at, "explorer", str(first)
        )
        if transition.last != decision.state.version:
            raise RuleBroken(
                "the log is dense", f"{transition.last} events make version {decision.state.version}"
            )
        witness = self._rules.follow(moment.witness, state.status, transition, decision.state.status)
        return Moment(decision.state, witness, now, transition, message, label, moment)

    def examine(self, moment: Moment) -> None:
        """Judge a state: what a crash leaves of it, duplicates, dead ends. Raises RuleBroken."""
        rebuilt = self._rebuild(moment)
        messages = [*_replies_in(rebuilt)]
        if moment.message is not None:
            messages.append(moment.message)
        for message in messages:
            if decide(self.graph, rebuilt, message, moment.now).events:
                raise RuleBroken("a duplicate changes nothing", f"{message}")
        self._judge_rest(rebuilt)

    def refold(self, moment: Moment) -> None:
        """Judge a whole log: it folds to the state. Raises RuleBroken."""
        try:
            folded = fold(moment.log())
        except UnreadableLog as error:
            raise RuleBroken("the log folds to the state", str(error)) from error
        if folded != moment.state:
            raise RuleBroken("the log folds to the state", "it folds to another one")

    def _rebuild(self, moment: Moment) -> ProcessState:
        """Give the state as a server that starts anew has it: from what is stored of it."""
        before = None if moment.before is None else from_snapshot(to_snapshot(moment.before.state))
        stored = decode_transition(encode_transition(moment.transition))
        if stored != moment.transition:
            raise RuleBroken("a stored transition reads back equal", moment.label)
        try:
            folded = fold((stored,), before)
        except UnreadableLog as error:
            raise RuleBroken("the log folds to the state", str(error)) from error
        if folded is None or folded != moment.state:
            raise RuleBroken("the log folds to the state", "it folds to another one")
        if from_snapshot(to_snapshot(folded)) != folded:
            raise RuleBroken("a snapshot reads back equal", moment.label)
        return folded

    def _judge_rest(self, state: ProcessState) -> None:
        wake = next_wake(self.graph, state)
        if state.status.is_ended:
            if wake is not None:
                raise RuleBroken("an ended process has no timer", f"{wake.reason}")
        elif state.status in {ProcessStatus.SUSPENDED, ProcessStatus.PAUSED}:
            is_told = state.suspended_for is not None or state.status is ProcessStatus.PAUSED
            if not is_told or not allowed_actions(self.graph, state):
                raise RuleBroken("what stands still has a reason and a way out", f"it is {state.status}")
        elif wake is None and not (awaits_lock(state) or state.joined_to or _awaits_reply(state)):
            raise RuleBroken("what has not ended waits for something", f"it is {state.status}")


def _awaits_reply(state: ProcessState) -> bool:
    return any(
        effort is not None
        and effort.status.is_open
        and effort.current is not None
        and not effort.current.replies
        for step in state.steps.values()
        for effort in (step.action, step.undo, step.verify)
    )


def _replies_in(state: ProcessState) -> Iterator[inputs.Input]:
    """Give the replies that a state has, to be delivered once more."""
    for name, step in state.steps.items():
        for direction, effort in zip(DIRECTIONS, (step.action, step.undo, step.verify), strict=True):
            for attempt in () if effort is None else effort.attempts:
                if "completed" in attempt.replies:
                    yield inputs.SuccessReceived(direction, name, attempt.number, to_text(None))
                if "failed" in attempt.replies:
                    yield failure(direction, name, attempt.number, "unavailable")


def failure(
    direction: Direction,
    name: str,
    attempt: int,
    code: str,
    *,
    retryable: bool = True,
    effect_unknown: bool = False,
) -> inputs.FailureReceived:
    """Write a participant's word that an attempt failed."""
    error = to_text({"code": code, "retryable": retryable})
    return inputs.FailureReceived(
        direction, name, attempt, code, error, retryable=retryable, effect_unknown=effect_unknown
    )


def is_late(state: ProcessState, direction: Direction, name: str, number: int) -> bool:
    """Say whether a reply to an attempt comes after it was given up."""
    effort = state.effort(direction, name)
    attempt = None if effort is None else effort.attempt(number)
    return attempt is None or attempt.outcome is not AttemptOutcome.RUNNING
