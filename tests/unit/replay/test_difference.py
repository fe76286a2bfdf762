"""Two values are compared member by member, and the innermost members that differ are named."""

from dataclasses import replace

import pytest

from saga.messages.json_text import Json, JsonText
from saga.process.state import ProcessState
from saga.process.status import ProcessStatus
from saga.replay.difference import Difference, differences, plain
from tests.support.scenario import Scenario
from tests.unit.replay.histories import STEPS

STATE = Scenario.of(STEPS).starts().state


def _changed(state: ProcessState) -> ProcessState:
    hotel = state.step("hotel")
    action = replace(hotel.action, attempts=(replace(hotel.action.attempts[0], due_at=7),))
    steps = type(state.steps)({**state.steps, "hotel": replace(hotel, action=action)})
    return replace(state, steps=steps, result=JsonText("1"), requests=frozenset({"b", "a"}))


def test_a_state_is_compared_by_the_names_of_its_members() -> None:
    """Through steps, efforts and attempts."""
    due_at = STATE.step("hotel").action.attempts[0].due_at
    assert list(differences(3, STATE, _changed(STATE), within="state")) == [
        Difference(3, "state.result", None, "1"),
        Difference(3, "state.requests", [], ["a", "b"]),
        Difference(3, "state.steps.hotel.action.attempts[0].due_at", due_at, 7),
    ]
    assert list(differences(3, STATE, STATE)) == []


class LongNumber(int):
    """A number as a driver gives it."""


def test_a_number_of_a_driver_is_a_number() -> None:
    """MongoDB's 64-bit numbers have a type of their own: an equal one is no difference; a truth is no number."""
    assert list(differences(1, {"a": LongNumber(7)}, {"a": 7})) == []
    assert list(differences(1, {"a": LongNumber(1)}, {"a": True})) == [Difference(1, "a", 1, found=True)]


@pytest.mark.parametrize(
    ("log", "found", "field"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, "b"),
        ({"a": 1, "b": 2}, {"a": 1}, "b"),
        ([1, 2], [1, 3], "[1]"),
        ([1], [1, 2], ""),
        (1, True, ""),
        (0, False, ""),
        (1, 1.0, ""),
        ({"a": {}}, {"a": None}, "a"),
    ],
)
def test_what_differs_in_its_kind_differs(log: Json, found: Json, field: str) -> None:
    """Also where Python takes the two for equal."""
    assert [one.field for one in differences(1, log, found)] == [field]


def test_words_of_the_domain_are_plain_text() -> None:
    """So that a status reads as it does everywhere."""
    assert plain(ProcessStatus.STARTED) == "started"
    assert type(plain(ProcessStatus.STARTED)) is str
