"""A pause: what comes in is recorded, nothing is sent, and all that follows waits for its end."""

import pytest

from saga.process import inputs
from saga.process.status import EffortStatus
from saga.process.timers import next_wake
from tests.support.scenario import Scenario

STEPS = """
- {name: a, service: s, action: do, compensation: undo, timeout: 10, retry: {attempts: 2, backoff: 1}}
- {name: b, service: s, action: do, compensation: undo, timeout: 10, retry: {attempts: 2, backoff: 1}}
"""
ASKED = "- {name: a, service: s, action: do, compensation: undo, timeout: 10, verify: look}"
ITEMS = '- {name: e, service: s, action: do, compensation: undo, for_each: "parameters.list", at_once: 1}'


def _paused(steps: str = STEPS) -> Scenario:
    return Scenario.of(steps, parameters={"list": [1, 2]}).starts().is_asked("pause").expect_status("paused")


def test_a_completion_is_recorded_and_what_follows_starts_afterwards() -> None:
    """The step is done at once."""
    story = _paused().completes("a").expect_commands("a.a1")
    assert story.action("a") is EffortStatus.DONE
    story.is_asked("resume").expect_status("started").expect_commands("b.a1")


def test_a_failure_is_recorded_and_tried_again_afterwards() -> None:
    """Its retry is overdue by then, and fires at once."""
    story = _paused().fails("a").waits(3_600_000).expect_commands("a.a1")
    assert next_wake(story.graph, story.state) is None
    story.is_asked("resume")
    now = story.now
    story.next_timer_fires().expect_commands("a.a2")
    assert story.now == now


def test_a_time_out_is_recorded_and_its_consequences_wait() -> None:
    """The attempt counts as unanswered."""
    story = _paused().next_timer_fires().expect_status("paused").expect_commands("a.a1")
    assert story.events[-2:] == ["step_timed_out", "retry_scheduled"]
    story.is_asked("resume").next_timer_fires().expect_commands("a.a2")


def test_a_failure_for_good_turns_back_afterwards() -> None:
    """Nothing is undone during the pause."""
    story = Scenario.of(STEPS).starts().completes("a").is_asked("pause").fails_for_good("b")
    story.expect_status("paused").expect_commands("a.a1", "b.a1")
    story.is_asked("resume").expect_status("compensating").expect_commands("a.c1")


def test_no_question_is_asked_during_a_pause() -> None:
    """It is asked when the process goes on; an answer of the attempt that came meanwhile makes it needless."""
    asked = _paused(ASKED).next_timer_fires().expect_commands("a.a1")
    assert asked.action("a") is EffortStatus.VERIFYING
    asked.is_asked("resume").expect_commands("a.v1").verifies("a").expect_status("completed")
    answered = _paused(ASKED).next_timer_fires().completes("a").expect_status("paused")
    answered.is_asked("resume").expect_status("completed").expect_commands("a.a1")


def test_no_new_item_starts_during_a_pause() -> None:
    """The next one starts afterwards."""
    story = _paused(ITEMS).completes("e[0]").expect_commands("e.0.a1")
    story.is_asked("resume").expect_commands("e.1.a1")


def test_the_last_completion_completes_the_process_afterwards() -> None:
    """Its end is news to others, which is sent."""
    story = (
        Scenario.of(STEPS).starts().completes("a").is_asked("pause").completes("b").expect_status("paused")
    )
    story.is_asked("resume").expect_status("completed")


def test_on_the_way_back_a_pause_stops_the_undos_and_takes_their_answers() -> None:
    """It goes on in its direction."""
    story = (
        Scenario.of(STEPS).starts().completes("a").fails_for_good("b").is_asked("pause").fails_to_undo("a")
    )
    story.waits(60_000).expect_commands("a.a1", "b.a1", "a.c1").expect_status("paused")
    story.is_asked("resume").expect_status("compensating").next_timer_fires().expect_commands("a.c2")
    story.is_asked("pause").undoes("a").expect_status("paused").is_asked("resume").expect_status(
        "compensated"
    )


def test_a_late_completion_during_a_pause_joins_the_plan_and_is_undone_afterwards() -> None:
    """It is recorded like any other."""
    story = Scenario.of(STEPS).starts().completes("a").fails_for_good("b").is_asked("pause").completes("b")
    story.expect_commands("a.a1", "b.a1", "a.c1").is_asked("resume").expect_commands("b.c1")


def test_progress_is_taken_during_a_pause() -> None:
    """The participant still works."""
    story = _paused().waits(5_000).reports_progress("a")
    assert story.events[-1] == "step_progressed"


def test_a_process_of_a_paused_type_begins_paused() -> None:
    """Nothing is sent before somebody resumes it."""
    story = Scenario.of(STEPS).receives(inputs.StartRequested(is_paused=True)).expect_status("paused")
    story.expect_commands().is_asked("resume").expect_commands("a.a1")


def test_what_is_paused_is_cancelled_without_being_resumed() -> None:
    """It turns back at once."""
    story = Scenario.of(STEPS).starts().completes("a").is_asked("pause").is_asked("cancel").fails("b")
    story.expect_status("compensating").expect_commands("a.a1", "b.a1", "a.c1")


def test_what_is_paused_is_given_up() -> None:
    """It ends as it stands."""
    _paused().is_asked("fail").expect_status("failed").expect_commands("a.a1")


@pytest.mark.parametrize("status", ["paused", "suspended", "completed", "compensated"])
def test_only_what_moves_can_be_paused(status: str) -> None:
    """Anything else is rejected, with where it stands."""
    stories = {
        "paused": _paused(),
        "suspended": Scenario.of("- {name: a, service: s, action: do, pivot: true}").starts(),
        "completed": Scenario.of(STEPS).starts().completes("a").completes("b"),
        "compensated": Scenario.of(STEPS).starts().fails_for_good("a"),
    }
    story = stories[status]
    if status == "suspended":
        story.fails("a", retryable=False, effect_unknown=True)
    story.expect_status(status).is_asked("pause").expect_rejected(status)
