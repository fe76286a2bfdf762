"""How a timeline is drawn."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from api.cli.view_tables import timeline_view

if TYPE_CHECKING:
    from saga.messages.json_text import Json, JsonObject


def test_a_clock_that_went_back_draws_nothing_outside_of_the_bar() -> None:
    """A log that was damaged, or written by servers whose clocks differ, is shown all the same."""
    spans: list[Json] = [
        {
            "step": "hotel", "kind": "action", "attempt": 1, "outcome": "completed", "waits_for": None,
            "started_at": started_at, "ended_at": ended_at,
        }
        for started_at, ended_at in (
            ("2026-01-01T00:00:01.000Z", "1970-01-01T00:00:00.000Z"),
            ("1970-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z"),
            ("1970-01-01T00:00:00.000Z", None),
        )
    ]  # fmt: skip
    timeline: JsonObject = {
        "process_type": "trip", "process_id": "p1", "status": "started",
        "started_at": "2026-01-01T00:00:00.000Z", "spans": spans,
    }  # fmt: skip
    drawn = StringIO()
    Console(file=drawn, width=200).print(timeline_view(timeline))
    assert max(map(len, drawn.getvalue().splitlines())) < 200
    assert "#" in drawn.getvalue()
