"""The result of a process: made from its steps' outputs when it completes."""

from saga.messages.json_text import Json
from tests.support.scenario import Scenario

STEPS = """
- {name: a, service: s, action: do, compensation: undo}
- {name: b, service: s, action: do, compensation: undo, when: "parameters.wanted"}
"""


def _story(result: str, output: Json = None, *, wanted: bool = True) -> Scenario:
    story = Scenario.of(STEPS, head=f"result: {result}", parameters={"wanted": wanted, "id": 7}).starts()
    return story.completes("a", output)


def test_the_result_is_made_of_the_parameters_and_all_outputs() -> None:
    """Each member by its expression."""
    story = _story("{id: parameters.id, a: results.a.n}", {"n": 1}).completes("b").expect_status("completed")
    assert story.state.result == '{"id":7,"a":1}'


def test_the_output_of_a_step_that_was_skipped_is_null_in_the_result() -> None:
    """It has none."""
    story = _story("{b: \"results.b || 'none'\"}", wanted=False).expect_status("completed")
    assert story.state.result == '{"b":"none"}'


def test_a_result_that_can_not_be_made_completes_the_process_and_raises_attention() -> None:
    """Everything is done; somebody should look at why there is no result."""
    story = _story("{n: abs(results.a)}", "secret", wanted=False).expect_status("completed")
    assert story.state.result is None
    assert story.state.attention
    problem = getattr(story.log[-1].events[-1], "problem", "")
    assert "abs" in problem
    assert "secret" not in problem


def test_without_a_declared_result_there_is_none() -> None:
    """And nothing to look at."""
    story = Scenario.of(STEPS).starts().completes("a").expect_status("completed")
    assert story.state.result is None
    assert not story.state.attention


def test_a_process_that_turned_back_has_no_result() -> None:
    """Also not where it was completed before."""
    story = _story("{a: results.a}", 1, wanted=False).is_asked("compensate").undoes("a")
    story.expect_status("compensated")
