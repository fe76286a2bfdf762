"""Watch everything that reaches the store and the broker, and say at once which invariant is broken.

Each check looks at what is there now: a transition when it is stored, a message when it arrives, an
acknowledgement when it takes effect. What concerns one log alone is in `cases`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from saga.messages.command import parse_command_id
from saga.messages.start import id_for_child, id_for_key, id_for_message
from saga.ports.bus import APP_ID
from saga.process.codec import encode_transition
from saga.process.effects import outstanding
from saga.process.evolve import evolve, fold
from saga.process.snapshot import to_snapshot
from saga.process.timers import awaits_lock, next_wake
from saga.testing.broker import COORDINATOR, queue_for
from tests.simulation.cases import ENDS, WAYS, Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from saga.definition.graph import StepGraph
    from saga.ports.projections import Projection
    from saga.process.state import ProcessState
    from saga.process.transition import Transition
    from saga.testing import InMemoryMessage

# Clocks may be off by a second each: what one of them says may be two seconds off for another.
SKEW_MS = 1_000


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
        self.listeners: list[Callable[[str, Mapping[str, Any]], None]] = []
        self.skew_ms = 0
        # Commands that came back and were answered as such, and that went out all the same: the coordinator
        # died in between, and the queue was there again for the next one. A window that is known.
        self.sent_after_all: set[str] = set()
        self._unroutable: set[str] = set()
        self._definitions = definitions
        self._graphs = graphs
        self._now = now
        self._parked: set[InMemoryMessage] = set()
        self._holders: dict[str, str] = {}
        self._wanted_late: set[str] = set()

    @property
    def unroutable_processes(self) -> set[str]:
        """Name the processes of which a command came back."""
        return {command_id.partition(".")[0] for command_id in self._unroutable}

    def complain(self, invariant: str, about: str, problem: str) -> None:
        """Note a broken promise."""
        self.problems.append(f"{invariant} {about}: {problem}")

    def appended(self, transition: Transition) -> None:
        """Look at a transition that was just stored."""
        document: Mapping[str, Any] = encode_transition(transition)
        process_id = transition.process_id
        case = self.cases.get(process_id)
        if case is None:
            first = document["events"][0]
            case = self.cases[process_id] = Case.of(self._definitions[str(first.get("process_type"))])
        if transition.first != case.version + 1:
            self.complain("I2", process_id, f"event {transition.first} was stored after {case.version}")
            return
        self._fold(case, transition)
        self._check_cause(case, transition)
        for command in transition.commands:
            if command.command_id in self.commands:
                self.complain("I3", process_id, f"{command.command_id} stands in two transitions")
            self.commands[command.command_id] = command.routing_key, command.body.encode()
        for invariant, problem in case.read(document):
            self.complain(invariant, process_id, problem)
        self._check_locks(case, document)
        self._check_children(case, document)
        for listener in self.listeners:
            listener(process_id, document)

    def projected(self, projection: Projection) -> None:
        """Look at a projection that is being saved."""
        case = self.cases.get(projection.process_id)
        if case is None or projection.version > case.version:
            self.complain("I7", projection.process_id, "a projection is ahead of the log")
        else:
            case.projected = max(case.projected, projection.version)

    def remembered(self, states: Iterable[ProcessState]) -> None:
        """Look at what a coordinator keeps in its memory: each was true once."""
        for state in states:
            case = self.cases.get(state.process_id)
            if case is None or case.states.get(state.version) != state:
                self.complain(
                    "I7", state.process_id, f"a coordinator remembers another state {state.version}"
                )

    def arrived(self, message: InMemoryMessage) -> None:
        """Look at a message that reached a queue."""
        message_id = message.message_id or ""
        family, _, rest = message.routing_key.partition(".")
        is_order = message.exchange.endswith("commands") and family == "step"
        if message_id in self.commands or is_order:
            if self.commands.get(message_id) != (message.routing_key, message.body):
                self.complain("I3", message_id, "was sent before it stood in the log, or changed")
            self.sent.add(message_id)
            if message_id in self._unroutable:
                self.sent_after_all.add(message_id)
        elif message_id.endswith(".unroutable"):
            self._unroutable.add(message_id.removesuffix(".unroutable"))
            self.sent |= self._unroutable
        elif rest == "wake" and message.app_id == APP_ID and self._is_early(json.loads(message.body)):
            self.complain("I11", message_id, "a timer fired before its time")

    def wanted(self, key: str, root_id: str) -> None:
        """Hear that somebody asks for a lock; a slow server may do so for a process that has ended since.

        Whoever wants it next finds its holder ended, and releases it.
        """
        if self.cases[root_id].has_ended:
            self._wanted_late.add(key)

    def came_back(self, message: InMemoryMessage) -> None:
        """Hear that no queue took a message."""
        if (message.message_id or "").endswith(".unroutable"):
            # Both its service's queue and ours are gone: the time-out of the step finds that out.
            self.sent.add((message.message_id or "").removesuffix(".unroutable"))

    def buried(self, message: InMemoryMessage, reason: str) -> None:
        """Look at a message that was parked."""
        self._parked.add(message)
        expected = self.reasons.get(message.message_id or "")
        if (message.message_id or "").endswith(":cancel") and reason == "unknown-process":
            return  # it came before the start of the child that it was to end: the child tells its end itself
        if expected is None or reason not in expected:
            self.complain("I15", str(message.message_id), f"was parked as {reason}: {message.body[:300]!r}")

    def acknowledged(self, message: InMemoryMessage, *, has_copy: bool) -> None:
        """Look at a message of the coordinators that was just taken off its queue, or one of its copies."""
        if queue_for(message.exchange, message.routing_key) != COORDINATOR or message in self._parked:
            return
        self.consumed.append(message)
        body = json.loads(message.body)
        match message.routing_key:
            case "process.start":
                self._check_started(_start_id(message, body))
            case "process.wake":
                self._check_woken(body, has_copy=has_copy)
            case "step.completed" | "step.failed":
                self._check_answered(body["command_id"], message.routing_key.removeprefix("step."))
            case "process.lock" | "step.progress":
                pass
            case _:
                self._check_requested(body["process_id"], str(body["request_id"]))

    def finish(self, projections: Mapping[str, Projection], locks: Mapping[str, str]) -> None:
        """Look at everything once more when nothing happens any more; `locks` are the holders by key."""
        for key, holder in locks.items():
            if self.cases[holder].status in ENDS and key not in self._wanted_late:
                self.complain("locks", holder, f"ended, and {key} is held by it")
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

    def _is_early(self, wake: Mapping[str, Any]) -> bool:
        return int(wake["due_at"]) > self._now() + self.skew_ms

    def _fold(self, case: Case, transition: Transition) -> None:
        for event in transition.events:
            try:
                case.state = evolve(case.state, event, at=transition.at, process_id=transition.process_id)
            except (KeyError, TypeError, ValueError) as error:
                self.complain("I7", transition.process_id, f"the log can't be folded: {error}")
        case.log.append(transition)
        if case.state is not None:
            case.states[case.version] = case.state

    def _check_cause(self, case: Case, transition: Transition) -> None:
        identity = transition.cause.identity
        if identity in case.causes and not identity.endswith(":progress"):
            self.complain("I16", transition.process_id, f"{identity} caused two transitions")
        case.causes[identity] = transition

    def _check_locks(self, case: Case, document: Mapping[str, Any]) -> None:
        """Look that no two families hold a key at the same time; who goes back after its end holds none."""
        assert case.state is not None
        root_id = case.state.origin.root_id
        for event in document["events"]:
            if event["type"] == "lock_acquired":
                holder = self._holders.setdefault(event["key"], root_id)
                if holder != root_id:
                    self.complain("locks", document["p"], f"{event['key']} is still held by {holder}")
            elif event["type"] in ENDS:
                self._holders = {key: one for key, one in self._holders.items() if one != document["p"]}

    def _check_children(self, case: Case, document: Mapping[str, Any]) -> None:
        """Look that a child is never doubled: the next one starts when this one is compensated."""
        for event in document["events"]:
            if event["type"] != "step_started" or case.written.kind(event["step"]) != "process":
                continue
            key = f"{document['p']}.{event['step'].replace('[', '.').removesuffix(']')}.a"
            for attempt in range(1, event["attempt"]):
                earlier = self.cases.get(id_for_child(f"{key}{attempt}"))
                # Ended once: a late completion may have reopened it since.
                if earlier is None or not earlier.has_ended or earlier.status == "completed":
                    status = earlier and earlier.status
                    self.complain("children", document["p"], f"{key}{attempt} is {status}, and another began")

    def _check_started(self, process_id: str) -> None:
        case = self.cases.get(process_id)
        if case is None or case.state is None or not case.state.is_taken:
            self.complain("I15", process_id, "its start was acknowledged and it was never taken")
        else:
            self._check_told(process_id, case, f"start:{process_id}")

    def _check_woken(self, body: Mapping[str, Any], *, has_copy: bool) -> None:
        case = self._known(body["process_id"])
        is_due = (
            body["due_at"] <= self._now() and not self.skew_ms
        )  # else it may have been early for its taker
        looks_at_locks = case.state is not None and awaits_lock(case.state)
        if case.version == body["version"] and is_due and not looks_at_locks:
            self.complain("I11", body["process_id"], f"the timer of {body['version']} fired without effect")
        if has_copy:
            return  # whoever has that one in hand may be about to act on it: this one may have come too early
        self._check_told(
            body["process_id"], case, f"wake:{body['process_id']}:{body['version']}:{body['due_at']}"
        )

    def _check_answered(self, command_id: str, word: str) -> None:
        ref = parse_command_id(command_id)
        assert ref is not None
        case = self._known(ref.process_id)
        if (WAYS[ref.kind], ref.step, ref.attempt, word) not in case.answered:
            self.complain("I15", ref.process_id, f"{command_id}:{word} was acknowledged and is in no log")
        self._check_told(ref.process_id, case, f"{command_id}:{word}")

    def _check_requested(self, process_id: str, request_id: str) -> None:
        case = self._known(process_id)
        if request_id not in case.requests:
            self.complain("I15", process_id, f"the request {request_id} was acknowledged and is in no log")
        self._check_told(process_id, case, f"control:{request_id}")

    def _known(self, process_id: str) -> Case:
        """Give a process of which a message was acknowledged, so that it must be in the log."""
        case = self.cases.get(process_id)
        if case is None:
            self.complain("I15", process_id, "a message of it was acknowledged, and it is in no log")
            return Case.of(next(iter(self._definitions.values())))
        return case

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
