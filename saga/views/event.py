"""Entries of the log as people and programs read them: over HTTP, at the terminal, and in life messages."""

from collections.abc import Iterator
from typing import cast

from saga.messages.json_text import Json, JsonObject, from_text
from saga.messages.timestamps import rfc3339
from saga.process.codec import encode_event
from saga.process.events import (
    Accepted,
    Event,
    Migrated,
    MigrationRejected,
    OperatorActed,
    OperatorRejected,
    OperatorReran,
)
from saga.process.transition import Transition

# What the log keeps as JSON text, and which of its numbers are points in time.
_TEXTS = frozenset(
    {"parameters", "labels", "children", "output", "error", "content", "input", "items", "result"}
)
_TIMES = frozenset({"due_at", "at"})
_APART = frozenset({"type", "step", "attempt"})


def event_entries(transition: Transition, *, after: int = 0) -> Iterator[JsonObject]:
    """Write the events of one transition whose number is above `after`."""
    for sequence, event in enumerate(transition.events, start=transition.first):
        if sequence > after:
            yield event_entry(sequence, event, transition)


def event_entry(sequence: int, event: Event, transition: Transition) -> JsonObject:
    """Write one event of a transition; what its data holds beside step and attempt depends on its type."""
    stored = cast("JsonObject", encode_event(event))
    return {
        "sequence": sequence,
        "type": stored["type"],
        "at": rfc3339(transition.at),
        "step": stored.get("step"),
        "attempt": stored.get("attempt"),
        "actor": _actor(event, transition),
        "data": {name: _readable(name, value) for name, value in stored.items() if name not in _APART},
    }


def _actor(event: Event, transition: Transition) -> str:
    match event:
        case Accepted():
            return event.principal or "anybody"
        case OperatorActed() | OperatorRejected() | OperatorReran() | Migrated() | MigrationRejected():
            return event.actor
        case _:
            return transition.by


def _readable(name: str, value: Json) -> Json:
    if name in _TEXTS and isinstance(value, str):
        return from_text(value)
    if name in _TIMES and isinstance(value, int):
        return rfc3339(value)
    return value
