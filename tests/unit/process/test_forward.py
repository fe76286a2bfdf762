"""The way forward: order, retries, time-outs, progress, the end."""

import json

import pytest

from saga.process.status import EffortStatus
from saga.process.timers import WakeReason, next_wake
from tests.support.scenario import Scenario

CHAIN = """
- {name: first, service: one, action: do, compensation: undo}
- {name: second, service: two, action: do, compensation: undo}
- {name: third, service: three, action: do, compensation: undo}
"""
DIAMOND = """
- {name: left, service: one, action: do, compensation: undo, after: []}
- {name: right, service: two, action: do, compensation: undo, after: []}
- {name: join, service: three, action: do, compensation: undo, after: [left, right]}
"""


def test_steps_without_after_run_one_after_the_other_to_completed() -> None:
    """Each step starts when the one above completed; the process completes with the last."""
    story = Scenario.of(CHAIN).starts().expect_commands("first.a1")
    story.completes("first").expect_commands("second.a1")
    story.completes("second").expect_commands("third.a1")
    story.completes("third").expect_commands().expect_status("completed")
    assert story.events == [
        "accepted", "started", "step_started", "step_completed", "step_started", "step_completed",
        "step_started", "step_completed", "completed",
    ]  # fmt: skip


def test_independent_steps_run_in_parallel_and_a_join_waits_for_both() -> None:
    """Steps with `after: []` start at once; what comes after both starts with the last of them."""
    story = Scenario.of(DIAMOND).starts().expect_commands("left.a1", "right.a1")
    story.completes("right").expect_commands()
    story.completes("left").expect_commands("join.a1")
    story.completes("join").expect_status("completed")


def test_a_command_carries_the_parameters_and_the_outputs_of_all_ancestors() -> None:
    """The results are those of the ancestors only, by the names of their steps."""
    story = Scenario.of(CHAIN, parameters={"id": 7}).starts()
    story.completes("first", {"a": 1}).completes("second", [2])
    body = json.loads(story.sent[-1].body)
    assert body["parameters"] == {"id": 7}
    assert body["results"] == {"first": {"a": 1}, "second": [2]}
    assert body["command_id"] == "p1.third.a1"
    assert body["idempotency_key"] == "p1.third.a"
    assert body["kind"] == "action"
    assert body["attempt"] == 1
    assert body["deadline"].endswith("Z")


def test_a_retryable_failure_is_tried_again_after_a_growing_wait_with_the_same_key() -> None:
    """The waits double; the command id changes with the attempt, the idempotency key does not."""
    story = Scenario.of(CHAIN).starts().fails("first")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert (wake.at - story.now, wake.reason) == (1_000, WakeReason.RETRY)
    story.next_timer_fires().fails("first")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert wake.at - story.now == 2_000
    story.next_timer_fires().expect_commands("first.a1", "first.a2", "first.a3")
    assert {json.loads(command.body)["idempotency_key"] for command in story.sent} == {"p1.first.a"}
    story.completes("first").expect_commands("second.a1")


def test_jitter_moves_the_wait_the_same_way_at_every_decision() -> None:
    """Jitter is derived from the command, so that replay finds the same times."""
    steps = "- {name: s, service: one, action: do, compensation: undo, retry: {jitter: 1, backoff: 10}}"
    waits = []
    for _ in range(2):
        story = Scenario.of(steps).starts().fails("s")
        wake = next_wake(story.graph, story.state)
        assert wake is not None
        waits.append(wake.at - story.now)
    assert waits[0] == waits[1]
    assert 0 <= waits[0] <= 20_000
    assert waits[0] != 10_000


def test_the_participants_word_on_when_to_retry_is_kept() -> None:
    """retry_after puts the next attempt off, beyond the backoff."""
    story = Scenario.of(CHAIN).starts().fails("first", retry_after_ms=30_000)
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert wake.at - story.now == 30_000


@pytest.mark.parametrize(("code", "again"), [("busy", True), ("broken", False)])
def test_retry_on_lists_what_is_worth_another_attempt(code: str, again: bool) -> None:  # noqa: FBT001
    """An error code that retry_on doesn't list fails the step at once."""
    steps = "- {name: s, service: one, action: do, compensation: undo, retry: {retry_on: [busy]}}"
    story = Scenario.of(steps).starts().fails("s", code)
    assert (story.action("s") is EffortStatus.RETRYING) is again


def test_not_retryable_wins_over_retry_on() -> None:
    """The participant knows best that another attempt is in vain."""
    steps = "- {name: s, service: one, action: do, compensation: undo, retry: {retry_on: [busy]}}"
    story = Scenario.of(steps).starts().fails("s", "busy", retryable=False)
    assert story.action("s") is EffortStatus.FAILED


