"""Events and transitions as plain documents: the stored form, the same in every store.

User data stands in them only as text, so that no key or operator of a user's ever meets a store's query
language. The format may only grow: a new field has a default, a new event a new name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import TypeAlias, TypeVar, cast

from saga.errors import UnreadableLog
from saga.messages.command import Command
from saga.process import events as ev
from saga.process.status import Direction, OperatorAction
from saga.process.stored_values import point_in_time, reader_of, types_of, writer_of
from saga.process.transition import Cause, Transition

Document: TypeAlias = dict[str, object]
T = TypeVar("T")

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
        (ev.Migrated, None): "migrated",
        (ev.MigrationRejected, None): "migration_rejected",
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
        write = _WRITERS[field]
        document[field] = value if write is None else write(value)
    return document


class Misfit(ValueError):  # noqa: N818 - what a field is
    """Say which field of a stored document this version can't read, and why."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def decode_event(document: Document) -> ev.Event:
    """Read a stored event; raises Misfit for a name or a field that this version doesn't know."""
    name = document.get("type")
    if not isinstance(name, str) or name not in _CLASSES:
        raise Misfit("type", f"unknown event type {name!r}")
    kind, word = _CLASSES[name]
    values: Document = {} if word is None else {_NAMED_BY[kind]: word}
    known = 1
    for field, types, read, has_default in _READ[kind]:
        if field not in document:
            if has_default:
                continue
            raise Misfit(field, f"{name} has no {field!r}")
        value = document[field]
        if not isinstance(value, types):
            raise Misfit(field, f"{name} has {type(value).__name__} as {field!r}")
        try:
            values[field] = value if read is None or value is None else read(value)
        except (KeyError, TypeError, ValueError) as error:
            raise Misfit(field, str(error)) from error
        known += 1
    if known != len(document):
        unknown = min(document.keys() - {"type", *(field for field, *_ in _READ[kind])})
        raise Misfit(unknown, f"{name} has {unknown!r}, which this version doesn't know")
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
    process_id, first = _place(document)
    _refuse_format(document, FORMAT)
    events: list[ev.Event] = []
    try:
        if not _member(document, "events", list):
            raise Misfit("events", "it holds no event")  # noqa: TRY301 - it is caught like the others
        for stored in _member(document, "events", list):
            events.append(decode_event(stored))  # noqa: PERF401 - how many there are names the one that fails
    except Misfit as misfit:
        raise UnreadableLog(process_id, first + len(events), str(misfit), field=misfit.field) from misfit
    except AttributeError as error:
        raise UnreadableLog(process_id, first + len(events), "an event is no object") from error
    try:
        cause = _member(document, "cause", dict)
        return Transition(
            process_id,
            first,
            tuple(events),
            tuple(map(_command, _member(document, "commands", list))),
            Cause(
                _member(cause, "identity", str, "cause."),
                _member(cause, "kind", str, "cause."),
                _member(cause, "body", str, "cause."),
            ),
            _at(document),
            _member(document, "by", str),
            _member(document, "mark", str),
        )
    except Misfit as misfit:
        raise UnreadableLog(process_id, first, str(misfit), field=misfit.field) from misfit


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
    process_id, first = _place(document)
    try:
        return tuple(decode_transition(part) for part in _parts(document, first))
    except Misfit as misfit:
        raise UnreadableLog(process_id, first, str(misfit), field=misfit.field) from misfit


def _parts(document: Document, first: int) -> Iterator[Document]:
    events = _member(document, "events", list)
    commands = _member(document, "commands", list)
    event = command = 0
    for cause in _member(document, "causes", list):
        if not isinstance(cause, dict):
            raise Misfit("causes", "causes holds what is no object")
        events_end = event + _count(cause, "events", least=1)
        commands_end = command + _count(cause, "commands", least=0)
        yield {
            **document,
            "v": FORMAT,
            "n": first + event,
            "events": events[event:events_end],
            "commands": commands[command:commands_end],
            "cause": cause,
        }
        event, command = events_end, commands_end
    if not event or (event, command) != (len(events), len(commands)):
        raise Misfit("causes", "causes does not account for all events and commands")


def _count(cause: Document, name: str, *, least: int) -> int:
    count = _member(cause, name, int, "causes.")
    if count < least:
        raise Misfit(f"causes.{name}", f"it can't have {count} {name}")
    return count


def _place(document: Document) -> tuple[str, int]:
    """Give whose document it is, and the number of its first event. Raises UnreadableLog."""
    process_id, number = document.get("p"), document.get("n")
    if not isinstance(process_id, str):
        raise UnreadableLog(str(process_id), 0, "a document says not whose it is", field="p")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UnreadableLog(process_id, 0, "a document has no number of its first event", field="n")
    return process_id, number


def _refuse_format(document: Document, known: int) -> None:
    version = document.get("v")
    if not isinstance(version, int) or version < FORMAT:
        problem = "there is no format" if version is None else f"there was never a format {version!r}"
        raise UnreadableLog(*_place(document), problem, field="v")
    if version > known:
        problem = f"format {version} is newer than {SEVERAL}: upgrade before you go on"
        raise UnreadableLog(*_place(document), problem, field="v")


def _at(document: Document) -> int:
    try:
        return point_in_time(_member(document, "at", int))
    except Misfit:
        raise
    except ValueError as error:
        raise Misfit("at", str(error)) from None


def _member(document: Document, name: str, kind: type[T], within: str = "") -> T:
    value = document.get(name)
    if not isinstance(value, kind):
        problem = f"there is no {name!r}" if value is None else f"{name!r} is {type(value).__name__}"
        raise Misfit(within + name, problem)
    return value


def _command(stored: object) -> Command:
    if not isinstance(stored, dict):
        raise Misfit("commands", "a command is no object")
    return Command(
        _member(stored, "id", str, "commands."),
        _member(stored, "key", str, "commands."),
        _member(stored, "body", str, "commands."),
    )


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
_WRITERS = {field: writer_of(field) for names in _FIELDS.values() for field in names}
# What reading a field takes: what may stand there, how it is read, and whether it may be left out.
_READ = {
    kind: tuple(
        (field, types_of(kind, field), reader_of(kind, field), field in _DEFAULTED[kind])
        for field in _FIELDS[kind]
        if field != _NAMED_BY.get(kind)
    )
    for kind in _KINDS
}
