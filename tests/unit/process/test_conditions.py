"""Conditions: a step that is skipped is settled like one that is done, and no condition breaks a process."""

import pytest

from saga.messages.json_text import Json
from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

CHOICE = """
- {name: ask, service: s, action: do, compensation: undo}
- {name: dear, service: s, action: do, compensation: undo, after: [ask], when: "results.ask.price > `100`"}
- {name: cheap, service: s, action: do, compensation: undo, after: [ask]}
- {name: last, service: s, action: do, compensation: undo, after: [dear, cheap]}
"""
ONE = '- {name: one, service: s, action: do, compensation: undo, when: "CONDITION"}'


def _judged(condition: str, parameters: Json) -> Scenario:
    return Scenario.of(ONE.replace("CONDITION", condition), parameters=parameters).starts()


def test_a_step_whose_condition_holds_is_carried_out() -> None:
    """It sees the outputs of the steps before it."""
    story = Scenario.of(CHOICE).starts().completes("ask", {"price": 101})
    story.expect_commands("ask.a1", "dear.a1", "cheap.a1")


def test_a_step_whose_condition_fails_is_skipped_and_what_follows_starts() -> None:
    """Skipped is settled: a step that waits for all starts, and gets no output of the skipped one."""
    story = Scenario.of(CHOICE).starts().completes("ask", {"price": 99})
    assert story.action("dear") is EffortStatus.SKIPPED
    story.completes("cheap", 1).expect_commands("ask.a1", "cheap.a1", "last.a1")
    assert story.body("last.a1")["results"] == {"ask": {"price": 99}, "cheap": 1}
    story.completes("last").expect_status("completed")


def test_a_skipped_step_is_not_undone() -> None:
    """Nothing happened in it."""
    story = Scenario.of(CHOICE).starts().completes("ask", {"price": 1}).completes("cheap")
    story.fails_for_good("last").undoes("cheap").undoes("ask").expect_status("compensated")
    assert story.undo("dear") is None


@pytest.mark.parametrize("value", [False, None])
def test_false_and_null_skip(value: Json) -> None:
    """What is missing is null, and a condition on it does not hold; a process may skip all that it has."""
    assert (
        _judged("parameters.wanted", {"wanted": value}).expect_status("completed").events[-2]
        == "step_skipped"
    )


@pytest.mark.parametrize("value", [1, 0, "", "yes", [], {"a": 1}])
def test_a_condition_that_gives_anything_else_fails_its_step(value: Json) -> None:
    """What is neither true, false nor null is a mistake: it must not count as either."""
    story = _judged("parameters.wanted", {"wanted": value}).expect_status("compensated").expect_commands()
    assert story.action("one") is EffortStatus.FAILED
    assert story.error("one")["code"] == "mapping_error"
    assert story.error("one")["retryable"] is False


def test_a_condition_that_cannot_be_evaluated_fails_its_step() -> None:
    """The message names the expression, and holds nothing of the data."""
    story = _judged("parameters.a > `1` || abs(parameters.a) == `1`", {"a": "secret"})
    story.expect_status("compensated")
    assert "abs" in story.error("one")["message"]
    assert "secret" not in story.error("one")["message"]


def test_a_condition_is_judged_when_its_turn_comes() -> None:
    """Neither before nor again: the steps after it are judged by what was there then."""
    story = Scenario.of(CHOICE).starts()
    assert story.action("dear") is EffortStatus.PENDING
    story.completes("ask", {"price": 101})
    assert story.action("dear") is EffortStatus.RUNNING


def test_a_pivot_that_is_skipped_counts_as_passed() -> None:
    """What follows it has no undo, so there is no way back from there either."""
    steps = """
    - {name: a, service: s, action: do, compensation: undo}
    - {name: pay, service: s, action: do, pivot: true, when: "parameters.paid"}
    - {name: mail, service: s, action: do}
    """
    story = Scenario.of(steps).starts().completes("a").expect_commands("a.a1", "mail.a1")
    story.is_asked("cancel").expect_rejected("pivot has passed")
    story.fails_for_good("mail").expect_status("suspended")


def test_the_condition_of_a_list_is_judged_once_before_the_list() -> None:
    """It does not hold: the list is not even looked at."""
    step = """
    - name: e
      service: s
      action: do
      compensation: undo
      when: parameters.on
      for_each: parameters.n
    """
    Scenario.of(step, parameters={"on": False, "n": "no list"}).starts().expect_status("completed")
    story = Scenario.of(step, parameters={"on": True, "n": [1, 2]}).starts()
    story.expect_commands("e.0.a1", "e.1.a1")
