"""What is known of one process of a run: its log, its state, and what is judged from the log alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from saga.process.codec import encode_transition
from tests.simulation.following import reads
from tests.simulation.interpreter import Interpreter
from tests.simulation.order import Order
from tests.simulation.written import ACTION, UNDO, VERIFY, Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saga.process.state import ProcessState
    from saga.process.transition import Transition

ENDS = frozenset({"completed", "compensated", "failed"})
WAYS = {"action": ACTION, "compensation": UNDO, "verify": VERIFY}
_AFTER_THE_END = frozenset({"observed", "operator_rejected", "operator_compensate"})
_REOPENS = frozenset({"step_completed", "operator_compensate"})
_STARTS = {
    "step_started": ACTION, "signal_waiting": ACTION, "compensation_started": UNDO, "verify_started": VERIFY,
}  # fmt: skip


@dataclass(slots=True)
class Case:
    """Hold what is known of one process."""

    process_type: str
    written: Written
    interpreter: Interpreter
    order: Order
    log: list[Transition] = field(default_factory=list)
    state: ProcessState | None = None
    states: dict[int, ProcessState] = field(default_factory=dict)
    projected: int = 0
    is_ended: bool = False
    is_reopening: bool = False
    has_ended: bool = False
    causes: dict[str, Transition] = field(default_factory=dict)
    answered: set[tuple[str, str, int, str]] = field(default_factory=set)
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)
    due: dict[tuple[str, str, int], int] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Case:
        """Begin with nothing but the definition."""
        interpreter = Interpreter(definition)
        written = interpreter.written
        return cls(definition["process_type"], written, interpreter, Order(written))

    @property
    def version(self) -> int:
        """Give the number of the last event."""
        return 0 if self.state is None else self.state.version

    @property
    def status(self) -> str:
        """Give where it stands."""
        return "" if self.state is None else str(self.state.status)

    def read(self, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Take one transition, and give what is wrong with it: pairs of invariant and sentence."""
        for offset, event in enumerate(document["events"]):
            self.order.read(event)
            yield from self._check_end(document["n"] + offset, event["type"])
            yield from self._check_outcome(event, document["at"])
            if "request_id" in event:
                self.requests.add(event["request_id"])
        yield from self.order.problems
        self.order.problems.clear()
        yield from self._compare(document)

    def _check_end(self, number: int, word: str) -> Iterator[tuple[str, str]]:
        if number == 1 and word != "accepted":
            yield "I1", f"the log starts with {word}"
        if not self.is_ended:
            self.is_ended = word in ENDS
            self.has_ended = self.has_ended or self.is_ended
        elif word == "turned_back" and self.is_reopening:
            self.is_ended = self.is_reopening = False
        elif word in _REOPENS:
            self.is_reopening = True
        elif word not in _AFTER_THE_END:
            yield "I1", f"{word} stands at {number}, after the end"

    def _check_outcome(self, event: Mapping[str, Any], at: int) -> Iterator[tuple[str, str]]:
        word: str = event["type"]
        if word == "compensation_planned":
            for step in event["steps"]:
                self.accepted[UNDO, step] = 0  # planned anew: its first undo had found nothing
        if "attempt" not in event:
            return
        way, _, what = word.partition("_")
        if word == "observed":
            way, what = WAYS[event["direction"]], event["reply"]
        place = way, event["step"], event["attempt"]
        if what in ("completed", "failed"):
            self.answered.add((*place, what))
        if word.endswith("_completed"):
            self.accepted[way, event["step"]] += 1
            if self.accepted[way, event["step"]] > 1:
                yield "I5", f"{way} {event['step']} has two accepted outcomes"
        if word == "signal_waiting":
            place = ACTION, event["step"], event["attempt"]
        if "due_at" in event:
            self.due[place] = event["due_at"]
        if what == "timed_out" and at < self.due[place]:
            yield "I11", f"{place} timed out before its time"

    def _compare(self, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Ask the interpreter; where it says something else, one of the two is wrong."""
        was_paused, interpreter = self.interpreter.status == "paused", self.interpreter
        interpreter.feed(document)
        assert self.state is not None
        events = document["events"]
        if was_paused and self.status == "paused" and document["commands"]:
            yield "pause", f"{document['cause']['identity']} sent something while it was paused"
        started = sorted(
            (_STARTS[event["type"]], event["step"], event["attempt"])
            for event in events
            if event["type"] in _STARTS
        )
        cancelled = sorted(
            (event["step"], event["attempt"]) for event in events if event["type"] == "child_cancelled"
        )
        for seen, told in (
            (started, sorted(interpreter.started)),
            (cancelled, sorted(interpreter.cancelled)),
            (self.status, interpreter.status),
            (_keys(self.state), interpreter.locks),
        ):
            if seen != told:
                yield "I18", f"is {seen}, the interpreter says {told}"
        yield from (("I18", problem) for problem in interpreter.problems)
        yield from self._compare_outputs(events)
        for name, step in self.state.steps.items():
            efforts = step.action, step.undo, step.verify
            said = (interpreter.efforts(way).get(name) for way in (ACTION, UNDO, VERIFY))
            for way, effort, told_one in zip((ACTION, UNDO, VERIFY), efforts, said, strict=True):
                status = None if effort is None else str(effort.status)
                told_status = None if told_one is None else told_one.status
                if status != told_status:
                    yield "I18", f"{way} {name} is {status}, the interpreter says {told_status}"

    def _compare_outputs(self, events: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        assert self.state is not None
        for event in events:
            if event["type"] in ("step_completed", "step_gathered"):
                name = event["step"]
                seen, told = self.state.step(name).action.output, self.interpreter.actions[name].output
                if reads(seen) != told:
                    yield "I18", f"the output of {name} is {seen}, the interpreter says {told}"
            elif event["type"] == "completed" and reads(self.state.result) != self.interpreter.result:
                yield "I18", f"the result is {self.state.result}, not {self.interpreter.result}"

    def tell(self, process_id: str) -> str:
        """Tell the log in few lines."""
        lines = []
        for transition in self.log:
            events: Any = encode_transition(transition)["events"]
            words = ("type", "step", "attempt", "becomes", "kind", "reason", "why", "key")
            told = ", ".join(
                " ".join(str(event[word]) for word in words if event.get(word)) for event in events
            )
            cause = transition.cause.identity.replace(process_id, "…")
            lines.append(f"    {transition.at % 10**8} {transition.by} {cause}: {told}")
        return "\n".join(lines)


def _keys(state: ProcessState) -> dict[str, bool] | None:
    return None if state.locks is None else {lock.key: lock.is_held for lock in state.locks}
