"""Feed recorded processes their recorded messages through today's code, and report what is decided otherwise.

Messages pass the door and the rulings as they did then, at the time that stands in the log, on the state that
the log gives. So each decision is judged by itself, also behind one that differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from types import MappingProxyType
from typing import cast

from saga.coordinator.admitted import AdmittedMigration, AdmittedStart, Rejected
from saga.coordinator.rulings import Beginning, Ruling, Standing, rule, rule_on_new
from saga.definition.catalog import KnownDefinition
from saga.errors import UnknownDefinition, UnreadableLog
from saga.messages.command import Command
from saga.messages.json_text import Json, JsonObject, from_text, to_text
from saga.process.codec import encode_event
from saga.process.decide import TYPE_PAUSED
from saga.process.effects import effects, reply_key_of
from saga.process.events import Accepted, Event, Migrated, Paused
from saga.process.evolve import fold
from saga.process.state import ProcessState
from saga.process.transition import Transition
from saga.replay.difference import Difference, differences
from saga.replay.history import Histories, History
from saga.replay.recorded import CLIENT, readmit
from saga.replay.replaying import Outcome, Problem


@dataclass(frozen=True, slots=True)
class DecisionDifference:
    """Hold one decision that differs: the message, the events of then and now, and the fields that differ.

    `first` is the number of the first event of the decision, and `sequence` of the first that differs.
    `refusal` says why today's door or rules would not take the message at all.
    """

    sequence: int
    message: str
    then: tuple[JsonObject, ...]
    now: tuple[JsonObject, ...]
    fields: tuple[Difference, ...]
    first: int
    refusal: str | None = None

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "sequence": self.sequence,
            "message": self.message,
            "then": list[Json](self.then),
            "now": list[Json](self.now),
            "fields": [
                {"sequence": one.sequence, "field": one.field, "then": one.log, "now": one.found}
                for one in self.fields
            ],
            "refusal": self.refusal,
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """Hold what the verification of one process found."""

    process_id: str
    outcome: Outcome
    events: int = 0
    decisions: int = 0
    differences: tuple[DecisionDifference, ...] = ()
    problem: Problem | None = None

    @property
    def is_well(self) -> bool:
        """Say whether today's code decides the same throughout."""
        return self.outcome is Outcome.SAME

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "process_id": self.process_id,
            "outcome": str(self.outcome),
            "events": self.events,
            "decisions": self.decisions,
            "differences": [one.document() for one in self.differences],
            "problem": None if self.problem is None else self.problem.document(),
        }


class Verification:
    """Verify processes, one after the other.

    With `others`, definitions by type, the processes of these types are judged by them instead of their own, and
    the rest are passed over.
    """

    def __init__(self, histories: Histories, others: Mapping[str, KnownDefinition] | None = None) -> None:
        self._histories = histories
        self._others = others

    async def verify(self, history: History) -> Verified | None:
        """Verify one process; None for one that is passed over. Raises StoreUnavailable."""
        found: list[DecisionDifference] = []
        problem: Problem | None = None
        try:
            if not history.transitions:
                history.whole()
            if self._others is not None and _accepted(history).process_type not in self._others:
                return None
            await self._replay(history, found)
            history.whole()
        except UnreadableLog as error:
            problem = Problem(error.number, error.field, error.problem)
        except UnknownDefinition as error:
            problem = Problem(1, "definition_hash", str(error))
        outcome = Outcome.DIFFERENT if found else Outcome.SAME
        return Verified(
            history.process_id,
            Outcome.UNREADABLE if problem is not None else outcome,
            history.version,
            len(history.transitions),
            tuple(found),
            problem,
        )

    async def _replay(self, history: History, found: list[DecisionDifference]) -> None:
        standing: Standing | None = None
        known = await self._definition(_accepted(history).process_type, _accepted(history).definition_hash)
        for transition in history.transitions:
            if standing is not None and standing.state.origin.definition_hash != known.hash:
                known = await self._definition(
                    standing.state.origin.process_type, standing.state.origin.definition_hash
                )
                if standing.graph is not known.graph:
                    standing = replace(standing, graph=known.graph, seen=None)
            target = await self._target(transition) if transition.cause.kind == "migrate" else None
            ruling = _ruled(transition, standing, known, target)
            now, commands = _outcome(ruling, transition, is_other=self._others is not None)
            if now == transition.events and commands == transition.commands and isinstance(ruling, Ruling):
                standing = Standing(ruling.state, ruling.graph, is_fresh=True, seen=ruling.seen)
                continue
            if now != transition.events or commands != transition.commands:
                found.append(_difference(transition, now, commands, ruling))
            state = fold([transition], None if standing is None else standing.state)
            if state is not None:
                standing = Standing(state, known.graph, is_fresh=True)

    async def _target(self, transition: Transition) -> Beginning | None:
        """Give the version that a recorded migration moved its process to, as it was known then."""
        migrated = next((event for event in transition.events if isinstance(event, Migrated)), None)
        if migrated is None or self._others is not None:
            return None
        return Beginning(await self._histories.definition(migrated.definition_hash), migrated.children)

    async def _definition(self, process_type: str, hash_: str) -> KnownDefinition:
        if self._others is not None:
            return self._others[process_type]
        return await self._histories.definition(hash_)


