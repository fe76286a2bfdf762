"""Questions: what a participant says of an attempt that was not answered, and what follows from its silence."""

import pytest

from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

STEP = """
- {name: first, service: s, action: do, compensation: undo}
- name: a
  service: s
  action: do
  compensation: undo
  timeout: 10
  retry: {attempts: 2, backoff: 1}
  verify: {action: look, fences: FENCES, timeout: 5, retry: {attempts: 2, backoff: 1}}
- {name: last, service: s, action: do, compensation: undo}
"""
PIVOT = """
- {name: first, service: s, action: do, compensation: undo}
- name: pay
  service: s
  action: do
  pivot: true
  timeout: 10
  retry: {attempts: 2, backoff: 1}
  verify: {action: look, fences: FENCES, retry: {attempts: 1}}
"""
BESIDE = """
- {name: bad, service: s, action: do, compensation: undo, after: [], timeout: 100}
- name: a
  service: s
  action: do
  compensation: undo
  timeout: 10
  verify: {action: look, fences: FENCES, retry: {attempts: 1}}
  after: []
"""


def _story(steps: str = STEP, *, fences: bool = True, head: str = "") -> Scenario:
    """Give a process that asks about the first attempt of `a`."""
    story = Scenario.of(steps.replace("FENCES", str(fences).lower()), head=head).starts()
    if "name: first" in steps:
        story.completes("first")
    return story.next_timer_fires()


def test_the_question_names_the_attempt_its_key_and_what_it_was_sent_with() -> None:
    """It is a command of its own kind, with a key of its own."""
    story = _story().expect_commands("first.a1", "a.a1", "a.v1")
    body = story.body("a.v1")
    assert (body["kind"], body["action"], body["attempt"]) == ("verify", "look", 1)
    assert body["idempotency_key"] == "p1.a.v"
    assert body["verifies"] == {
        "step": "a", "index": None, "idempotency_key": "p1.a.a", "command_id": "p1.a.a1", "attempt": 1,
    }  # fmt: skip
    assert body["results"] == story.body("a.a1")["results"]


def test_an_attempt_that_took_effect_completes_the_step_with_the_output_of_the_answer() -> None:
    """The process goes on as if the attempt itself had been answered."""
    story = _story().verifies("a", {"ref": 1}).expect_commands("first.a1", "a.a1", "a.v1", "last.a1")
    assert story.output("a") == {"ref": 1}


def test_a_fenced_attempt_had_no_effect_and_the_step_is_tried_again() -> None:
    """The next attempt is asked about in its turn, by a question with a budget of its own."""
    story = _story().finds_nothing("a")
    assert story.action("a") is EffortStatus.RETRYING
    story.next_timer_fires().expect_commands("first.a1", "a.a1", "a.v1", "a.a2")
    story.next_timer_fires().cant_tell("a").next_timer_fires().expect_commands("a.v2", "a.v3")
    assert story.body("a.v3")["verifies"]["command_id"] == "p1.a.a2"


def test_a_step_whose_attempts_are_all_fenced_failed_and_is_not_undone() -> None:
    """Nothing happened, and nothing will."""
    story = _story().finds_nothing("a").next_timer_fires().next_timer_fires().finds_nothing("a")
    assert story.action("a") is EffortStatus.FAILED
    assert story.undo("a") is None
    assert story.state.reason == "step_failed"


def test_without_the_promise_of_a_fence_the_step_stays_unknown_and_is_undone() -> None:
    """The attempt may still arrive, whatever was answered."""
    story = _story(fences=False).finds_nothing("a").next_timer_fires().next_timer_fires().finds_nothing("a")
    assert story.action("a") is EffortStatus.UNKNOWN
    assert story.sent[-1].command_id == "p1.a.c1"


def test_one_attempt_that_nobody_can_tell_of_leaves_the_step_unknown() -> None:
    """The other one is fenced; that says nothing of this one."""
    story = _story().cant_tell("a", retryable=False).next_timer_fires().next_timer_fires().finds_nothing("a")
    assert story.action("a") is EffortStatus.UNKNOWN


