"""One entry of the log as people and programs read it: over HTTP, at the terminal, and in life messages."""

from collections.abc import Iterator
from typing import cast

from saga.messages.json_text import Json, JsonObject, from_text
from saga.messages.timestamps import rfc3339
from saga.process.codec import encode_event
from saga.process.events import Event
from saga.process.transition import Transition

# Fields that stand as text in the log because they hold a user's data.
_TEXT_FIELDS = frozenset({"parameters", "labels", "output", "error", "content"})
_LIFTED_FIELDS = frozenset({"type", "step", "attempt"})


def log_entry(event: Event, *, number: int, at: int, actor: str) -> JsonObject:
    """Write one event: what its data holds beside step and attempt depends on its type."""
    document = encode_event(event)
    return {
        "sequence": number,
        "type": cast("str", document["type"]),
        "at": rfc3339(at),
        "step": cast("str | None", document.get("step")),
        "attempt": cast("int | None", document.get("attempt")),
        "actor": actor,
        "data": {
            field: _readable(field, value) for field, value in document.items() if field not in _LIFTED_FIELDS
        },
    }


def log_entries(transition: Transition) -> Iterator[JsonObject]:
    """Write the events of a transition in order; the actor is what caused them."""
    for offset, event in enumerate(transition.events):
        yield log_entry(event, number=transition.first + offset, at=transition.at, actor=actor_of(transition))


def actor_of(transition: Transition) -> str:
    """Name who made this happen: a participant's reply, a timer, a client's start."""
    return transition.cause.kind


def _readable(field: str, value: object) -> Json:
    if field in _TEXT_FIELDS and isinstance(value, str):
        return from_text(value)
    return cast("Json", value)
