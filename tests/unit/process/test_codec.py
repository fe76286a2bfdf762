"""A stored document that this version can't read is refused with the number of the event, and the field."""

from collections.abc import Callable
from typing import Any

import pytest

from saga.errors import UnreadableLog
from saga.process.codec import decode_transition, decode_transitions, encode_transition, encode_transitions
from tests.unit.replay.histories import booked

Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "number", "field", "words"),
    [
        (lambda d: d.update(v=9), 2, "v", "newer"),
        (lambda d: d.pop("v"), 2, "v", "upgrade"),
        (lambda d: d.pop("p"), 0, "p", "whose"),
        (lambda d: d.update(n=0), 0, "n", "number"),
        (lambda d: d.pop("events"), 2, "events", "no 'events'"),
        (lambda d: d.update(events={}), 2, "events", "is dict"),
        (lambda d: d.update(events=[]), 2, "events", "no event"),
        (lambda d: d["events"].insert(1, 7), 3, None, "no object"),
        (lambda d: d["events"][1].update(type="step_sang"), 3, "type", "step_sang"),
        (lambda d: d["events"][1].pop("type"), 3, "type", "None"),
        (lambda d: d["events"][1].pop("due_at"), 3, "due_at", "no 'due_at'"),
        (lambda d: d["events"][1].update(due_at="now"), 3, "due_at", "has str"),
        (lambda d: d["events"][1].update(due_at=1.5), 3, "due_at", "has float"),
        (lambda d: d["events"][1].update(mood="blue"), 3, "mood", "doesn't know"),
        (lambda d: d["events"][1].update(direction="action"), 3, "direction", "doesn't know"),
        (lambda d: d.pop("commands"), 2, "commands", "no 'commands'"),
        (lambda d: d["commands"].insert(0, 1), 2, "commands", "no object"),
        (lambda d: d["commands"][0].pop("body"), 2, "commands.body", "no 'body'"),
        (lambda d: d.pop("cause"), 2, "cause", "no 'cause'"),
        (lambda d: d["cause"].update(body=1), 2, "cause.body", "is int"),
        (lambda d: d.update(at="12:00"), 2, "at", "is str"),
        (lambda d: d.pop("mark"), 2, "mark", "no 'mark'"),
    ],
)
def test_a_damaged_document_is_refused_by_event_and_field(
    damage: Damage, number: int, field: str | None, words: str
) -> None:
    """Whatever is wrong with it."""
    document = encode_transition(booked()[1])
    damage(document)
    with pytest.raises(UnreadableLog, match=words) as caught:
        decode_transition(document)
    assert (caught.value.number, caught.value.field) == (number, field)


def test_a_word_that_is_none_of_an_events_words_is_refused() -> None:
    """Such as a status of a newer version."""
    document: dict[str, Any] = encode_transition(booked()[2])
    document["events"][0] = {"type": "step_timed_out", "step": "hotel", "attempt": 1, "becomes": "lost"}
    with pytest.raises(UnreadableLog, match="lost") as caught:
        decode_transition(document)
    assert (caught.value.number, caught.value.field) == (4, "becomes")


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (lambda d: d.pop("causes"), "causes"),
        (lambda d: d["causes"].pop(), "causes"),
        (lambda d: d["causes"].insert(0, 1), "causes"),
        (lambda d: d["causes"][0].pop("events"), "causes.events"),
    ],
)
def test_several_transitions_in_one_document_are_refused_by_field_too(damage: Damage, field: str) -> None:
    """Where the causes don't account for what is there."""
    document = encode_transitions(booked()[1:])
    damage(document)
    with pytest.raises(UnreadableLog) as caught:
        decode_transitions(document)
    assert (caught.value.number, caught.value.field) == (2, field)