def _accepted(history: History) -> Accepted:
    first = history.transitions[0].events[0]
    if not isinstance(first, Accepted):
        raise UnreadableLog(history.process_id, 1, "the log does not start with accepted", field="type")
    return first


def _ruled(
    transition: Transition, standing: Standing | None, known: KnownDefinition, target: Beginning | None
) -> Ruling | Rejected | None:
    """Rule as a coordinator does; None for what is taken as it stands, because nothing was ruled there.

    These are the API's own first event, and a migration to a version that is not to judge, or was not known.
    """
    first = transition.events[0]
    try:
        if transition.cause.kind == CLIENT:
            _refuse_parameters(first, known)
            return None
        message = readmit(transition)
        if isinstance(message, AdmittedMigration) and target is None:
            return None
        if standing is not None:
            return rule(message, standing, transition.at, is_paused=_was_paused(transition), target=target)
        if isinstance(message, AdmittedStart) and isinstance(first, Accepted):
            beginning = Beginning(known, first.children, _was_paused(transition))
            return rule_on_new(message, beginning, transition.at)
    except Rejected as rejected:
        return rejected
    return Rejected("unknown-process", "the message begins no process")


def _refuse_parameters(first: Event, known: KnownDefinition) -> None:
    parameters = from_text(first.parameters) if isinstance(first, Accepted) else None
    problems = known.problems_with(parameters) if isinstance(parameters, dict) else ()
    if problems:
        sentences = "; ".join(f"{pointer or '/'} {sentence}" for pointer, sentence in problems)
        raise Rejected("invalid-parameters", sentences)


def _was_paused(transition: Transition) -> bool:
    return transition.cause.kind == "start" and any(
        isinstance(event, Paused) and event.reason == TYPE_PAUSED for event in transition.events
    )


def _outcome(
    ruling: Ruling | Rejected | None, transition: Transition, *, is_other: bool
) -> tuple[tuple[Event, ...], tuple[Command, ...]]:
    match ruling:
        case None:
            return transition.events, transition.commands
        case Rejected():
            return (), ()
        case Ruling():
            events = ruling.events
            then = transition.events[0]
            if is_other and events and isinstance(events[0], Accepted) and isinstance(then, Accepted):
                # That the definition is another one is what was asked for.
                same = replace(events[0], definition_hash=then.definition_hash)
                events = (same, *events[1:])
            reply_key = reply_key_of(transition.commands)
            return events, effects(ruling.graph, _pinned(ruling), ruling.events, reply_key=reply_key)


def _pinned(ruling: Ruling) -> ProcessState:
    """Give the state, in which types are pinned to nothing that only another definition starts."""
    origin = ruling.state.origin
    missing = ruling.graph.child_types - origin.children.keys()
    if not missing:
        return ruling.state
    children = MappingProxyType({**dict.fromkeys(missing, ""), **origin.children})
    return replace(ruling.state, origin=replace(origin, children=children))


def _difference(
    transition: Transition,
    events: Sequence[Event],
    commands: Sequence[Command],
    ruling: Ruling | Rejected | None,
) -> DecisionDifference:
    then, now = (tuple(_event(event) for event in given) for given in (transition.events, events))
    fields = [
        one
        for number, (left, right) in enumerate(zip_longest(then, now), start=transition.first)
        for one in differences(number, left, right, within="" if left and right else "event")
    ]
    first = fields[0].sequence if fields else transition.first
    pairs = zip_longest(map(_command, transition.commands), map(_command, commands))
    for index, (left, right) in enumerate(pairs):
        fields.extend(differences(first, left, right, within=f"commands[{index}]"))
    refusal = str(ruling) if isinstance(ruling, Rejected) else None
    message = f"{transition.cause.kind} {transition.cause.identity}"
    return DecisionDifference(first, message, then, now, tuple(fields), transition.first, refusal)


def _event(event: Event) -> JsonObject:
    return cast("JsonObject", encode_event(event))


def _command(command: Command) -> JsonObject:
    return {"id": command.command_id, "key": command.routing_key, "body": _body(command.body)}


def _body(text: str) -> Json:
    """Read what a command holds, to tell what of it differs; what was damaged is told as the text that it is."""
    try:
        value = from_text(text)
        to_text(value)  # what is told is written out again, which takes no infinity
    except (ValueError, RecursionError):
        return text
    return value
