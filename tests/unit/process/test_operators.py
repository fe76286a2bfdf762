"""What people ask of a process: when it is allowed, what it causes, and how a refusal is recorded."""

from dataclasses import replace

import pytest

from saga.process import inputs
from saga.process.events import OperatorActed
from saga.process.limits import PROCESS_BYTES_MAX
from saga.process.operating import allowed_actions
from saga.process.status import EffortStatus, OperatorAction
from tests.support.scenario import Scenario

CHAIN = """
- {name: a, service: s, action: do, compensation: {action: undo, retry: {attempts: 2, backoff: 1}}}
- {name: b, service: s, action: do, compensation: {action: undo, retry: {attempts: 2, backoff: 1}}}
- {name: c, service: s, action: do, compensation: undo}
"""
PIVOT = """
- {name: a, service: s, action: do, compensation: undo}
- {name: pay, service: s, action: do, pivot: true, timeout: 10, retry: {attempts: 2, backoff: 1}}
- {name: mail, service: s, action: do, timeout: 10, retry: {attempts: 2, backoff: 1}}
- {name: tax, service: s, action: do, after: [pay]}
- {name: last, service: s, action: do, after: [mail, tax]}
"""


def _at_pivot() -> Scenario:
    return Scenario.of(PIVOT).starts().completes("a").expect_commands("a.a1", "pay.a1")


def _stuck_behind_pivot() -> Scenario:
    story = _at_pivot().completes("pay").fails("mail").next_timer_fires().fails("mail")
    story.expect_commands("mail.a1", "tax.a1", "mail.a2")
    return story.expect_status("suspended")


def _stuck_pivot() -> Scenario:
    story = _at_pivot().next_timer_fires().next_timer_fires().next_timer_fires().expect_commands("pay.a2")
    return story.expect_status("suspended")


def _stuck_undo() -> Scenario:
    story = Scenario.of(CHAIN).starts().completes("a").completes("b").fails_for_good("c")
    story.fails_to_undo("b").next_timer_fires().fails_to_undo("b")
    return story.expect_commands("a.a1", "b.a1", "c.a1", "b.c1", "b.c2").expect_status("suspended")


# Cancel and compensate


@pytest.mark.parametrize("action", ["cancel", "compensate"])
def test_a_process_on_its_way_turns_back_when_it_is_asked_to(action: str) -> None:
    """What runs is awaited, what is done is undone; the event says who and why."""
    story = Scenario.of(CHAIN).starts().completes("a").is_asked(action).expect_status("compensating")
    story.fails("b").expect_commands("a.a1", "b.a1", "a.c1").undoes("a").expect_status("compensated")
    assert f"operator_{action}" in story.events
    acted = next(event for one in story.log for event in one.events if isinstance(event, OperatorActed))
    assert (acted.actor, acted.reason) == ("ada", "because")


def test_a_cancel_before_the_start_message_ends_the_process_and_the_start_changes_nothing() -> None:
    """Whoever comes first begins it."""
    story = Scenario.of(CHAIN).is_asked("cancel").expect_status("compensated")
    version = story.state.version
    story.receives(inputs.StartRequested(is_paused=True)).expect_commands()
    assert story.state.version == version


def test_a_completed_process_without_a_pivot_is_compensated() -> None:
    """Everything that it did is undone, in reverse order."""
    story = (
        Scenario.of(CHAIN).starts().completes("a").completes("b").completes("c").expect_status("completed")
    )
    story.is_asked("compensate").expect_status("compensating").undoes("c").undoes("b").undoes("a")
    story.expect_status("compensated")


def test_a_completed_process_is_not_cancelled() -> None:
    """There is nothing to stop."""
    story = Scenario.of(CHAIN).starts().completes("a").completes("b").completes("c")
    story.is_asked("cancel").expect_rejected("completed")


