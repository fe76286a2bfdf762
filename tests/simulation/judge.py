"""Watch everything that reaches the store and the broker, and say at once which invariant is broken.

The numbers are those of docs/guarantees.md and of tests/support/judge.py. Each check looks at what is there
now: a transition when it is stored, a message when it arrives, an acknowledgement when it takes effect.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from saga.messages.command import parse_command_id
from saga.messages.start import id_for_key, id_for_message
from saga.ports.bus import APP_ID
from saga.process.codec import encode_transition
from saga.process.effects import outstanding
from saga.process.evolve import evolve, fold
from saga.process.snapshot import to_snapshot
from saga.process.timers import next_wake
from saga.testing.broker import COORDINATOR, queue_for
from tests.simulation.interpreter import Interpreter
from tests.support.way_back import Entry, Graph, WayBack, read_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from saga.definition.graph import StepGraph
    from saga.ports.projections import Projection
    from saga.process.state import ProcessState
    from saga.process.transition import Transition
    from saga.testing import InMemoryMessage

_ENDS = frozenset({"completed", "compensated"})
_WAYS = {"action": "step", "compensation": "compensation"}


@dataclass(slots=True)
class Case:
    """Hold what is known of one process."""

    interpreter: Interpreter
    way_back: WayBack
    graph: Graph
    log: list[Transition] = field(default_factory=list)
    state: ProcessState | None = None
    projected: int = 0
    is_ended: bool = False
    is_reopening: bool = False
    causes: dict[str, Transition] = field(default_factory=dict)
    answered: set[tuple[str, str, int, str]] = field(default_factory=set)
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)
    due: dict[tuple[str, str, int], int] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """Give the number of the last event."""
        return 0 if self.state is None else self.state.version


class Judge:
    """Collect what is wrong."""

    def __init__(
        self,
        definitions: Mapping[str, Mapping[str, Any]],
        graphs: Mapping[str, StepGraph],
        now: Callable[[], int],
    ) -> None:
        self.problems: list[str] = []
        self.cases: dict[str, Case] = {}
        self.consumed: list[InMemoryMessage] = []
        self.commands: dict[str, tuple[str, bytes]] = {}
        self.sent: set[str] = set()
        self.reasons: dict[str, set[str]] = {}
        # Commands that came back and were answered as such, and that went out all the same: the coordinator
        # died in between, and the queue was there again for the next one. A window that is known.
        self.sent_after_all: set[str] = set()
        self._unroutable: set[str] = set()
        self._definitions = definitions
        self._graphs = graphs
        self._now = now
        self._parked: set[InMemoryMessage] = set()

    def complain(self, invariant: str, about: str, problem: str) -> None:
        """Note a broken promise."""
        self.problems.append(f"{invariant} {about}: {problem}")

    def appended(self, transition: Transition) -> None:
        """Look at a transition that was just stored."""
        document = encode_transition(transition)
        process_id = transition.process_id
        case = self.cases.get(process_id)
        if case is None:
            first: Any = document["events"]
            case = self.cases[process_id] = self._open(str(first[0].get("process_type")))
        if transition.first != case.version + 1:
            self.complain("I2", process_id, f"event {transition.first} was stored after {case.version}")
            return
        self._fold(case, transition)
        self._check_cause(case, transition)
        for command in transition.commands:
            if command.command_id in self.commands:
                self.complain("I3", process_id, f"{command.command_id} stands in two transitions")
            self.commands[command.command_id] = command.routing_key, command.body.encode()
        self._check_events(case, document)
        self._compare(case, document)

    def projected(self, projection: Projection) -> None:
        """Look at a projection that is being saved."""
        case = self.cases.get(projection.process_id)
        if case is None or projection.version > case.version:
            self.complain("I7", projection.process_id, "a projection is ahead of the log")
        else:
            case.projected = max(case.projected, projection.version)

    def arrived(self, message: InMemoryMessage) -> None:
        """Look at a message that reached a queue."""
        family, _, rest = message.routing_key.partition(".")
        if message.exchange.endswith("commands") and family == "step":
            if self.commands.get(message.message_id or "") != (message.routing_key, message.body):
                self.complain(
                    "I3", str(message.message_id), "was sent before it stood in the log, or changed"
                )
            self.sent.add(message.message_id or "")
            if message.message_id in self._unroutable:
                self.sent_after_all.add(message.message_id or "")
        elif (message.message_id or "").endswith(".unroutable"):
            self._unroutable.add((message.message_id or "").removesuffix(".unroutable"))
            self.sent |= self._unroutable
        elif rest == "wake" and message.app_id == APP_ID and json.loads(message.body)["due_at"] > self._now():
            self.complain("I11", str(message.message_id), "a timer fired before its time")

    def buried(self, message: InMemoryMessage, reason: str) -> None:
        """Look at a message that was parked."""
        self._parked.add(message)
        expected = self.reasons.get(message.message_id or "")
        if expected is None or reason not in expected:
            self.complain("I15", str(message.message_id), f"was parked as {reason}: {message.body[:300]!r}")

    def acknowledged(self, message: InMemoryMessage) -> None:
        """Look at a message of the coordinators that was just taken off its queue."""
        if queue_for(message.exchange, message.routing_key) != COORDINATOR or message in self._parked:
            return
        self.consumed.append(message)
        body = json.loads(message.body)
        match message.routing_key:
            case "process.start":
                self._check_started(_start_id(message, body))
            case "process.wake":
                self._check_woken(body)
            case "step.completed" | "step.failed":
                self._check_answered(body["command_id"], message.routing_key.removeprefix("step."))

    def finish(self, projections: Mapping[str, Projection]) -> None:
        """Look at everything once more when nothing happens any more."""
        for process_id, case in self.cases.items():
            state = fold(case.log)
            projection = projections.get(process_id)
            assert state is not None
            if state != case.state:
                self.complain(
                    "I7", process_id, "the whole log folds to another state than its events one by one"
                )
            if projection is None or projection.version != state.version:
                self.complain("I7", process_id, f"the projection is not at {state.version}: {projection}")
            elif projection.state != to_snapshot(state) or projection.status != str(state.status):
                self.complain("I7", process_id, "the projection shows another state than the log")
            self._check_outbox(process_id, case, case.log)
            if self.is_open(case):
                self.complain("I13", process_id, f"is {state.status} at the end")
            elif state.suspended_for in ("stuck", "event_limit"):
                self.complain("I13", process_id, f"is suspended for {state.suspended_for}")

    def is_open(self, case: Case) -> bool:
        """Say whether something of a process is still to come: it isn't at its end, or has a timer."""
        state = case.state
        if state is None or state.status.is_ended:
            return False
        graph = self._graphs[state.origin.process_type]
        return state.status != "suspended" or next_wake(graph, state) is not None

    def story(self, process_id: str) -> str:
        """Tell a log in few lines."""
        lines = []
        for transition in self.cases[process_id].log:
            events: Any = encode_transition(transition)["events"]
            told = ", ".join(
                " ".join(
                    str(event[word])
                    for word in ("type", "step", "attempt", "becomes", "kind")
                    if word in event
                )
                for event in events
            )
            cause = transition.cause.identity.replace(process_id, "…")
            lines.append(f"    {transition.at % 10**8} {transition.by} {cause}: {told}")
        return "\n".join(lines)

    def _open(self, process_type: str) -> Case:
        definition = self._definitions[process_type]
        graph = read_graph(definition)
        return Case(Interpreter(definition), WayBack(graph), graph)

    def _fold(self, case: Case, transition: Transition) -> None:
        for event in transition.events:
            try:
                case.state = evolve(case.state, event, at=transition.at, process_id=transition.process_id)
            except (KeyError, TypeError, ValueError) as error:
                self.complain("I7", transition.process_id, f"the log can't be folded: {error}")
        case.log.append(transition)

    def _check_cause(self, case: Case, transition: Transition) -> None:
        identity = transition.cause.identity
        if identity in case.causes and not identity.endswith(":progress"):
            self.complain("I16", transition.process_id, f"{identity} caused two transitions")
        case.causes[identity] = transition

    def _check_events(self, case: Case, document: Mapping[str, Any]) -> None:
        process_id, at = document["p"], document["at"]
        for offset, event in enumerate(document["events"]):
            entry = Entry(document["n"] + offset, event["type"], event)
            case.way_back.read(entry)
            self._check_end(process_id, case, entry)
            self._check_outcome(process_id, case, entry, at)
        for invariant, problem in case.way_back.problems:
            self.complain(invariant, process_id, problem)

    def _check_end(self, process_id: str, case: Case, entry: Entry) -> None:
        if entry.number == 1 and entry.type != "accepted":
            self.complain("I1", process_id, f"the log starts with {entry.type}")
        if not case.is_ended:
            case.is_ended = entry.type in _ENDS
        elif entry.type == "step_completed":
            case.is_reopening = True
        elif entry.type == "turned_back" and case.is_reopening:
            case.is_ended = case.is_reopening = False
        elif entry.type != "observed":
            self.complain("I1", process_id, f"{entry.type} stands at {entry.number}, after the end")

    def _check_outcome(self, process_id: str, case: Case, entry: Entry, at: int) -> None:
        event = entry.event
        if entry.type == "compensation_planned":
            for step in event["steps"]:
                case.accepted["compensation", step] = 0  # planned anew: its first undo had found nothing
        if "attempt" not in event:
            return
        way, _, word = entry.type.partition("_")
        if entry.type == "observed":
            way, word = _WAYS[event["direction"]], event["reply"]
        place = way, entry.step, event["attempt"]
        if word in ("completed", "failed"):
            case.answered.add((*place, word))
        if entry.type.endswith("_completed"):
            case.accepted[way, entry.step] += 1
            if case.accepted[way, entry.step] > 1:
                self.complain("I5", process_id, f"{way} {entry.step} has two accepted outcomes")
        if word in ("started", "progressed"):
            case.due[place] = event["due_at"]
        if word == "timed_out" and at < case.due[place]:
            self.complain("I11", process_id, f"{place} timed out before its time")

    def _compare(self, case: Case, document: Mapping[str, Any]) -> None:
        """Ask the interpreter; where it says something else, one of the two is wrong."""
        state, interpreter, process_id = case.state, case.interpreter, document["p"]
        interpreter.feed(document)
        assert state is not None
        started = sorted(
            (event["type"].removesuffix("_started"), event["step"], event["attempt"])
            for event in document["events"]
            if event["type"] in ("step_started", "compensation_started")
        )
        if started != sorted(interpreter.started):
            self.complain("I18", process_id, f"started {started}, the interpreter {interpreter.started}")
        if str(state.status) != interpreter.status:
            self.complain("I18", process_id, f"is {state.status}, the interpreter says {interpreter.status}")
        for name, step in state.steps.items():
            undo = interpreter.undos.get(name)
            seen = str(step.action.status), None if step.undo is None else str(step.undo.status)
            told = interpreter.actions[name].status, None if undo is None else undo.status
            if seen != told:
                self.complain("I18", process_id, f"{name} is {seen}, the interpreter says {told}")

    def _check_started(self, process_id: str) -> None:
        case = self.cases.get(process_id)
        if case is None or case.state is None or not case.state.is_taken:
            self.complain("I15", process_id, "its start was acknowledged and it was never taken")
        else:
            self._check_told(process_id, case, f"start:{process_id}")

    def _check_woken(self, body: Mapping[str, Any]) -> None:
        case = self.cases[body["process_id"]]
        if case.version == body["version"] and body["due_at"] <= self._now():
            self.complain("I11", body["process_id"], f"the timer of {body['version']} fired without effect")
        self._check_told(
            body["process_id"], case, f"wake:{body['process_id']}:{body['version']}:{body['due_at']}"
        )

    def _check_answered(self, command_id: str, word: str) -> None:
        ref = parse_command_id(command_id)
        assert ref is not None
        case = self.cases[ref.process_id]
        if (_WAYS[ref.kind], ref.step, ref.attempt, word) not in case.answered:
            self.complain("I15", ref.process_id, f"{command_id}:{word} was acknowledged and is in no log")
        self._check_told(ref.process_id, case, f"{command_id}:{word}")

    def _check_told(self, process_id: str, case: Case, identity: str) -> None:
        transition = case.causes.get(identity)
        if transition is None:
            return
        self._check_outbox(process_id, case, [transition])
        if case.projected < transition.last:
            self.complain(
                "I7", process_id, f"{identity} was acknowledged before {transition.last} was projected"
            )

    def _check_outbox(self, process_id: str, case: Case, log: list[Transition]) -> None:
        assert case.state is not None
        for transition in log:
            for command in outstanding(case.state, transition.commands):
                if command.command_id not in self.sent:
                    self.complain("I15", process_id, f"{command.command_id} is awaited and was never sent")


def _start_id(message: InMemoryMessage, body: Mapping[str, Any]) -> str:
    app_id = message.app_id or ""
    if body.get("process_id"):
        return str(body["process_id"])
    if body.get("idempotency_key"):
        return id_for_key(app_id, body["idempotency_key"])
    return id_for_message(app_id, message.message_id or "")
