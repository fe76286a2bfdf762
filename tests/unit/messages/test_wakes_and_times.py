"""Wake messages, and points in time on the wire."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.messages.json_text import from_text
from saga.messages.timestamps import rfc3339
from saga.messages.wake import WakeCommand, parse_wake

if TYPE_CHECKING:
    from saga.messages.json_text import Json, JsonObject

GOOD: JsonObject = {"process_id": "p", "version": 3, "due_at": 1_000}


def test_a_wake_reads_back() -> None:
    """Its identity is process, version and due time."""
    wake = WakeCommand("p", 3, 1_000)

    assert parse_wake(from_text(wake.to_body())) == wake
    assert wake.identity == "wake:p:3:1000"


def test_wakes_of_other_timers_have_other_identities() -> None:
    """A moved timer is not taken for a repeated one."""
    wakes = [WakeCommand("p", 3, 1_000), WakeCommand("p", 4, 1_000), WakeCommand("p", 3, 1_001)]
    assert len({wake.identity for wake in wakes}) == 3


WRONG: dict[str, list[Json]] = {
    "process_id": [None, 5, ["p"], {"$ne": None}],
    "version": [None, "3", 3.0, True, [3]],
    "due_at": [None, "1000", 1e3, False, {}],
}


@pytest.mark.parametrize(
    "body",
    [
        None, [], "x", {},
        *({key: value for key, value in GOOD.items() if key != left_out} for left_out in GOOD),
        *(GOOD | {member: value} for member, values in WRONG.items() for value in values),
    ],
)  # fmt: skip
def test_what_is_no_wake_is_refused(body: Json) -> None:
    """A member left out or of another type; nothing is coerced."""
    with pytest.raises(ValueError, match="a wake holds"):
        parse_wake(body)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_795_867_207_400, "2026-11-28T12:00:07.400Z"),
        (1_795_867_207_999, "2026-11-28T12:00:07.999Z"),
    ],
)
def test_a_time_is_rfc_3339_in_utc_with_milliseconds(at: int, text: str) -> None:
    """Always three digits and `Z`, so that texts sort like times."""
    assert rfc3339(at) == text


@given(at=st.integers(min_value=0, max_value=253_402_300_799_999))
def test_no_millisecond_is_lost_on_the_wire(at: int) -> None:
    """Reading the text gives the number back."""
    read = datetime.fromisoformat(rfc3339(at))

    assert (read - datetime.fromisoformat("1970-01-01T00:00:00Z")) // timedelta(milliseconds=1) == at