@pytest.mark.parametrize("action", ["cancel", "compensate"])
def test_while_the_pivot_is_in_flight_a_turn_is_noted_and_obeyed_only_if_the_pivot_fails(action: str) -> None:
    """It is not tried again then, whatever attempts are left."""
    failed = _at_pivot().is_asked(action).expect_status("started").fails("pay").expect_status("compensating")
    failed.expect_commands("a.c1")
    _at_pivot().is_asked(action).completes("pay").completes("mail").completes("tax").completes("last")
    again = _at_pivot().is_asked(action).is_asked("cancel").expect_rejected("waits for the pivot")
    assert again.events.count("turn_noted") == 1


def test_a_pivot_in_backoff_that_failed_so_far_does_not_hold_up_a_cancel() -> None:
    """Every attempt said that nothing happened, so it is not in flight."""
    _at_pivot().fails("pay").is_asked("cancel").expect_status("compensating").expect_commands("a.c1")


@pytest.mark.parametrize("action", ["cancel", "compensate"])
def test_behind_the_pivot_nothing_turns_back(action: str) -> None:
    """Also not while a step is stuck there, nor where nobody knows of the pivot itself."""
    _at_pivot().completes("pay").is_asked(action).expect_rejected("pivot has passed")
    _stuck_behind_pivot().is_asked(action).expect_rejected("pivot has passed")
    _stuck_pivot().is_asked(action).expect_rejected("pivot has passed")


def test_what_has_turned_back_does_not_do_it_twice() -> None:
    """It is on its way."""
    story = Scenario.of(CHAIN).starts().completes("a").is_asked("cancel")
    story.is_asked("compensate").expect_rejected("already")
    assert story.events.count("turned_back") == 1


# Retry


def test_a_retry_of_an_undo_has_a_fresh_budget_and_its_attempts_count_on() -> None:
    """Numbers never restart; the key stays the same."""
    story = _stuck_undo().is_asked("retry", "b").expect_status("compensating").expect_commands("b.c3")
    story.fails_to_undo("b").expect_status("compensating").next_timer_fires().expect_commands("b.c4")
    assert story.body("b.c4")["idempotency_key"] == "p1.b.c"
    story.fails_to_undo("b").expect_status("suspended").is_asked("retry", "b").undoes("b").undoes("a")
    story.expect_status("compensated")


def test_a_retry_of_a_step_behind_the_pivot_has_a_fresh_budget() -> None:
    """Both of its attempts are there again."""
    story = (
        _stuck_behind_pivot().is_asked("retry", "mail").expect_status("started").expect_commands("mail.a3")
    )
    story.fails("mail").next_timer_fires().expect_commands("mail.a4").completes("mail").completes("tax")
    story.completes("last").expect_status("completed")


def test_a_retry_of_a_stuck_pivot_asks_its_participant_once_more() -> None:
    """Its earlier attempts are still open: a failure of the new one doesn't say that nothing happened."""
    story = _stuck_pivot().is_asked("retry", "pay").expect_status("started").expect_commands("pay.a3")
    story.fails("pay", retryable=False).expect_status("suspended").is_asked("retry").completes("pay")
    story.expect_status("started")


def test_a_retry_without_a_step_is_one_of_all_that_is_stuck() -> None:
    """Each has its budget again."""
    story = _stuck_behind_pivot().fails_for_good("tax").is_asked("retry").expect_status("started")
    story.expect_commands("mail.a3", "tax.a2")


def test_a_retry_of_one_of_two_stuck_steps_leaves_the_process_suspended() -> None:
    """The other one still needs a person."""
    story = _stuck_behind_pivot().fails_for_good("tax").is_asked("retry", "tax").expect_status("suspended")
    story.completes("tax").expect_status("suspended").is_asked("retry", "mail").expect_status("started")


@pytest.mark.parametrize("step", ["a", "tax", "unheard"])
def test_a_step_that_is_not_stuck_is_neither_retried_nor_skipped(step: str) -> None:
    """Done, under way, or none of this process."""
    _stuck_behind_pivot().is_asked("retry", step).expect_rejected("not stuck")
    _stuck_behind_pivot().is_asked("skip", step).expect_rejected("not stuck")


