"""Events and transitions as plain documents: the stored form, the same in every store.

User data stands in them only as text, so that no key or operator of a user's ever meets a store's query
language. The format may only grow: a new field has a default, a new event a new name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import TypeAlias, cast

from saga.errors import UnreadableLog
from saga.messages.command import Command
from saga.messages.json_text import JsonObject, from_text, to_text
from saga.process import events as ev
from saga.process.status import Direction, EffortStatus, OperatorAction, ProcessStatus
from saga.process.transition import Cause, Transition

Document: TypeAlias = dict[str, object]

FORMAT = 1
# A document that holds several transitions, which an older version would take for one.
SEVERAL = 2

# A class of events has one name, or one per direction, or one per action of an operator.
_NAMES: Mapping[tuple[type, Direction | OperatorAction | None], str] = MappingProxyType(
    {
        (ev.Accepted, None): "accepted",
        (ev.ResultKept, None): "step_kept",
        (ev.Started, None): "started",
        (ev.AttemptStarted, Direction.ACTION): "step_started",
        (ev.AttemptCompleted, Direction.ACTION): "step_completed",
        (ev.AttemptFailed, Direction.ACTION): "step_failed",
        (ev.AttemptTimedOut, Direction.ACTION): "step_timed_out",
        (ev.AttemptProgressed, Direction.ACTION): "step_progressed",
        (ev.RetryScheduled, Direction.ACTION): "retry_scheduled",
        (ev.AttemptStarted, Direction.COMPENSATION): "compensation_started",
        (ev.AttemptCompleted, Direction.COMPENSATION): "compensation_completed",
        (ev.AttemptFailed, Direction.COMPENSATION): "compensation_failed",
        (ev.AttemptTimedOut, Direction.COMPENSATION): "compensation_timed_out",
        (ev.AttemptProgressed, Direction.COMPENSATION): "compensation_progressed",
        (ev.RetryScheduled, Direction.COMPENSATION): "compensation_retry_scheduled",
        (ev.AttemptStarted, Direction.VERIFY): "verify_started",
        (ev.AttemptCompleted, Direction.VERIFY): "verify_completed",
        (ev.AttemptFailed, Direction.VERIFY): "verify_failed",
        (ev.AttemptTimedOut, Direction.VERIFY): "verify_timed_out",
        (ev.AttemptProgressed, Direction.VERIFY): "verify_progressed",
        (ev.RetryScheduled, Direction.VERIFY): "verify_retry_scheduled",
        (ev.VerifyConcluded, None): "verify_concluded",
        (ev.SignalAwaited, None): "signal_waiting",
        (ev.Skipped, Direction.ACTION): "step_skipped",
        (ev.Skipped, Direction.COMPENSATION): "compensation_skipped",
        (ev.Expanded, None): "step_expanded",
        (ev.Gathered, None): "step_gathered",
        (ev.ChildCancelled, None): "child_cancelled",
        (ev.LocksWanted, None): "locks_wanted",
        (ev.LockAcquired, None): "lock_acquired",
        (ev.LockAwaited, None): "lock_waiting",
        (ev.LockJoined, None): "lock_joined",
        (ev.Observed, None): "observed",
        (ev.TurnedBack, None): "turned_back",
        (ev.CompensationPlanned, None): "compensation_planned",
        (ev.Suspended, None): "suspended",
        (ev.Resumed, None): "resumed",
        (ev.Paused, None): "paused",
        (ev.DeadlinePassed, None): "deadline_passed",
        (ev.TurnNoted, None): "turn_noted",
        **{(ev.OperatorActed, action): f"operator_{action}" for action in OperatorAction},
        (ev.OperatorRejected, None): "operator_rejected",
        (ev.OperatorReran, None): "operator_rerun",
        (ev.Completed, None): "completed",
        (ev.Compensated, None): "compensated",
        (ev.Failed, None): "failed",
    }
)
_CLASSES = MappingProxyType({name: key for key, name in _NAMES.items()})
EVENT_NAMES = tuple(_NAMES.values())


def event_name(event: ev.Event) -> str:
    """Give the event's name in the log."""
    kind = type(event)
    member = _NAMED_BY.get(kind)
    return _NAMES[kind, None if member is None else getattr(event, member)]


def left_out_when_empty(kind: type) -> frozenset[str]:
    """Name the members of a class of events that its stored form lacks where nothing is said of them."""
    return _LEFT_OUT[kind]


def encode_event(event: ev.Event) -> Document:
    """Write an event as a flat document: `type`, then its fields."""
    name = event_name(event)
    document: Document = {"type": name}
    said = _NAMED_BY.get(type(event))
    optional = _LEFT_OUT[type(event)]
    for field in _FIELDS[type(event)]:
        if field == said:
            continue  # the name says it
        value = getattr(event, field)
        if field in optional and (value is None or value in ("", {})):
            continue  # nothing is said of it, as in a log that is older than the field
        encode = _ENCODE.get(field)
        document[field] = value if encode is None else encode(value)
    return document


def decode_event(document: Document) -> ev.Event:
    """Read a stored event; raises ValueError for a name or a field that this version doesn't know."""
    name = str(document.get("type"))
    if name not in _CLASSES:
        raise ValueError(f"unknown event type {name!r}")
    kind, word = _CLASSES[name]
    values: Document = {} if word is None else {_NAMED_BY[kind]: word}
    for field in _FIELDS[kind]:
        if field in values:
            continue
        if field not in document:
            if field in _DEFAULTED[kind]:
                continue
            raise ValueError(f"{name} has no {field!r}")
        decode = _DECODE.get(field)
        values[field] = document[field] if decode is None else decode(document[field])
    return cast("ev.Event", kind(**values))


