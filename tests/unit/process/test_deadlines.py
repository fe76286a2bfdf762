"""The deadline of a process: what it cuts off, what it waits for, and what it can't turn back any more."""

import pytest

from saga.process.status import EffortStatus
from saga.process.timers import WakeReason, deadline_at, next_wake
from tests.support.scenario import START, Scenario

SLOW = """
- {name: a, service: s, action: do, compensation: undo, after: [], timeout: 10, retry: {attempts: 1}}
- {name: b, service: s, action: do, compensation: undo, after: [], timeout: 10, retry: {attempts: 1}}
- {name: last, service: s, action: do, compensation: undo, timeout: 10, retry: {attempts: 1}, after: [a, b]}
"""
PIVOT = """
- {name: a, service: s, action: do, compensation: undo, timeout: 10, retry: {attempts: 1}}
- {name: pay, service: s, action: do, pivot: true, timeout: 10, retry: {attempts: 2, backoff: 1}}
- {name: mail, service: s, action: do, timeout: 10}
"""
RETRIED = """
- {name: a, service: s, action: do, compensation: undo, timeout: 10, retry: {attempts: 2, backoff: BACKOFF}}
"""
HEAD = "deadline: 40"


def _late(steps: str, working: str, *done: str, head: str = HEAD) -> Scenario:
    """Give a process at its deadline while a step reports that it is still at work."""
    story = Scenario.of(steps, head=head).starts()
    for step in done:
        story.completes(step)
    while (
        wake := next_wake(story.graph, story.state)
    ) is not None and wake.reason is not WakeReason.DEADLINE:
        story.waits(wake.at - story.now - 1).reports_progress(working)
    return story.next_timer_fires()


def test_at_the_deadline_what_runs_is_unknown_at_once_and_undone_with_what_completed() -> None:
    """Nothing is awaited any more."""
    story = _late(SLOW, "b", "a").expect_status("compensating")
    assert story.now == START + 40_000
    assert story.state.reason == "deadline"
    assert story.action("b") is EffortStatus.UNKNOWN
    story.expect_commands("a.a1", "b.a1", "a.c1", "b.c1").undoes("a").undoes("b").expect_status("compensated")
    assert story.body("b.c1")["compensates"]["output"] is None


def test_a_late_completion_of_what_the_deadline_cut_off_is_undone() -> None:
    """The undo that found nothing is repeated with the output; one that undid it is not."""
    story = _late(SLOW, "b", "a").undoes("b", {"nothing_to_undo": True}).completes("b", "ref")
    assert story.body("b.c2")["compensates"]["output"] == "ref"
    story = (
        _late(SLOW, "b", "a").undoes("b", {}).completes("b", "ref").undoes("a").expect_status("compensated")
    )
    story.expect_commands("a.a1", "b.a1", "a.c1", "b.c1")


def test_a_step_in_backoff_is_closed_by_the_outcomes_of_its_attempts() -> None:
    """Answered, it failed; not answered, it is unknown. Neither is tried again, though it is due by then."""
    steps = RETRIED.replace("BACKOFF", "10")
    failed = Scenario.of(steps, head="deadline: 30").starts().waits(9_000).reports_progress("a")
    failed.waits(9_000).fails("a", retry_after_ms=12_000).next_timer_fires().expect_status("compensated")
    assert failed.action("a") is EffortStatus.FAILED
    failed.expect_commands("a.a1")
    silent = Scenario.of(steps, head="deadline: 30").starts().waits(9_000).reports_progress("a").waits(5_000)
    silent.reports_progress("a").next_timer_fires()
    assert silent.action("a") is EffortStatus.RETRYING
    silent.next_timer_fires().expect_commands("a.a1", "a.c1")
    assert silent.action("a") is EffortStatus.UNKNOWN


def test_while_the_pivot_is_in_flight_the_deadline_is_noted_and_obeyed_if_it_fails() -> None:
    """By the reason of the deadline."""
    story = _late(PIVOT, "pay", "a").expect_status("started").expect_commands("a.a1", "pay.a1")
    assert story.events[-2:] == ["deadline_passed", "turn_noted"]
    story.fails("pay").expect_status("compensating").expect_commands("a.c1")
    assert story.state.reason == "deadline"
    assert story.action("pay") is EffortStatus.FAILED