# Skip


def test_a_skipped_step_behind_the_pivot_has_the_output_that_was_given() -> None:
    """What follows it is shown that output."""
    story = _stuck_behind_pivot().is_asked("skip", "mail", output={"by": "phone"}).expect_status("started")
    story.completes("tax").expect_commands("last.a1")
    assert story.body("last.a1")["results"]["mail"] == {"by": "phone"}


def test_an_output_of_a_person_that_the_process_has_no_room_for_is_rejected() -> None:
    """What people say counts towards the limit as what participants say does."""
    story = _stuck_behind_pivot()
    story.checks_log = False
    story._state = replace(story.state, payload_bytes=PROCESS_BYTES_MAX - 3)
    story.is_asked("skip", "mail", output="long").expect_rejected("would exceed").expect_status("suspended")
    story.is_asked("skip", "mail", output=1).expect_status("started")


def test_a_skipped_undo_lets_the_others_go_on() -> None:
    """A person says that it needs none."""
    story = _stuck_undo().is_asked("skip", "b").expect_status("compensating").expect_commands("a.c1")
    assert story.undo("b") is EffortStatus.SKIPPED
    story.undoes("a").expect_status("compensated")


def test_the_late_answer_of_a_skipped_undo_is_recorded() -> None:
    """It changes nothing."""
    story = _stuck_undo().is_asked("skip", "b").undoes("b", attempt=1)
    assert story.events[-1] == "observed"
    assert story.undo("b") is EffortStatus.SKIPPED


def test_a_skipped_step_that_completes_late_raises_attention() -> None:
    """It was done after all; nobody knew."""
    story = _stuck_behind_pivot().is_asked("skip", "mail", output=1).completes("mail", "late")
    assert story.state.attention
    assert story.output("mail") == 1


def test_a_skipped_pivot_counts_as_passed() -> None:
    """A person said that it was not done; there is no way back from there."""
    story = _stuck_pivot().is_asked("skip", "pay", output=0).expect_status("started")
    story.expect_commands("mail.a1", "tax.a1").is_asked("cancel").expect_rejected("pivot has passed")


# Resolve


def test_a_pivot_that_is_resolved_as_completed_lets_the_process_go_on() -> None:
    """With the output that was given."""
    story = _stuck_pivot().is_asked("resolve", "pay", outcome="completed", output={"ref": 1})
    story.expect_status("started").expect_commands("mail.a1", "tax.a1")
    assert story.output("pay") == {"ref": 1}


def test_a_pivot_that_is_resolved_as_failed_turns_the_process_back() -> None:
    """A person says that it never happened: then everything before it can be undone."""
    story = _stuck_pivot().is_asked("resolve", "pay", outcome="failed").expect_status("compensating")
    story.expect_commands("a.c1").undoes("a").expect_status("compensated")


def test_an_unknown_step_on_the_way_back_that_is_resolved_as_failed_needs_no_undo() -> None:
    """Its undo is left out, also where it was sent already."""
    story = Scenario.of(CHAIN).starts().completes("a").fails("b", retryable=False, effect_unknown=True)
    story.is_asked("resolve", "b", outcome="failed").expect_commands("a.a1", "b.a1", "b.c1", "a.c1")
    assert story.action("b") is EffortStatus.FAILED
    assert story.undo("b") is EffortStatus.SKIPPED
    story.undoes("a").expect_status("compensated")


def test_an_unknown_step_on_the_way_back_that_is_resolved_as_completed_is_undone_with_its_output() -> None:
    """The undo that comes next carries it."""
    story = Scenario.of(CHAIN).starts().completes("a").fails("b", retryable=False, effect_unknown=True)
    story.is_asked("resolve", "b", outcome="completed", output="ref").fails_to_undo("b").next_timer_fires()
    assert story.body("b.c2")["compensates"]["output"] == "ref"


