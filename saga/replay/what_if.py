"""What would have become of a process if one message had been another: folded on, with nothing sent or stored.

What follows is answered as it was answered then, where the same command was; else by a script; else not at all.
Answers take the time that they took. Time-outs go off up to the end of what is recorded, and as long as answers
are still to come: what nobody answers is left open, instead of being waited for in vain.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from saga.coordinator.admission import admit
from saga.coordinator.admitted import Admitted, AdmittedMigration, AdmittedStart, AdmittedWake, Rejected
from saga.coordinator.rulings import Beginning, Ruling, Standing, rule, rule_on_new
from saga.errors import SagaError, UnknownDefinition, UnreadableLog
from saga.messages.command import Command, parse_command_id
from saga.messages.json_text import Json, JsonObject, to_text
from saga.messages.wake import WakeCommand
from saga.process.effects import effects, outstanding
from saga.process.events import Accepted, Migrated
from saga.process.evolve import fold
from saga.process.inputs import WokenUp
from saga.process.state import ProcessState
from saga.process.timers import WakeReason, next_wake
from saga.process.transition import Cause, Transition
from saga.replay.history import Histories, History
from saga.replay.past import UnknownEvent
from saga.replay.recorded import CLIENT, Redelivery, readmit
from saga.views.event import event_entries

# A path that is longer leads in a circle: a script that always answers with a failure, say.
MESSAGES_MAX = 20_000
BY = "what-if"
# What waits for somebody else.
_WAITING = frozenset({WakeReason.TIMEOUT, WakeReason.DEADLINE, WakeReason.LOCK})


class ImpossibleMessage(SagaError):  # noqa: N818 - what is the case with it
    """Say why a message can't take the place of the recorded one."""

    code = "impossible-message"


