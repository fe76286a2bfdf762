"""The way back: what is undone, in which order, and what late answers do to it."""

import json

from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

CHAIN = """
- {name: first, service: one, action: do, compensation: undo}
- {name: second, service: two, action: do, compensation: undo}
- {name: third, service: three, action: do, compensation: undo}
"""
DIAMOND = """
- {name: top, service: zero, action: do, compensation: undo, after: []}
- {name: left, service: one, action: do, compensation: undo, after: [top]}
- {name: right, service: two, action: do, compensation: undo, after: [top]}
- {name: join, service: three, action: do, compensation: undo, after: [left, right]}
"""


def test_a_failure_for_good_undoes_what_completed_in_reverse_order() -> None:
    """The step that failed is not undone: every attempt said that nothing happened."""
    story = Scenario.of(CHAIN).starts().completes("first").completes("second")
    story.expect_commands("first.a1", "second.a1", "third.a1")
    story.fails_for_good("third").expect_commands("second.c1").expect_status("compensating")
    story.undoes("second").expect_commands("first.c1")
    story.undoes("first").expect_commands().expect_status("compensated")
    assert story.undo("third") is None


def test_a_step_that_spent_its_attempts_turns_the_process_back() -> None:
    """Three attempts are granted by default."""
    story = Scenario.of(CHAIN).starts().completes("first")
    for _ in range(2):
        story.fails("second").next_timer_fires()
    story.fails("second").expect_status("compensating")
    assert story.state.reason == "step_failed"


def test_parallel_branches_are_undone_in_parallel_and_their_origin_last() -> None:
    """An undo waits for the undo of everything that came after its step."""
    story = Scenario.of(DIAMOND).starts().completes("top").completes("left").completes("right")
    story.fails_for_good("join")
    story.expect_commands("top.a1", "left.a1", "right.a1", "join.a1", "left.c1", "right.c1")
    story.undoes("right").expect_commands()
    story.undoes("left").expect_commands("top.c1")
    story.undoes("top").expect_status("compensated")


def test_an_undo_carries_the_output_and_the_key_of_what_it_undoes() -> None:
    """The participant finds what it did by the key of the action."""
    story = Scenario.of(CHAIN, parameters={"id": 1}).starts().completes("first", {"ref": "x"})
    story.fails_for_good("second")
    body = json.loads(story.sent[-1].body)
    assert body["kind"] == "compensation"
    assert body["command_id"] == "p1.first.c1"
    assert body["idempotency_key"] == "p1.first.c"
    assert body["parameters"] == {"id": 1}
    assert body["compensates"] == {
        "step": "first", "index": None, "idempotency_key": "p1.first.a", "output": {"ref": "x"},
    }  # fmt: skip


def test_what_is_in_flight_at_a_failure_is_awaited_before_anything_is_undone() -> None:
    """Its outcome decides whether it must be undone."""
    story = Scenario.of(DIAMOND).starts().completes("top").fails_for_good("left")
    story.expect_commands("top.a1", "left.a1", "right.a1").expect_status("compensating")
    story.completes("right").expect_commands("right.c1")
    story.undoes("right").expect_commands("top.c1")


def test_nothing_is_tried_again_on_the_way_back() -> None:
    """A failure of what was in flight settles it, however many attempts were left."""
    story = Scenario.of(DIAMOND).starts().completes("top").fails_for_good("left").fails("right")
    assert story.action("right") is EffortStatus.FAILED
    story.expect_commands("top.a1", "left.a1", "right.a1", "top.c1")


def test_a_step_in_backoff_is_closed_by_the_outcomes_of_its_attempts() -> None:
    """All answered: failed, and not undone. One unanswered: unknown, and undone."""
    answered = Scenario.of(DIAMOND).starts().completes("top").fails("right").fails_for_good("left")
    assert answered.action("right") is EffortStatus.FAILED
    answered.expect_commands("top.a1", "left.a1", "right.a1", "top.c1")

    unanswered = Scenario.of(DIAMOND).starts().completes("top").waits(10)
    unanswered.reports_progress("left").waits(20_000).reports_progress("left").next_timer_fires()
    assert unanswered.action("right") is EffortStatus.RETRYING
    unanswered.fails_for_good("left")
    assert unanswered.action("right") is EffortStatus.UNKNOWN
    assert unanswered.sent[-1].command_id == "p1.right.c1"


