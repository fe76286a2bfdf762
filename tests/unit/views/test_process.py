"""The process document and the estimate, from states of the pure machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from saga.definition.graph import StepGraph, compile_graph
from saga.definition.sources import parse_definition
from saga.messages.json_text import JsonObject, JsonText
from saga.process import events as ev
from saga.process.evolve import evolve
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.transition import Cause, Transition
from saga.views.estimate import estimated_end
from saga.views.event import event_entries
from saga.views.process import as_accepted, process_document
from saga.views.words import COMPENSATION_WORDS, STEP_WORDS

if TYPE_CHECKING:
    from saga.process.state import ProcessState

START = 1_000_000
DUE = START + 60_000
ACTION, UNDO = Direction.ACTION, Direction.COMPENSATION
_ERROR = JsonText('{"code":"broken"}')
DIAMOND = """
process_type: diamond
timeout: 10
steps:
  - {name: top, service: s, action: do, compensation: undo, after: [], expected: 1}
  - {name: left, service: s, action: do, compensation: undo, after: [top], expected: 2}
  - {name: right, service: s, action: do, compensation: undo, after: [top], expected: 5}
  - {name: bottom, service: s, action: do, pivot: true, after: [left, right], expected: 1}
  - {name: last, service: s, action: do, after: [bottom]}
"""


@pytest.fixture(scope="module")
def graph() -> StepGraph:
    """Give a diamond with a pivot at its bottom, and one step behind it without an expectation."""
    return compile_graph(parse_definition(DIAMOND, source="test"))


def _after(*events: ev.Event) -> ProcessState:
    accepted = ev.Accepted("diamond", "hash", JsonText("{}"), {}, "request", "", None, None)
    state = evolve(None, accepted, at=START, process_id="p1")
    for event in events:
        state = evolve(state, event, at=START, process_id="p1")
    return state


def _done(*steps: str, direction: Direction = ACTION) -> list[ev.Event]:
    return [
        event
        for step in steps
        for event in (
            ev.AttemptStarted(direction, step, 1, DUE),
            ev.AttemptCompleted(direction, step, 1, JsonText("{}")),
        )
    ]


def _left(graph: StepGraph, state: ProcessState, *, now: int = START) -> float:
    return (estimated_end(graph, state, durations={}, now=now) - now) / 1000


def test_the_estimate_is_the_longest_path_not_the_sum(graph: StepGraph) -> None:
    """1 s, the longer of 2 s and 5 s, 1 s, and the time-out of 10 s for the step that declares nothing."""
    assert _left(graph, _after()) == 17


def test_what_was_seen_wins_over_what_is_declared(graph: StepGraph) -> None:
    """A median replaces the declaration, and the time-out."""
    durations = {(ACTION, "right"): 500, (ACTION, "last"): 100}
    assert estimated_end(graph, _after(), durations=durations, now=START) == START + 1000 + 2000 + 1000 + 100


def test_a_step_that_runs_counts_from_its_start_and_is_never_over_before_now(graph: StepGraph) -> None:
    """Three seconds into a step of five, two are left; after ten seconds none is."""
    running = _after(
        ev.Started(),
        *_done("top", "left"),
        ev.AttemptStarted(ACTION, "right", 1, DUE),
    )
    assert _left(graph, running, now=START + 3_000) == 2 + 1 + 10
    assert _left(graph, running, now=START + 10_000) == 1 + 10


def test_a_step_in_backoff_counts_from_its_next_attempt(graph: StepGraph) -> None:
    """The wait until the next attempt is part of the estimate."""
    waiting = _after(
        ev.Started(),
        ev.AttemptStarted(ACTION, "top", 1, DUE),
        ev.AttemptFailed(ACTION, "top", 1, EffortStatus.RETRYING, _ERROR),
        ev.RetryScheduled(ACTION, "top", 2, START + 4_000),
    )
    assert _left(graph, waiting) == 4 + 17


def test_on_the_way_back_only_the_undos_that_are_left_count(graph: StepGraph) -> None:
    """First the branches at the same time, then the top; the declared times stand for the undos."""
    back = _after(
        ev.Started(),
        *_done("top", "left", "right"),
        ev.AttemptStarted(ACTION, "bottom", 1, DUE),
        ev.AttemptFailed(ACTION, "bottom", 1, EffortStatus.FAILED, _ERROR),
        ev.TurnedBack("step_failed", "bottom", ()),
        ev.CompensationPlanned(("top", "left", "right")),
    )
    assert _left(graph, back) == 5 + 1


def test_an_ended_process_is_estimated_to_end_when_it_ended(graph: StepGraph) -> None:
    """The estimate of the past is the past."""
    ended = _after(ev.Started(), *_done("top", "left", "right", "bottom", "last"), ev.Completed())
    assert estimated_end(graph, ended, durations={}, now=START + 99_000) == START


def test_a_stuck_undo_waits_for_an_operator(graph: StepGraph) -> None:
    """A suspended process names the step that stands still and why, and asks for attention."""
    stuck = _after(
        ev.Started(),
        *_done("top"),
        ev.TurnedBack("cancelled", None, ()),
        ev.CompensationPlanned(("top",)),
        ev.AttemptStarted(UNDO, "top", 1, DUE),
        ev.AttemptFailed(UNDO, "top", 1, EffortStatus.FAILED, _ERROR),
        ev.Suspended("compensation_failed", "top", "top can't be undone"),
    )
    document = process_document(graph, stuck, estimated_end=START)
    assert document["attention"] is True
    (wait,) = cast("list[JsonObject]", document["waiting_for"])
    assert (wait["kind"], wait["step"], wait["reason"]) == ("operator", "top", "compensation_failed")


def test_the_first_answer_can_be_given_again() -> None:
    """What was accepted can be told from any later state."""
    assert as_accepted(_after(ev.Started(), *_done("top"))) == _after()


def test_every_standing_has_a_word_of_the_contract() -> None:
    """No status of the machine is without a word, and an undo that is done reads `compensated`."""
    words = {"pending", "running", "retrying", "completed", "failed", "unknown", "skipped"}
    assert set(STEP_WORDS) == set(COMPENSATION_WORDS) == set(EffortStatus)
    assert set(STEP_WORDS.values()) == words
    assert set(COMPENSATION_WORDS.values()) == words - {"completed", "unknown"} | {"compensated"}
    assert COMPENSATION_WORDS[EffortStatus.DONE] == "compensated"
    assert {"started", "compensating", "suspended"} < {str(status) for status in ProcessStatus}


def test_entries_of_the_log_are_numbered_and_readable() -> None:
    """Numbers go on from the first of the transition, and payloads are values, not text."""
    transition = Transition(
        "p1", 4, tuple(_done("top")), (), Cause("c", "reply", ""), START, "coordinator-1", "mark"
    )
    started, completed = event_entries(transition)
    assert (started["sequence"], started["type"], started["step"]) == (4, "step_started", "top")
    assert started["data"] == {"due_at": "1970-01-01T00:17:40.000Z"}
    assert completed["data"] == {"output": {}}
    assert completed["actor"] == "coordinator-1"
    assert list(event_entries(transition, after=4)) == [completed]
