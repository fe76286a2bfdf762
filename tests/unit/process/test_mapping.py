"""Inputs: what the definition maps for a step, when it is mapped, and what happens where that can't be done."""

import pytest

from saga.messages.json_text import Json
from saga.process.limits import MAPPED_BYTES_MAX
from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

OUTPUT_BYTES_MAX = 1024 * 1024
OWN_INPUT = """{action: undo, input: {ref: "results.b.ref || 'unknown'", who: parameters.who}}"""
MAPPED = """
- {name: a, service: s, action: do, compensation: undo}
- name: b
  service: s
  action: do
  compensation: OWN
  input: {value: "EXPRESSION", who: parameters.who}
- {name: last, service: s, action: do, compensation: undo}
""".replace("OWN", OWN_INPUT)
BEHIND = """
- {name: pay, service: s, action: do, pivot: true}
- {name: b, service: s, action: do, input: {n: "abs(parameters.n)"}}
- {name: c, service: s, action: do, after: [pay]}
"""


def _story(expression: str = "results.a.n", output: Json = None) -> Scenario:
    steps = MAPPED.replace("EXPRESSION", expression)
    return Scenario.of(steps, parameters={"who": "ada"}).starts().completes("a", output)


def test_the_input_stands_in_the_place_of_the_parameters_and_there_are_no_results() -> None:
    """Only what was asked for is sent; a missing name is null."""
    body = _story(output={"n": 1}).body("b.a1")
    assert body["parameters"] == {"value": 1, "who": "ada"}
    assert "results" not in body
    assert _story().body("b.a1")["parameters"]["value"] is None


def test_the_input_is_evaluated_once_and_is_the_same_for_all_attempts() -> None:
    """It is said in the log with the first one."""
    story = _story(output={"n": 1}).fails("b").next_timer_fires()
    assert story.body("b.a2")["parameters"] == story.body("b.a1")["parameters"]
    inputs = [getattr(event, "input", None) for transition in story.log for event in transition.events]
    assert inputs.count('{"value":1,"who":"ada"}') == 1


def test_the_undo_has_an_input_of_its_own_that_sees_the_output_of_its_step() -> None:
    """The same for all of its attempts."""
    story = _story(output={"n": 1}).completes("b", {"ref": "r1"}).fails_for_good("last")
    assert story.body("b.c1")["parameters"] == {"ref": "r1", "who": "ada"}
    assert "results" not in story.body("b.c1")
    story.fails_to_undo("b").next_timer_fires()
    assert story.body("b.c2")["parameters"] == {"ref": "r1", "who": "ada"}


def test_the_undo_of_a_step_whose_outcome_is_unknown_sees_no_output() -> None:
    """It says what holds then, or could not be loaded: the participant finds what it did by the key."""
    story = _story(output={"n": 1}).fails("b", retryable=False, effect_unknown=True)
    assert story.body("b.c1")["parameters"] == {"ref": "unknown", "who": "ada"}


def test_an_undo_without_an_input_has_that_of_its_step() -> None:
    """It undoes what was ordered."""
    steps = MAPPED.replace(OWN_INPUT, "undo")
    story = Scenario.of(steps.replace("EXPRESSION", "results.a")).starts().completes("a", 5).completes("b")
    assert story.fails_for_good("last").body("b.c1")["parameters"] == {"value": 5, "who": None}


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        ("abs(results.a)", "text"),
        ("results.a < `1`", "text"),
        ("sum(results.a)", ["x"]),
        ("sum(results.a)", [1.7e308, 1.7e308]),
        ("sum(results.a)", [9_223_372_036_854_775_807, 1]),
        ("to_number(results.a)", "NaN"),
        ("to_number(results.a)", "1e999"),
        ("to_number(results.a)", "99999999999999999999"),
        ("max_by(results.a, &n)", [{"n": 1}, {"n": "x"}]),
        ("keys(results.a)", None),
    ],
)
def test_an_expression_that_gives_nothing_that_can_be_kept_fails_its_step_for_good(
    expression: str, output: Json
) -> None:
    """It raises, or the number is none that JSON has, or too large: the step failed before it was sent."""
    story = _story(expression, output).expect_status("compensating").expect_commands("a.a1", "a.c1")
    assert story.action("b") is EffortStatus.FAILED
    assert story.error("b")["code"] == "mapping_error"
    story.undoes("a").expect_status("compensated")


def test_an_input_that_repeats_what_it_was_given_too_often_fails_its_step() -> None:
    """What one mapping gives has a limit."""
    story = _story("[results.a, results.a, results.a]", "x" * (MAPPED_BYTES_MAX // 2))
    assert story.error("b")["code"] == "mapping_error"
    assert "characters" in story.error("b")["message"]


def test_an_undo_whose_input_fails_is_stuck_and_a_person_helps() -> None:
    """It suspends: there is no other way to undo it. A retry judges it again."""
    steps = MAPPED.replace("results.b.ref || 'unknown'", "abs(results.b || `0`)").replace(
        "EXPRESSION", "results.a"
    )
    story = Scenario.of(steps).starts().completes("a").completes("b", "text").fails_for_good("last")
    story.expect_status("suspended").expect_commands("a.a1", "b.a1", "last.a1")
    assert story.state.suspended_for == "compensation_failed"
    story.is_asked("retry", "b").expect_status("suspended").expect_commands()
    story.is_asked("skip", "b").expect_commands("a.c1").undoes("a").expect_status("compensated")


def test_an_input_that_fails_behind_the_pivot_suspends_and_others_go_on() -> None:
    """Nothing turns back from there; a skip gives the output."""
    story = Scenario.of(BEHIND, parameters={"n": "text"}).starts().completes("pay").expect_status("suspended")
    story.completes("c").expect_status("suspended").is_asked("retry", "b").expect_status("suspended")
    story.is_asked("skip", "b").expect_status("completed").expect_commands("pay.a1", "c.a1")


def test_an_item_is_mapped_with_its_value_and_its_index() -> None:
    """One item whose input fails turns the process back; the others are not to blame."""
    steps = """
    - name: e
      service: s
      action: do
      compensation: undo
      for_each: parameters.list
      input: {double: "[item, item]", n: index, positive: abs(item)}
    """
    story = Scenario.of(steps, parameters={"list": [5, "text", 7]}).starts().expect_status("compensating")
    assert story.body("e.0.a1")["parameters"] == {"double": [5, 5], "n": 0, "positive": 5}
    assert story.error("e[1]")["code"] == "mapping_error"
    assert story.action("e[2]") is EffortStatus.PENDING
    story.completes("e[0]").undoes("e[0]").expect_status("compensated")


def test_a_step_is_shown_the_outputs_of_its_ancestors_only() -> None:
    """A step beside it is none, whether it is done or not: otherwise what is sent would depend on timing."""
    steps = """
    - {name: beside, service: s, action: do, compensation: undo, after: []}
    - {name: a, service: s, action: do, compensation: undo, after: []}
    - {name: b, service: s, action: do, compensation: undo, after: [a]}
    """
    story = Scenario.of(steps).starts().completes("beside", 1).completes("a", 2)
    assert story.body("b.a1")["results"] == {"a": 2}