def test_a_step_whose_outcome_is_unknown_is_undone_too() -> None:
    """No answer at all: something may have happened; the undo carries no output."""
    story = Scenario.of(CHAIN).starts().completes("first")
    for _ in range(5):
        story.next_timer_fires()
    assert story.action("second") is EffortStatus.UNKNOWN
    assert story.state.reason == "step_unknown"
    story.expect_commands("first.a1", "second.a1", "second.a2", "second.a3", "second.c1")
    assert json.loads(story.sent[-1].body)["compensates"]["output"] is None
    story.undoes("second").undoes("first").expect_status("compensated")


def test_one_unanswered_attempt_makes_a_step_unknown_though_the_last_one_failed() -> None:
    """Only if every attempt was answered by a failure did nothing happen."""
    story = Scenario.of(CHAIN).starts().completes("first").next_timer_fires().next_timer_fires()
    story.fails_for_good("second")
    assert story.action("second") is EffortStatus.UNKNOWN


def test_a_late_failure_answers_its_attempt_while_the_step_is_open() -> None:
    """Then every attempt said that nothing happened, and there is nothing to undo."""
    story = Scenario.of(CHAIN).starts().completes("first").next_timer_fires().next_timer_fires()
    story.fails("second", attempt=1).fails_for_good("second")
    assert story.action("second") is EffortStatus.FAILED


def test_a_failure_with_an_unknown_effect_counts_as_no_answer() -> None:
    """The participant itself could not tell whether something happened."""
    story = Scenario.of(CHAIN).starts().fails("first", retryable=False, effect_unknown=True)
    assert story.action("first") is EffortStatus.UNKNOWN
    assert story.sent[-1].command_id == "p1.first.c1"


def test_a_late_completion_on_the_way_back_is_undone_too() -> None:
    """Whatever was undone already: what turns out to have happened joins the plan."""
    story = Scenario.of(DIAMOND).starts().completes("top").completes("left").fails("right")
    story.next_timer_fires().fails_for_good("right")
    story.expect_commands("top.a1", "left.a1", "right.a1", "right.a2", "left.c1")
    story.completes("right", attempt=1).expect_commands("right.c1")
    story.undoes("left").expect_commands()
    story.undoes("right").expect_commands("top.c1")
    story.undoes("top").expect_status("compensated")


def test_a_late_completion_reopens_a_compensated_process() -> None:
    """The process is compensating again until the late effect is undone."""
    story = Scenario.of(CHAIN).starts().completes("first").fails("second").next_timer_fires()
    story.fails_for_good("second").undoes("first").expect_status("compensated")
    story.completes("second", {"ref": 2}, attempt=1).expect_status("compensating")
    assert story.sent[-1].command_id == "p1.second.c1"
    story.undoes("second").expect_status("compensated")


def test_a_late_completion_of_what_was_undone_unseen_sends_nothing_more() -> None:
    """The undo was acknowledged for an unknown output: the participant refuses or undid the action."""
    story = Scenario.of("- {name: s, service: one, action: do, compensation: undo, retry: {attempts: 1}}")
    story.starts().next_timer_fires().undoes("s").expect_status("compensated")
    story.expect_commands("s.a1", "s.c1")
    story.completes("s").expect_commands().expect_status("compensated")
    assert story.events[-1] == "observed"