def test_an_unanswered_attempt_times_out_and_is_tried_again() -> None:
    """A time-out is retried like a failure, after the backoff."""
    story = Scenario.of(CHAIN).starts().next_timer_fires()
    assert story.action("first") is EffortStatus.RETRYING
    story.next_timer_fires().expect_commands("first.a1", "first.a2")


def test_a_late_success_of_an_earlier_attempt_completes_an_open_step() -> None:
    """Whichever attempt succeeds first settles the step, also while it waits for its retry."""
    story = Scenario.of(CHAIN).starts().next_timer_fires().completes("first", attempt=1)
    story.expect_commands("first.a1", "second.a1")


def test_the_second_success_of_a_step_is_only_observed() -> None:
    """One outcome is accepted; another one is recorded once and changes nothing."""
    story = Scenario.of(CHAIN).starts().next_timer_fires().next_timer_fires()
    story.completes("first", "second try", attempt=2).completes("first", "first try", attempt=1)
    assert story.state.step("first").action.output == '"second try"'
    assert story.events[-1] == "observed"


def test_a_failure_of_a_superseded_attempt_is_only_recorded() -> None:
    """The current attempt goes on."""
    story = Scenario.of(CHAIN).starts().next_timer_fires().next_timer_fires()
    story.fails("first", attempt=1)
    assert story.action("first") is EffortStatus.RUNNING
    assert story.events[-1] == "observed"


def test_a_late_failure_that_leaves_the_effect_open_takes_no_uncertainty_away() -> None:
    """An attempt that timed out, and whose participant can't tell either, may have had its effect."""
    story = Scenario.of(CHAIN).starts().next_timer_fires().next_timer_fires()
    story.fails("first", attempt=1, effect_unknown=True)
    story.fails("first", retryable=False)
    assert story.action("first") is EffortStatus.UNKNOWN


def test_a_wake_before_its_time_or_of_an_older_version_does_nothing() -> None:
    """A timer never fires early, and never with effect for what is closed."""
    from saga.process.inputs import WokenUp  # noqa: PLC0415

    story = Scenario.of(CHAIN).starts()
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    version = story.state.version
    story.receives(WokenUp(version, wake.at))
    assert story.state.version == version
    story.completes("first").waits(60_000).receives(WokenUp(version, wake.at))
    assert story.action("second") is EffortStatus.RUNNING


def test_progress_moves_the_time_out_at_most_to_ten_times_its_length() -> None:
    """Each report moves the due time; ten times the time-out after the start it stands still."""
    story = Scenario.of(CHAIN).starts()
    begun = story.now
    for _ in range(30):
        story.waits(20_000)
        if story.state.step("first").action.attempts[0].due_at <= story.now:
            break
        story.reports_progress("first", 50.0)
    assert story.state.step("first").action.attempts[0].due_at == begun + 300_000


def test_frequent_progress_is_appended_at_most_once_per_quarter_of_the_time_out() -> None:
    """A chatty participant does not fill the log."""
    story = Scenario.of(CHAIN).starts()
    for _ in range(30):
        story.waits(1_000).reports_progress("first")
    assert story.events.count("step_progressed") == 30 // 8


def test_an_accepted_process_whose_start_message_was_lost_is_started_by_its_timer() -> None:
    """The projection's timer stands in for the message."""
    story = Scenario.of(CHAIN)
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert wake.reason is WakeReason.START
    story.next_timer_fires().expect_commands("first.a1")


def test_a_release_that_does_not_fit_one_document_goes_in_slices() -> None:
    """Large commands are released slice by slice; a timer that is due at once asks for the next."""
    steps = "".join(
        f"- {{name: s{i}, service: one, action: do, compensation: undo, after: []}}\n" for i in range(12)
    )
    story = Scenario.of(steps, parameters={"blob": "x" * 1_000_000}).starts()
    assert len(story.sent) == 5
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert (wake.at, wake.reason) == (story.now, WakeReason.RELEASE)
    story.next_timer_fires().next_timer_fires()
    assert len(story.sent) == 12
    assert len({command.command_id for command in story.sent}) == 12


def test_a_step_whose_command_would_be_too_large_fails_for_good() -> None:
    """What can't be sent is a failure with a reason, and the process turns back."""
    steps = "".join(
        f"- {{name: s{i}, service: one, action: do, compensation: undo, after: []}}\n" for i in range(6)
    )
    names = ", ".join(f"s{i}" for i in range(6))
    steps += f"- {{name: last, service: one, action: do, compensation: undo, after: [{names}]}}\n"
    story = Scenario.of(steps).starts()
    for i in range(6):
        story.completes(f"s{i}", "x" * 1_000_000)
    story.expect_status("compensating")
    assert story.action("last") is EffortStatus.FAILED
    assert "command_too_large" in (story.state.step("last").action.error or "")
