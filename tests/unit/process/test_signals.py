"""Signals: a step that waits for somebody's word, with nothing sent and nothing to undo."""

import pytest

from saga.process.status import EffortStatus
from saga.process.timers import WakeReason, next_wake
from tests.support.scenario import Scenario

APPROVAL = """
- {name: a, service: s, action: do, compensation: undo}
- {name: ok, signal: true, timeout: 60}
- {name: b, service: s, action: do, compensation: undo}
"""
BESIDE = """
- {name: ok, signal: true, timeout: 60, after: []}
- {name: a, service: s, action: do, compensation: undo, after: []}
"""
BEHIND = """
- {name: pay, service: s, action: do, pivot: true}
- {name: ok, signal: true, timeout: 60}
- {name: b, service: s, action: do}
"""


def test_nothing_is_sent_for_a_signal_and_its_word_completes_the_step() -> None:
    """What the word brings is the step's output, for those that come after it."""
    story = Scenario.of(APPROVAL).starts().completes("a").expect_commands("a.a1")
    assert story.events[-1] == "signal_waiting"
    story.completes("ok", {"by": "ada"}).expect_commands("b.a1")
    assert story.body("b.a1")["results"]["ok"] == {"by": "ada"}


def test_a_signal_that_is_refused_turns_the_process_back() -> None:
    """It is not tried again, whatever the refusal says of that."""
    story = Scenario.of(APPROVAL).starts().completes("a").fails("ok", "denied").expect_status("compensating")
    assert story.action("ok") is EffortStatus.FAILED
    story.expect_commands("a.a1", "a.c1").undoes("a").expect_status("compensated")


def test_a_signal_that_nobody_gives_in_time_fails_and_is_not_undone() -> None:
    """Nothing was sent, so that nothing can have happened."""
    story = Scenario.of(APPROVAL).starts().completes("a")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert (wake.at - story.now, wake.reason) == (60_000, WakeReason.TIMEOUT)
    story.next_timer_fires().expect_status("compensating")
    assert story.action("ok") is EffortStatus.FAILED
    assert story.undo("ok") is None
    story.undoes("a").expect_status("compensated")


def test_turning_back_closes_a_signal_as_skipped_and_awaits_nothing() -> None:
    """A step beside it failed."""
    story = Scenario.of(BESIDE).starts().fails_for_good("a").expect_status("compensated")
    assert story.action("ok") is EffortStatus.SKIPPED


@pytest.mark.parametrize("word", ["completed", "failed"])
def test_the_late_answer_to_a_closed_signal_is_recorded_and_nothing_more(word: str) -> None:
    """Nobody must look at it: there is nothing that it left behind."""
    story = Scenario.of(BESIDE).starts().fails_for_good("a")
    if word == "completed":
        story.completes("ok", "yes")
    else:
        story.fails("ok")
    story.expect_status("compensated")
    assert story.events[-1] == "observed"
    assert not story.state.attention
    assert story.action("ok") is EffortStatus.SKIPPED


def test_a_cancel_closes_a_signal() -> None:
    """It need not wait for its time-out."""
    story = Scenario.of(APPROVAL).starts().completes("a").is_asked("cancel").expect_commands("a.a1", "a.c1")
    assert story.action("ok") is EffortStatus.SKIPPED


def test_the_deadline_closes_a_signal_as_skipped_not_as_unknown() -> None:
    """What runs is unknown then; a signal does not run."""
    story = Scenario.of(BESIDE, head="deadline: 100").starts().completes("a")
    story.reports_progress("ok").waits(50_000).reports_progress("ok").next_timer_fires()
    assert story.action("ok") is EffortStatus.SKIPPED
    assert story.state.reason == "deadline"


def test_a_signal_behind_the_pivot_that_nobody_gave_suspends_and_a_late_word_resumes() -> None:
    """There is no way back; the word itself is the way out."""
    story = Scenario.of(BEHIND).starts().completes("pay").next_timer_fires().expect_status("suspended")
    story.completes("ok", attempt=1).expect_status("started").expect_commands("pay.a1", "b.a1")


def test_a_retry_waits_for_the_signal_once_more() -> None:
    """The whole time is given again; the command id that answers it counts on."""
    story = Scenario.of(BEHIND).starts().completes("pay").next_timer_fires().is_asked("retry", "ok")
    story.expect_status("started")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert wake.at - story.now == 60_000
    story.completes("ok", attempt=2).completes("b").expect_status("completed")


def test_a_signal_is_skipped_by_its_condition() -> None:
    """Then nobody is asked."""
    steps = APPROVAL.replace("timeout: 60", 'timeout: 60, when: "parameters.dear"')
    story = Scenario.of(steps).starts().completes("a").expect_commands("a.a1", "b.a1")
    assert story.action("ok") is EffortStatus.SKIPPED


def test_a_word_that_comes_during_a_pause_is_kept_and_obeyed_afterwards() -> None:
    """The step is completed at once, what follows waits."""
    story = Scenario.of(APPROVAL).starts().completes("a").is_asked("pause").completes("ok")
    story.expect_commands("a.a1").is_asked("resume").expect_commands("b.a1")


def test_a_signal_whose_time_is_over_during_a_pause_turns_back_afterwards() -> None:
    """The time-out is recorded, its consequences wait."""
    story = Scenario.of(APPROVAL).starts().completes("a").is_asked("pause").next_timer_fires()
    story.expect_status("paused").expect_commands("a.a1")
    story.is_asked("resume").expect_status("compensating").expect_commands("a.c1")