def test_a_late_completion_is_undone_again_where_the_first_undo_found_nothing() -> None:
    """The participant said that there was nothing to undo, and then did it: the attempts go on counting."""
    story = Scenario.of("- {name: s, service: one, action: do, compensation: undo, retry: {attempts: 1}}")
    story.starts().next_timer_fires().undoes("s", {"nothing_to_undo": True}).expect_status("compensated")
    story.completes("s", {"ref": 1}).expect_status("compensating").expect_commands("s.a1", "s.c1", "s.c2")
    story.undoes("s").expect_status("compensated")


def test_an_undo_in_backoff_waits_for_a_later_step_that_joins_the_plan() -> None:
    """Its next attempt would undo a step before one that came after it."""
    story = Scenario.of(CHAIN).starts().completes("first").fails_for_good("second").fails_to_undo("first")
    story.expect_commands("first.a1", "second.a1", "first.c1")
    story.completes("second").expect_commands("second.c1")
    assert story.undo("first") is EffortStatus.PENDING
    story.undoes("second").expect_commands("first.c2")
    story.undoes("first").expect_status("compensated")


def test_an_undo_under_way_is_not_tried_again_before_a_later_step_that_joined_the_plan() -> None:
    """What was sent can't be taken back, but it is sent again only in its turn."""
    story = Scenario.of(CHAIN).starts().completes("first").fails_for_good("second").completes("second")
    story.expect_commands("first.a1", "second.a1", "first.c1", "second.c1")
    story.fails_to_undo("first").undoes("second").expect_commands("first.c2")
    story.undoes("first").expect_status("compensated")


def test_a_late_success_in_a_completed_process_is_recorded_without_effect() -> None:
    """Nothing is sent for a second success after the end."""
    story = Scenario.of(CHAIN).starts().next_timer_fires().next_timer_fires()
    story.completes("first", attempt=2).completes("second").completes("third")
    story.expect_status("completed").completes("first", attempt=1).expect_status("completed")
    assert story.events[-1] == "observed"


def test_a_process_with_nothing_to_undo_ends_compensated() -> None:
    """Turning back always has an end."""
    Scenario.of(CHAIN).starts().fails_for_good("first").expect_status("compensated")


def test_a_step_without_an_undo_by_declaration_is_passed_over() -> None:
    """`compensation: none` says that there is nothing to undo."""
    steps = CHAIN.replace("two, action: do, compensation: undo", "two, action: do, compensation: none")
    story = Scenario.of(steps).starts().completes("first").completes("second").fails_for_good("third")
    story.expect_commands("first.a1", "second.a1", "third.a1", "first.c1")


def test_an_undo_is_tried_again_and_a_late_answer_of_any_attempt_settles_it() -> None:
    """Compensations have a patience of their own: ten attempts by default."""
    story = Scenario.of(CHAIN).starts().completes("first").fails_for_good("second")
    story.fails_to_undo("first").next_timer_fires().next_timer_fires()
    story.undoes("first", attempt=2).expect_status("compensated")


def test_an_undo_that_spent_its_attempts_suspends_the_process_and_others_go_on() -> None:
    """What depends on the stuck undo is not sent; independent branches are undone; a late answer resumes."""
    once = "compensation: {action: undo, retry: {attempts: 1}}, after: [top]"
    steps = DIAMOND.replace("compensation: undo, after: [top]", once)
    story = Scenario.of(steps).starts().completes("top").completes("left").completes("right")
    story.fails_for_good("join").fails_to_undo("left").expect_status("suspended")
    assert story.state.suspended_for == "compensation_failed"
    story.undoes("right").expect_status("suspended")
    assert story.undo("top") is EffortStatus.PENDING
    story.undoes("left").expect_status("compensating")
    story.undoes("top").expect_status("compensated")


def test_two_late_answers_of_a_kind_are_one_observation() -> None:
    """A duplicate of what is recorded appends nothing, however often it comes."""
    story = Scenario.of(CHAIN).starts().next_timer_fires().next_timer_fires()
    story.completes("first", attempt=2).completes("first", attempt=1)
    version = story.state.version
    story.completes("first", attempt=1).fails("first", attempt=1)
    assert story.state.version == version + 1
