"""A stored document that this version can't read is refused with the number of the event, and the field."""

from collections.abc import Callable
from typing import Any

import pytest

from saga.errors import UnreadableLog
from saga.process.codec import decode_transition, decode_transitions, encode_transition, encode_transitions
from saga.process.events import AttemptCompleted
from tests.unit.replay.histories import booked

Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "number", "field", "words"),
    [
        (lambda d: d.update(v=9), 2, "v", "newer"),
        (lambda d: d.pop("v"), 2, "v", "no format"),
        (lambda d: d.update(v="1"), 2, "v", "never a format '1'"),
        (lambda d: d.update(v=0), 2, "v", "never a format 0"),
        (lambda d: d.pop("p"), 0, "p", "whose"),
        (lambda d: d.update(n=0), 0, "n", "number"),
        (lambda d: d.update(n=True), 0, "n", "number"),
        (lambda d: d.pop("events"), 2, "events", "no 'events'"),
        (lambda d: d.update(events={}), 2, "events", "is dict"),
        (lambda d: d.update(events=[]), 2, "events", "no event"),
        (lambda d: d["events"].insert(1, 7), 3, None, "no object"),
        (lambda d: d["events"][1].update(type="step_sang"), 3, "type", "step_sang"),
        (lambda d: d["events"][1].pop("type"), 3, "type", "None"),
        (lambda d: d["events"][1].pop("due_at"), 3, "due_at", "no 'due_at'"),
        (lambda d: d["events"][1].update(due_at="now"), 3, "due_at", "has str"),
        (lambda d: d["events"][1].update(due_at=1.5), 3, "due_at", "has float"),
        (lambda d: d["events"][1].update(due_at=2**62), 3, "due_at", "no point in time"),
        (lambda d: d["events"][1].update(due_at=-1), 3, "due_at", "no point in time"),
        (lambda d: d["events"][1].update(attempt=True), 3, "attempt", "no number"),
        (lambda d: d["events"][1].update(mood="blue"), 3, "mood", "doesn't know"),
        (lambda d: d["events"][1].update(direction="action"), 3, "direction", "doesn't know"),
        (lambda d: d.pop("commands"), 2, "commands", "no 'commands'"),
        (lambda d: d["commands"].insert(0, 1), 2, "commands", "no object"),
        (lambda d: d["commands"][0].pop("body"), 2, "commands.body", "no 'body'"),
        (lambda d: d.pop("cause"), 2, "cause", "no 'cause'"),
        (lambda d: d["cause"].update(body=1), 2, "cause.body", "is int"),
        (lambda d: d.update(at="12:00"), 2, "at", "is str"),
        (lambda d: d.update(at=2**60), 2, "at", "no point in time"),
        (lambda d: d.update(at=True), 2, "at", "no point in time"),
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


DEEP = "[" * 5_000


@pytest.mark.parametrize(
    ("event", "field", "words"),
    [
        *(
            ({"type": "step_completed", "step": "hotel", "attempt": 1, "output": output}, "output", words)
            for output, words in {
                "": "no JSON",
                "garbage": "no JSON",
                "{} {}": "no JSON",
                " {}": "no JSON",
                "[NaN]": "no JSON",
                "1e999": "no JSON",
                "9" * 5_000: "no JSON",
                '"\\ud800"': "no JSON",
                DEEP: "too deeply",
            }.items()
        ),
        (
            {"type": "step_failed", "step": "hotel", "attempt": 1, "becomes": "failed", "error": "[]"},
            "error",
            "no JSON object",
        ),
        ({"type": "step_expanded", "step": "hotel", "items": "{}"}, "items", "no JSON array"),
        ({"type": "compensation_planned", "steps": ["hotel", 1]}, "steps", "no text"),
        (
            {"type": "turned_back", "reason": "x", "step": None, "closes": [[["hotel"], "failed"]]},
            "closes",
            "no text",
        ),
        (
            {"type": "migrated", "from_hash": "a", "definition_hash": "b", "reason": "", "actor": "",
             "request_id": "", "children": '{"trip": 1}'},
            "children",
            "object of strings",
        ),
        (
            {"type": "step_progressed", "step": "hotel", "attempt": 1, "due_at": 1, "message": None,
             "percent": float("nan")},
            "percent",
            "no number",
        ),
    ],
)  # fmt: skip
def test_a_value_that_could_not_be_read_later_is_refused_where_it_stands(
    event: dict[str, Any], field: str, words: str
) -> None:
    """A payload is kept as text: one that is no JSON would fail far from its event, in a view, say."""
    document: dict[str, Any] = encode_transition(booked()[2])
    document["events"][0] = event
    with pytest.raises(UnreadableLog, match=words) as caught:
        decode_transition(document)
    assert (caught.value.number, caught.value.field) == (4, field)


def test_a_payload_may_hold_all_that_the_door_lets_in() -> None:
    """Control characters, numbers and whole surrogate pairs among it."""
    document: dict[str, Any] = encode_transition(booked()[2])
    output = '{"a":"\\u0000\\\\ud800 \U0001f600","b":[1.5,-0.0,1e300,null,true],"":{}}'
    document["events"][0]["output"] = output
    event = decode_transition(document).events[0]
    assert isinstance(event, AttemptCompleted)
    assert event.output == output


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (lambda d: d.update(causes=[], events=[], commands=[]), "causes"),
        (lambda d: d["causes"][0].update(events=-1), "causes.events"),
        (lambda d: d["causes"][0].update(commands=-1), "causes.commands"),
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
