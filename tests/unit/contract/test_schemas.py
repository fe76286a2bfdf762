"""The published schemas say what the doors take and what we send: whoever follows them is understood."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from saga.contract.schemas import DIALECT, SCHEMAS
from saga.messages.control import InvalidControl, parse_control
from saga.messages.migrate import parse_migrate
from saga.messages.reply import InvalidReply, parse_reply
from saga.messages.start import InvalidStart, parse_start
from saga.participant import BusinessFailure, Participant
from saga.ports.participants import ReplyMessage
from tests.unit.participant.test_answers import command

if TYPE_CHECKING:
    from collections.abc import Callable

_UUID = str(uuid.UUID(int=7))
_COMMAND = {"command_id": f"{_UUID}.pay.a1"}

# What each door reads, a body that it takes, and changes that it refuses.
DOORS: dict[str, tuple[Callable[[Any], object], dict[str, Any], dict[str, list[Any]]]] = {
    "completed_reply": (
        lambda body: parse_reply("completed", body),
        {**_COMMAND, "output": {"a": [1]}},
        {"command_id": ["", 7, None, [], {}]},
    ),
    "failed_reply": (
        lambda body: parse_reply("failed", body),
        {**_COMMAND, "error": {"code": "declined", "message": "no", "retryable": False, "retry_after": 1.5}},
        {"command_id": ["", 7, None], "error": ["text", 7, []]},
    ),
    "progress_reply": (
        lambda body: parse_reply("progress", body),
        {**_COMMAND, "percent": 40, "message": "packing"},
        {"command_id": ["", 7, None]},
    ),
    "process_start": (
        parse_start,
        {
            "process_type": "order", "parameters": {"a": 1}, "process_id": _UUID, "labels": {"k": "v"},
            "idempotency_key": "key 1",
        },
        {
            "process_type": [None, "", 7],
            "parameters": [None, [], "text"],
            "process_id": ["", "one", 7, "../x"],
            "labels": [
                [], {"k": 1}, {"": "v"}, {"k": "v" * 257}, {"k" * 65: "v"}, {str(n): "" for n in range(33)}
            ],
            "idempotency_key": ["", 7, "k" * 129, "ü", "a\tb"],
        },
    ),
    "process_request": (
        lambda body: parse_control("resolve", body),
        {
            "process_id": _UUID, "reason": "asked", "request_id": "r1", "step": "pay[3]", "output": None,
            "outcome": "completed",
        },
        {
            "process_id": [None, "", 7, "a/b", "a" * 65],
            "reason": [7, "x" * 1001],
            "request_id": [7, "x" * 201],
            "step": ["Pay", "pay[03]", "pay[1", 7, "pay.x"],
            "outcome": ["undone", 7],
        },
    ),
    "process_migrate": (
        parse_migrate,
        {"process_id": _UUID, "definition": "a" * 64, "reason": "asked", "request_id": "r1"},
        {"process_id": [None, 7], "definition": [None, "a" * 63, "G" * 64, 7], "reason": [7], "request_id": [7]},
    ),
}  # fmt: skip
_REFUSED = (InvalidReply, InvalidStart, InvalidControl)


def _is_valid(name: str, body: object) -> bool:
    return bool(Draft202012Validator(SCHEMAS[name]).is_valid(body))


def _is_taken(name: str, body: object) -> bool:
    try:
        DOORS[name][0](body)
    except _REFUSED:
        return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_stands_alone(name: str) -> None:
    """It is one of draft 2020-12, has the address that it is served at, and refers to nothing outside."""
    schema: Any = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert (schema["$schema"], schema["$id"]) == (DIALECT, f"/schemas/{name}.json")
    assert schema["description"]
    references = [part.split('"')[0] for part in json.dumps(schema).split('"$ref": "')[1:]]
    assert all(reference.startswith("#/$defs/") for reference in references)
    assert '"additionalProperties": false' not in json.dumps(schema)


@pytest.mark.parametrize("name", DOORS)
def test_what_the_door_takes_is_valid(name: str) -> None:
    """The example with all members, and with a member that nobody knows yet."""
    _, body, _ = DOORS[name]
    for each in (body, {**body, "unknown": {"is": "ignored"}}):
        assert _is_taken(name, each)
        assert _is_valid(name, each)


@pytest.mark.parametrize("name", DOORS)
def test_what_the_door_refuses_is_not_valid(name: str) -> None:
    """Each member in each form that is refused, left out where it is needed, and what is no object."""
    _, body, changes = DOORS[name]
    for member, values in changes.items():
        for value in values:
            changed = {**body, member: value}
            assert not _is_taken(name, changed), (member, value)
            assert not _is_valid(name, changed), (member, value)
    for member in body:
        without = {key: value for key, value in body.items() if key != member}
        assert _is_taken(name, without) or not _is_valid(name, without), member
    others: tuple[object, ...] = (None, [], "text", 7)
    for other in others:
        assert not _is_taken(name, other)
        assert not _is_valid(name, other)


_ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.none(), max_size=1),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), st.just("a" * 300), st.just(_UUID),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", DOORS)
def test_what_is_valid_is_taken(name: str, data: st.DataObject) -> None:
    """Whatever stands in the members: a body that the schema allows is never a dead letter for its form."""
    _, body, _ = DOORS[name]
    changed = {**body, **data.draw(st.dictionaries(st.sampled_from(sorted(body)), _ANY, max_size=3))}
    assert _is_taken(name, changed) or not _is_valid(name, changed)


async def test_the_kit_answers_in_the_form_of_the_schemas() -> None:
    """Its completed replies, and each of its ways to fail."""
    hotel = Participant("hotel")

    @hotel.handles("book")
    def book(parameters: dict[str, int]) -> dict[str, int]:
        return parameters

    @hotel.handles("refuse")
    def refuse() -> None:
        raise BusinessFailure("full", "no room", retryable=True, retry_after=2.5)

    @hotel.handles("break")
    def break_down() -> None:
        raise RuntimeError

    @hotel.handles("spoil")
    def spoil() -> object:
        return float("nan")

    bodies = (
        command(parameters={"nights": 2}),
        command(parameters={"nights": "two"}),
        command("refuse"),
        command("break"),
        command("spoil"),
        command("dance"),
    )
    words = []
    for body in bodies:
        reply = await hotel.answer(body)
        assert isinstance(reply, ReplyMessage)
        word = reply.routing_key.rpartition(".")[2]
        words.append(word)
        assert _is_valid(f"{word}_reply", json.loads(reply.body)), reply.body
    assert words == ["completed", *["failed"] * 5]
