"""Control messages: what makes one well-formed, and that what was written is read back equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.messages.control import (
    ACTIONS,
    REASON_MAX,
    REQUEST_ID_MAX,
    ControlCommand,
    InvalidControl,
    parse_control,
    parse_outcome,
    parse_step,
)
from saga.messages.json_text import JsonText
from saga.messages.strict_json import decode
from saga.process.status import OperatorAction

if TYPE_CHECKING:
    from saga.messages.json_text import Json, JsonObject

ID = "0199a1b2-0000-7000-8000-000000000001"
WHOLE = ControlCommand(
    "resolve", ID, 'he said "no"', "r1", "tickets[3]", JsonText('{"a":[1,null]}'), "completed", "ada",
    f"{ID}.sub.c1",
)  # fmt: skip


def test_the_actions_are_those_of_the_machine() -> None:
    """A word that is read can be decided on, and the other way round."""
    assert set(map(str, OperatorAction)) == ACTIONS


def test_the_smallest_request_names_a_process() -> None:
    """Everything else is optional over the broker, and what nobody knows is ignored."""
    assert parse_control("cancel", {"process_id": ID, "colour": "red"}) == ControlCommand("cancel", ID, "")


def test_null_says_the_same_as_left_out() -> None:
    """Clients that write every member are served too; only an output of null is one."""
    names = ("reason", "request_id", "step", "outcome", "actor", "reply_to")
    nulls: JsonObject = {"process_id": ID, **dict.fromkeys(names)}
    assert parse_control("skip", nulls) == ControlCommand("skip", ID, "")
    assert parse_control("skip", {**nulls, "output": None}).output == "null"


@pytest.mark.parametrize("command", [WHOLE, ControlCommand("pause", ID, "why")])
def test_what_was_written_is_read_back_equal(command: ControlCommand) -> None:
    """With every member, and with none that is optional."""
    assert parse_control(command.action, decode(command.to_body().encode())) == command


@pytest.mark.parametrize("member", ["request_id", "step", "output", "outcome", "actor", "reply_to"])
def test_what_was_left_out_is_not_written(member: str) -> None:
    """Other programs read these messages too."""
    assert member not in ControlCommand("pause", ID, "why").to_body()


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ([], "body"),
        (None, "body"),
        ({"reason": "why"}, "process_id"),
        ({"process_id": None}, "process_id"),
        ({"process_id": 7}, "process_id"),
        ({"process_id": ""}, "process_id"),
        ({"process_id": {"$ne": None}}, "process_id"),
        ({"process_id": "a.b"}, "process_id"),
        ({"process_id": "a\x00b"}, "process_id"),
        ({"process_id": "x" * 65}, "process_id"),
        ({"process_id": ID, "reason": 7}, "reason"),
        ({"process_id": ID, "reason": "x" * (REASON_MAX + 1)}, "reason"),
        ({"process_id": ID, "request_id": "x" * (REQUEST_ID_MAX + 1)}, "request_id"),
        ({"process_id": ID, "step": ["a"]}, "step"),
        ({"process_id": ID, "outcome": "maybe"}, "outcome"),
        ({"process_id": ID, "outcome": True}, "outcome"),
        ({"process_id": ID, "actor": {}}, "actor"),
        ({"process_id": ID, "reply_to": 1}, "reply_to"),
    ],
)
def test_what_is_not_well_formed_names_its_member(body: Json, member: str) -> None:
    """So that whoever reads the dead letter knows what to mend."""
    with pytest.raises(InvalidControl) as refused:
        parse_control("resolve", body)
    assert refused.value.member == member


@pytest.mark.parametrize("step", ["a", "a_1", "tickets[0]", "tickets[999999]", "x" * 40])
def test_a_step_is_a_name_or_one_of_its_items(step: str) -> None:
    """As definitions spell it, with an index where one item is meant."""
    assert parse_step(step) == step


@pytest.mark.parametrize(
    "step", ["", "A", "1a", "a-b", "a[01]", "a[-1]", "a[]", "a[1", "a[1]\n", "a[1000000]", "x" * 41, "ä", 5]
)
def test_any_other_step_is_refused(step: Json) -> None:
    """Also one that only looks like it."""
    with pytest.raises(InvalidControl):
        parse_step(step)


def test_an_outcome_is_completed_or_failed() -> None:
    """Or nothing."""
    assert [parse_outcome(word) for word in ("completed", "failed", None)] == ["completed", "failed", None]