def test_a_pivot_that_completes_after_the_deadline_goes_on() -> None:
    """The deadline has had its say."""
    story = _late(PIVOT, "pay", "a").completes("pay").expect_status("started")
    assert deadline_at(story.graph, story.state) is None
    story.completes("mail").expect_status("completed")


def test_a_pivot_that_is_not_answered_after_the_deadline_has_not_failed() -> None:
    """It is tried again, because what became of it must be known; in the end a person is asked."""
    story = _late(PIVOT, "pay", "a").next_timer_fires()
    assert story.action("pay") is EffortStatus.RETRYING
    story.next_timer_fires().next_timer_fires().expect_status("suspended")
    assert story.state.suspended_for == "action_unknown"


def test_behind_the_pivot_the_deadline_only_raises_attention() -> None:
    """There is no way back; the process goes on, and somebody should look at it."""
    story = _late(PIVOT, "mail", "a", "pay").expect_status("started")
    assert story.state.attention
    assert story.events[-1] == "deadline_passed"
    story.completes("mail").expect_status("completed")


def test_a_process_that_has_turned_back_has_no_deadline_any_more() -> None:
    """Undoing takes as long as it takes."""
    story = (
        Scenario.of(SLOW, head=HEAD).starts().completes("a").fails_for_good("b").expect_status("compensating")
    )
    assert deadline_at(story.graph, story.state) is None


def test_the_deadline_counts_from_the_acceptance() -> None:
    """Also where nobody took the process for a while."""
    story = Scenario.of(SLOW, head=HEAD).waits(5_000).starts()
    assert deadline_at(story.graph, story.state) == START + 40_000


@pytest.mark.parametrize("pause_ms", [1_000, 3_600_000])
def test_the_deadline_stands_still_over_a_pause(pause_ms: int) -> None:
    """However long it is; several add up."""
    story = Scenario.of(SLOW, head=HEAD).starts()
    for _ in range(2):
        story.is_asked("pause")
        assert deadline_at(story.graph, story.state) is None
        story.waits(pause_ms).is_asked("resume")
    assert deadline_at(story.graph, story.state) == START + 40_000 + 2 * pause_ms


def test_the_deadline_stands_still_while_the_process_is_suspended() -> None:
    """A person who takes a day to decide costs it nothing."""
    story = Scenario.of(PIVOT, head=HEAD).starts().completes("a").completes("pay")
    story.fails_for_good("mail").expect_status("suspended")
    assert deadline_at(story.graph, story.state) is None
    story.waits(86_400_000).is_asked("retry").expect_status("started")
    assert deadline_at(story.graph, story.state) == START + 40_000 + 86_400_000


def test_the_deadline_goes_before_a_retry_that_is_due_with_it() -> None:
    """Nothing is sent for which there is no more time."""
    steps = RETRIED.replace("BACKOFF", "5")
    story = Scenario.of(steps, head="deadline: 25").starts().waits(5_000)
    story.fails("a", retry_after_ms=20_000).next_timer_fires().expect_commands("a.a1").expect_status(
        "compensated"
    )


def test_items_in_flight_are_unknown_at_the_deadline_and_undone() -> None:
    """Each by itself; those that were never started have nothing to undo."""
    steps = """
    - name: e
      service: s
      action: do
      compensation: undo
      for_each: parameters.list
      at_once: 2
      timeout: 10
      retry: {attempts: 1}
    """
    story = Scenario.of(steps, head="deadline: 10", parameters={"list": [1, 2, 3]}).starts()
    story.completes("e[0]").next_timer_fires().expect_status("compensating")
    assert story.state.reason == "deadline"
    assert [story.action(f"e[{index}]") for index in range(3)] == [
        EffortStatus.DONE, EffortStatus.UNKNOWN, EffortStatus.UNKNOWN,
    ]  # fmt: skip
    story.undoes("e[0]").undoes("e[1]").undoes("e[2]").expect_status("compensated")