@pytest.mark.parametrize("silence", ["fails", "is silent"])
def test_a_question_without_an_answer_is_asked_again_and_then_the_attempt_counts_as_unanswered(
    silence: str,
) -> None:
    """A failure of the question is no answer, nor is silence; its own policy says how often it is asked."""
    story = _story()
    for _ in range(2):
        if silence == "fails":
            story.cant_tell("a")
        else:
            story.next_timer_fires()
        story.next_timer_fires()
    story.expect_commands("first.a1", "a.a1", "a.v1", "a.v2", "a.a2")
    assert story.events.count("verify_concluded") == 1


def test_a_failure_that_leaves_the_effect_open_is_asked_about_too() -> None:
    """The participant itself could not tell: it may know better a moment later."""
    story = Scenario.of(STEP.replace("FENCES", "true")).starts().completes("first")
    story.fails("a", effect_unknown=True).expect_commands("first.a1", "a.a1", "a.v1")
    story.verifies("a", 1).expect_commands("last.a1")


def test_a_failure_that_leaves_the_effect_open_is_tried_again_only_if_its_code_allows_it() -> None:
    """The question doesn't turn it into a time-out."""
    steps = STEP.replace("FENCES", "true").replace("backoff: 1}\n  verify", "retry_on: [timeout]}\n  verify")
    story = Scenario.of(steps).starts().completes("first").fails("a", "broken", effect_unknown=True)
    story.finds_nothing("a")
    assert story.action("a") is EffortStatus.FAILED


def test_a_late_success_of_the_attempt_closes_the_question() -> None:
    """It says all that was asked; the answer to the question is recorded when it comes."""
    story = _story().completes("a", 7).expect_commands("first.a1", "a.a1", "a.v1", "last.a1")
    verify = story.state.step("a").verify
    assert verify is not None
    assert verify.status is EffortStatus.SKIPPED
    story.finds_nothing("a").expect_commands()
    assert story.action("a") is EffortStatus.DONE


def test_a_late_failure_of_the_attempt_closes_the_question_and_counts() -> None:
    """It says that nothing happened: that is what was asked."""
    story = _story().fails("a", "busy")
    assert story.action("a") is EffortStatus.RETRYING
    assert not story.state.step("a").action.is_unanswered


def test_a_late_completion_of_an_earlier_attempt_while_the_second_is_asked_about_completes_the_step() -> None:
    """A completion of any attempt completes an open step."""
    story = _story().cant_tell("a", retryable=False).next_timer_fires().next_timer_fires()
    story.completes("a", "first", attempt=1).expect_status("started")
    assert story.output("a") == "first"


def test_on_the_way_back_what_is_not_answered_is_asked_about_before_the_plan_is_made() -> None:
    """Its answer decides whether the step must be undone; it is not tried again."""
    found = _turned_back().finds_nothing("a").expect_status("compensated").expect_commands()
    assert found.action("a") is EffortStatus.FAILED
    _turned_back().verifies("a", 3).expect_commands("a.c1").undoes("a").expect_status("compensated")
    unknown = _turned_back().cant_tell("a").expect_commands("a.c1")
    assert unknown.action("a") is EffortStatus.UNKNOWN


def _turned_back() -> Scenario:
    story = Scenario.of(BESIDE.replace("FENCES", "true")).starts().fails_for_good("bad")
    return story.next_timer_fires().expect_commands("bad.a1", "a.a1", "a.v1").expect_status("compensating")


def test_a_pivot_that_is_fenced_may_turn_back_and_one_that_is_not_never_does() -> None:
    """Only a fence says for sure that it did not happen."""
    fenced = _story(PIVOT).finds_nothing("pay").next_timer_fires().next_timer_fires().finds_nothing("pay")
    fenced.expect_status("compensating")
    loose = _story(PIVOT, fences=False).finds_nothing("pay").next_timer_fires().next_timer_fires()
    loose.finds_nothing("pay").expect_status("suspended")
    assert loose.state.suspended_for == "action_unknown"


def test_each_item_is_asked_about_by_itself() -> None:
    """The question says which item it is about."""
    steps = """
    - name: e
      service: s
      action: do
      compensation: undo
      timeout: 10
      for_each: parameters.list
      verify: look
    """
    story = Scenario.of(steps, parameters={"list": ["x", "y"]}).starts().completes("e[0]", 0)
    story.next_timer_fires().expect_commands("e.0.a1", "e.1.a1", "e.1.v1")
    assert story.body("e.1.v1")["verifies"]["index"] == 1
    assert story.body("e.1.v1")["item"] == "y"
    story.verifies("e[1]", 1).expect_status("completed")
