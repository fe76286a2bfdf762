"""What a pause holds back of children, and a request that comes before the start of its process."""

from __future__ import annotations

from saga.process import inputs
from saga.process.status import OperatorAction
from saga.process.timers import next_wake
from tests.support.scenario import Scenario

PARENT = """
  - {name: a, process: nested, timeout: 5}
"""
STEP = """
  - {name: a, service: s, action: x, compensation: u}
"""


def _asks(story: Scenario, action: OperatorAction) -> Scenario:
    request = inputs.OperatorRequested(action, "why", "somebody", f"r{len(story.state.requests)}")
    return story.receives(request)


def test_no_child_is_told_to_end_while_its_parent_is_paused() -> None:
    """A time-out of a child sends a word to it, and a pause sends nothing: it is told after the pause."""
    story = Scenario.of(PARENT, children={"nested": "hash"}).starts()
    _asks(story, OperatorAction.PAUSE)
    assert next_wake(story.graph, story.state) is None
    _asks(story.waits(60_000), OperatorAction.RESUME).expect_commands("a.a1")
    assert "child_cancelled" not in story.events
    story.next_timer_fires()
    assert story.events[-1] == "child_cancelled"
    assert [command.routing_key for command in story.sent] == ["process.start", "process.cancel"]


def test_a_request_before_the_start_begins_the_process() -> None:
    """The start message comes later and changes nothing: above all it doesn't stand after the end."""
    story = _asks(Scenario.of(STEP), OperatorAction.CANCEL)
    assert story.events[:3] == ["accepted", "started", "operator_cancel"]
    story.expect_status("compensated").starts()
    assert story.events[-1] == "compensated"


def test_what_was_paused_before_its_start_waits_for_a_person() -> None:
    """Neither its start nor a timer moves it."""
    story = _asks(Scenario.of(STEP), OperatorAction.PAUSE).starts()
    story.expect_status("paused").expect_commands()
    assert next_wake(story.graph, story.state) is None
    _asks(story, OperatorAction.RESUME).expect_commands("a.a1")


def test_a_refused_request_before_the_start_leaves_the_process_to_its_start() -> None:
    """It is recorded, and the process begins as it would have."""
    story = _asks(Scenario.of(STEP), OperatorAction.RESUME)
    assert story.events == ["accepted", "operator_rejected"]
    story.starts().expect_commands("a.a1")