@pytest.mark.parametrize("outcome", [None, "unknown", "maybe"])
def test_a_resolution_says_what_happened_in_one_of_two_words(outcome: str | None) -> None:
    """Anything else is no outcome."""
    _stuck_pivot().is_asked("resolve", "pay", outcome=outcome).expect_rejected("completed or failed")


def test_only_what_is_unknown_is_resolved() -> None:
    """The outcome of anything else is known, or will be."""
    _stuck_pivot().is_asked("resolve", "a", outcome="failed").expect_rejected("not unknown")
    _stuck_behind_pivot().is_asked("resolve", "mail", outcome="completed").expect_rejected("unknown")


# Fail


def test_what_stands_still_is_given_up() -> None:
    """It ends as it stands, with the person's reason; nothing more is sent."""
    story = _stuck_undo().is_asked("fail").expect_status("failed").expect_commands()
    assert story.state.reason == "because"
    assert allowed_actions(story.graph, story.state) == ()


def test_what_moves_is_not_given_up() -> None:
    """It can be cancelled."""
    _at_pivot().is_asked("fail").expect_rejected("stands still")


@pytest.mark.parametrize("direction", ["completes", "fails"])
def test_in_a_process_that_was_given_up_replies_are_recorded_and_nothing_is_sent(direction: str) -> None:
    """A completion raises attention: what it did stays."""
    story = _stuck_behind_pivot().is_asked("fail").expect_commands()
    before = story.state.attention
    if direction == "completes":
        story.completes("tax")
        assert story.state.attention
    else:
        story.fails("tax")
        assert story.state.attention is before
    story.expect_status("failed").expect_commands()
    assert story.events[-1] == "observed"


# Requests


def test_a_request_that_is_repeated_changes_nothing_whether_it_was_obeyed_or_rejected() -> None:
    """It is known by its id."""
    story = _at_pivot().is_asked("pause", request_id="one").is_asked("resume", request_id="two")
    story.is_asked("resume", request_id="three").expect_rejected("paused")
    version = story.state.version
    for number, action in (("one", "pause"), ("two", "resume"), ("three", "pause")):
        story.is_asked(action, request_id=number)
    assert story.state.version == version


def test_a_log_keeps_a_hundred_rejected_requests() -> None:
    """Whoever asks in vain for ever doesn't fill it."""
    story = _at_pivot()
    for _ in range(120):
        story.is_asked("resume")
    assert story.events.count("operator_rejected") == 100
    story.is_asked("pause").expect_status("paused")


@pytest.mark.parametrize(
    ("story", "allowed"),
    [
        (lambda: Scenario.of(CHAIN).starts(), {"cancel", "pause", "compensate"}),
        (_at_pivot, {"cancel", "pause", "compensate"}),
        (lambda: _at_pivot().completes("pay"), {"pause"}),
        (_stuck_behind_pivot, {"retry", "skip", "fail"}),
        (_stuck_pivot, {"retry", "skip", "resolve", "fail"}),
        (_stuck_undo, {"retry", "skip", "fail"}),
        (lambda: _at_pivot().is_asked("pause"), {"cancel", "resume", "compensate", "fail"}),
        (lambda: Scenario.of(CHAIN).starts().fails_for_good("a"), set()),
        (lambda: Scenario.of(CHAIN).starts().completes("a").is_asked("cancel"), {"pause"}),
    ],
)
def test_what_is_allowed_is_what_is_obeyed(story: object, allowed: set[str]) -> None:
    """The list that people are shown, and the ruling on each request, say the same."""
    assert callable(story)
    found: Scenario = story()
    assert {str(action) for action in allowed_actions(found.graph, found.state)} == allowed
    for action in OperatorAction:
        asked: Scenario = story()
        outcome = {"outcome": "failed"} if action is OperatorAction.RESOLVE else {}
        asked.is_asked(action, **outcome)
        assert ("operator_rejected" in asked.events) is (action not in allowed)