@dataclass(frozen=True, slots=True)
class Message:
    """Hold a message as on the wire, and who sent it: Batuta itself where nothing else is said."""

    routing_key: str
    body: Json
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what a script says of a command: its output, or the error with which it fails."""

    output: Json = None
    error: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """Hold one way from the message on: its entries in the log, and where the process stands at their end."""

    entries: tuple[JsonObject, ...]
    state: ProcessState

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "status": str(self.state.status),
            "version": self.state.version,
            "events": list[Json](self.entries),
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """Hold both ways, what is left open at the end of the new one, and the messages that it would refuse."""

    process_id: str
    number: int
    then: Path
    what_if: Path
    left_open: tuple[str, ...]
    refused: tuple[str, ...]

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "process_id": self.process_id,
            "sequence": self.number,
            "then": self.then.document(),
            "what_if": self.what_if.document(),
            "left_open": list[Json](self.left_open),
            "refused": list[Json](self.refused),
        }


async def what_if(
    histories: Histories, history: History, number: int, message: Message, script: Mapping[str, Answer]
) -> Compared:
    """Replace the message that caused event `number`, and fold on.

    The script answers by `step`, `step/compensation`, `step/verify`, or the same of one item, `step[2]`.
    Raises UnknownEvent, UnreadableLog, UnknownDefinition and ImpossibleMessage.
    """
    log = history.whole()
    place = next((index for index, one in enumerate(log) if one.first <= number <= one.last), None)
    if place is None:
        raise UnknownEvent(history.process_id, number, history.version)
    replaced = log[place]
    if replaced.cause.kind == CLIENT:
        raise ImpossibleMessage("the first event of a start over HTTP has no message: take the next one")
    versions = {hash_: await _version(histories, hash_) for hash_ in _hashes(log)}
    start = log[0].events[0]
    first = versions[start.definition_hash] if isinstance(start, Accepted) else None
    if first is None:
        raise UnknownDefinition(f"the definition of process {history.process_id} is not known")
    given = _admitted(message, replaced)
    course = _Course(log, place, versions, script, Beginning(first.known, _children(start)))
    course.run(given)
    then = fold(log)
    if then is None or course.standing is None:
        raise ImpossibleMessage("; ".join(course.refused) or "no process begins with it")
    return Compared(
        history.process_id,
        number,
        Path(tuple(_entries(log[place:])), then),
        Path(tuple(_entries(course.transitions)), course.standing.state),
        course.left_open(),
        tuple(course.refused),
    )


@dataclass(order=True)
class _Due:
    """One message on its way; those of the same moment keep the order in which they were sent."""

    at: int
    order: int
    message: Admitted = field(compare=False)


class _Course:
    """Follow the process on its other way: messages come when they are due, timers go off between them."""

    def __init__(
        self,
        log: Sequence[Transition],
        place: int,
        versions: Mapping[str, Beginning],
        script: Mapping[str, Answer],
        beginning: Beginning,
    ) -> None:
        self._versions = versions
        self._script = script
        self._beginning = beginning
        self._process_id = log[0].process_id
        self._sent_before = _orders(log[:place])
        self._sent_at = {command.command_id: one.at for one in log for command in _orders([one])}
        self._answers: dict[str, list[Transition]] = {}
        for one in log[place + 1 :]:
            if one.cause.kind == "reply":
                self._answers.setdefault(one.cause.identity.rpartition(":")[0], []).append(one)
        self._horizon = log[-1].at
        self._due: list[_Due] = []
        self._count = 0
        self._looked_at: WokenUp | None = None
        self._replaced = log[place]
        self.now = self._replaced.at
        self.transitions: list[Transition] = []
        self.refused: list[str] = []
        state = fold(log[:place])
        self.standing = None if state is None else self._standing(state)
        self._expect(log, place, state)

    def run(self, message: Admitted) -> None:
        """Take the message that stands in the place of the recorded one, and all that comes after it."""
        self._take(message)
        while self._count < MESSAGES_MAX:
            timer = self._timer()
            if timer is not None:
                self._looked_at = timer.received
                self.now = max(self.now, timer.received.due_at)
                self._take(timer)
            elif self._due:
                due = heapq.heappop(self._due)
                self.now = max(self.now, due.at)
                self._take(due.message)
            else:
                return

    def left_open(self) -> tuple[str, ...]:
        """Name the commands that nobody answers."""
        if self.standing is None:
            return ()
        sent = (*self._sent_before, *_orders(self.transitions))
        return tuple(command.command_id for command in outstanding(self.standing.state, sent))

    def _expect(self, log: Sequence[Transition], place: int, state: ProcessState | None) -> None:
        """Let come what others sent then, and what is answered of that which was under way."""
        for one in log[place + 1 :]:
            if one.cause.kind not in {"reply", "wake"}:
                self._send(one.at, _readmitted(one))
        if state is None:
            return
        replaced = self._replaced.cause.identity.rpartition(":")[0]
        for command in outstanding(state, self._sent_before):
            if command.command_id != replaced or command.command_id in self._answers:
                self._answer(command.command_id, self._sent_at.get(command.command_id, self.now))

    def _answer(self, command_id: str, sent_at: int) -> None:
        """Let the answers to a command come as they came then, or as the script says."""
        recorded = self._answers.get(command_id)
        if recorded is not None:
            shift = sent_at - self._sent_at.get(command_id, sent_at)
            for one in recorded:
                self._send(one.at + shift, _readmitted(one))
            return
        scripted = self._scripted(command_id)
        if scripted is not None:
            self._send(sent_at, scripted)

    def _scripted(self, command_id: str) -> Admitted | None:
        ref = parse_command_id(command_id)
        if ref is None:
            return None
        suffix = "" if ref.kind == "action" else f"/{ref.kind}"
        names = (f"{ref.step}{suffix}", f"{ref.step.partition('[')[0]}{suffix}")
        answer = next((self._script[name] for name in names if name in self._script), None)
        if answer is None:
            return None
        body: JsonObject = {"command_id": command_id}
        if answer.error is not None:
            body["error"] = answer.error
            return _admit("step.failed", to_text(body).encode())
        body["output"] = answer.output
        return _admit("step.completed", to_text(body).encode())

    def _send(self, at: int, message: Admitted) -> None:
        self._count += 1
        heapq.heappush(self._due, _Due(at, self._count, message))

    def _timer(self) -> AdmittedWake | None:
        """Give the timer that goes off before the next message comes, unless it was found to change nothing."""
        if self.standing is None:
            return None
        state = self.standing.state
        wake = next_wake(self.standing.graph, state, self.standing.seen)
        if wake is None or (self._due and self._due[0].at <= wake.at):
            return None
        if wake.reason in _WAITING and not self._due and wake.at > self._horizon:
            return None
        received = WokenUp(state.version, wake.at)
        if received == self._looked_at:
            return None
        command = WakeCommand(state.process_id, state.version, wake.at)
        return AdmittedWake(state.process_id, command.identity, received, command.to_body())

    def _take(self, message: Admitted) -> None:
        self._count += 1
        try:
            ruling = self._ruled(message)
        except Rejected as rejected:
            self.refused.append(f"{message.identity}: {rejected}")
            return
        if ruling is None or not ruling.events:
            return
        state = ruling.state
        commands = effects(ruling.graph, state, ruling.events)
        cause = Cause(message.identity, message.kind, message.body)
        first = state.version - len(ruling.events) + 1
        at = max(self.now, state.updated_at)
        self.transitions.append(
            Transition(self._process_id, first, ruling.events, commands, cause, at, BY, BY)
        )
        self.standing = Standing(state, ruling.graph, is_fresh=True, seen=ruling.seen)
        for command in _orders(self.transitions[-1:]):
            self._answer(command.command_id, at)

    def _ruled(self, message: Admitted) -> Ruling | None:
        if self.standing is not None:
            target = None
            if isinstance(message, AdmittedMigration):
                target = self._versions.get(message.command.definition)
            return rule(message, self.standing, self.now, target=target)
        if isinstance(message, AdmittedStart):
            return rule_on_new(message, self._beginning, self.now)
        return None

    def _standing(self, state: ProcessState) -> Standing:
        version = self._versions[state.origin.definition_hash]
        return Standing(state, version.known.graph, is_fresh=True)


def _admitted(message: Message, replaced: Transition) -> Admitted:
    try:
        admitted = _admit(message.routing_key, to_text(message.body).encode(), message.app_id)
    except Rejected as rejected:
        raise ImpossibleMessage(f"the coordinators' door refuses the message: {rejected}") from None
    if admitted.process_id != replaced.process_id:
        raise ImpossibleMessage(
            f"the message is for process {admitted.process_id}, not for {replaced.process_id}"
        )
    return admitted


def _readmitted(transition: Transition) -> Admitted:
    try:
        return readmit(transition)
    except Rejected as rejected:
        raise UnreadableLog(
            transition.process_id,
            transition.first,
            f"its message can't be sent again: {rejected}",
            field="cause",
        ) from None


def _admit(routing_key: str, body: bytes, app_id: str | None = None) -> Admitted:
    delivery = (
        Redelivery(routing_key, body) if app_id is None else Redelivery(routing_key, body, app_id=app_id)
    )
    return admit(delivery, new_process_id=lambda: "")


def _hashes(log: Sequence[Transition]) -> Iterator[str]:
    for transition in log:
        for event in transition.events:
            if isinstance(event, Accepted | Migrated):
                yield event.definition_hash


def _children(start: object) -> Mapping[str, str]:
    return start.children if isinstance(start, Accepted) else {}


async def _version(histories: Histories, hash_: str) -> Beginning:
    return Beginning(await histories.definition(hash_), {})


def _orders(transitions: Sequence[Transition]) -> tuple[Command, ...]:
    """Give what was sent, but for the answers to a parent."""
    return tuple(command for one in transitions for command in one.commands if not command.is_reply)


def _entries(transitions: Sequence[Transition]) -> Iterator[JsonObject]:
    for transition in transitions:
        yield from event_entries(transition)