def encode_transition(transition: Transition) -> Document:
    """Write a transition as the document that stores keep; it holds strings, integers and lists only."""
    return {
        "v": FORMAT,
        "p": transition.process_id,
        "n": transition.first,
        "events": [encode_event(event) for event in transition.events],
        "commands": [
            {"id": command.command_id, "key": command.routing_key, "body": command.body}
            for command in transition.commands
        ],
        "cause": {
            "identity": transition.cause.identity,
            "kind": transition.cause.kind,
            "body": transition.cause.body,
        },
        "at": transition.at,
        "by": transition.by,
        "mark": transition.mark,
    }


def decode_transition(document: Document) -> Transition:
    """Read a stored document back; raises UnreadableLog when it is newer than this version or damaged."""
    process_id = str(document.get("p"))
    number = document.get("n")
    first = number if isinstance(number, int) else 0
    try:
        version = document["v"]
        if not isinstance(version, int) or version > FORMAT:
            raise ValueError(f"format {version} is newer than {FORMAT}: upgrade before you go on")  # noqa: TRY301
        cause = cast("dict[str, str]", document["cause"])
        return Transition(
            process_id=process_id,
            first=first,
            events=tuple(decode_event(event) for event in cast("list[Document]", document["events"])),
            commands=tuple(
                Command(command["id"], command["key"], command["body"])
                for command in cast("list[dict[str, str]]", document["commands"])
            ),
            cause=Cause(cause["identity"], cause["kind"], cause["body"]),
            at=cast("int", document["at"]),
            by=cast("str", document["by"]),
            mark=cast("str", document["mark"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableLog(process_id, first, str(error)) from error


def encode_transitions(transitions: Sequence[Transition]) -> Document:
    """Write transitions of one process that follow each other, and are stored at once, as one document.

    It looks like that of one transition with all events and all commands; `causes` says which are whose.
    """
    documents = [encode_transition(transition) for transition in transitions]
    first = documents[0]
    if len(documents) == 1:
        return first
    return {
        **first,
        "v": SEVERAL,
        "events": [event for document in documents for event in cast("list[Document]", document["events"])],
        "commands": [
            command for document in documents for command in cast("list[Document]", document["commands"])
        ],
        "causes": [
            {
                **cast("Document", document["cause"]),
                "events": len(transition.events),
                "commands": len(transition.commands),
            }
            for document, transition in zip(documents, transitions, strict=True)
        ],
    }


def decode_transitions(document: Document) -> tuple[Transition, ...]:
    """Read a stored document back; raises UnreadableLog when it is newer than this version or damaged."""
    if document.get("v") != SEVERAL:
        return (decode_transition(document),)
    try:
        return tuple(decode_transition(part) for part in _parts(document))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableLog(str(document.get("p")), 0, str(error)) from error


def _parts(document: Document) -> Iterator[Document]:
    events = cast("list[Document]", document["events"])
    commands = cast("list[Document]", document["commands"])
    number = cast("int", document["n"])
    event = command = 0
    for cause in cast("list[dict[str, object]]", document["causes"]):
        events_end = event + cast("int", cause["events"])
        commands_end = command + cast("int", cause["commands"])
        yield {
            **document,
            "v": FORMAT,
            "n": number + event,
            "events": events[event:events_end],
            "commands": commands[command:commands_end],
            "cause": cause,
        }
        event, command = events_end, commands_end
    if (event, command) != (len(events), len(commands)):
        raise ValueError("causes does not account for all events and commands")


def _texts_from_text(text: object) -> Mapping[str, str]:
    return cast("dict[str, str]", cast("JsonObject", from_text(cast("str", text))))


_KINDS = frozenset(kind for kind, _ in _NAMES)
# The member that makes the name, of those classes that have several.
_NAMED_BY: Mapping[type, str] = {
    kind: "direction" if isinstance(word, Direction) else "action"
    for kind, word in _NAMES
    if word is not None
}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}
_DEFAULTED = {
    kind: frozenset(
        field.name
        for field in fields(kind)
        if field.default is not MISSING or field.default_factory is not MISSING
    )
    for kind in _KINDS
}
# Of these, what may be left out of the stored form: a truth value always stands there.
_LEFT_OUT = {
    kind: frozenset(
        field.name
        for field in fields(kind)
        if field.name in _DEFAULTED[kind] and not isinstance(field.default, bool)
    )
    for kind in _KINDS
}
_ENCODE: Mapping[str, Callable[..., object]] = {
    "direction": str,
    "becomes": str,
    "status": str,
    "labels": lambda labels: to_text(dict(labels)),
    "steps": list,
    "keys": list,
    "action": str,
    "children": lambda children: to_text(dict(children)),
    "closes": lambda closes: [[step, str(status)] for step, status in closes],
}
_DECODE: Mapping[str, Callable[..., object]] = {
    "direction": Direction,
    "becomes": EffortStatus,
    "status": ProcessStatus,
    "labels": _texts_from_text,
    "steps": tuple,
    "keys": tuple,
    "action": OperatorAction,
    "children": _texts_from_text,
    "closes": lambda closes: tuple((step, EffortStatus(status)) for step, status in closes),
}
