"""The pivot: before it everything can be undone, from it on there is only forward, or a person."""

from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

TRIP = """
- {name: hotel, service: hotel, action: book, compensation: cancel, after: []}
- {name: car, service: car, action: rent, compensation: cancel, after: []}
- {name: payment, service: payment, action: charge, pivot: true, after: [hotel], retry: {attempts: 1}}
- {name: ticket, service: ticket, action: issue, after: [payment], retry: {attempts: 1}}
- {name: mail, service: mail, action: send, after: [payment]}
"""


def test_the_pivot_waits_for_every_step_that_does_not_come_after_it() -> None:
    """Also for those that its `after` doesn't name: nothing undoable may be open once it is sent."""
    story = Scenario.of(TRIP).starts().expect_commands("hotel.a1", "car.a1")
    story.completes("hotel").expect_commands()
    story.completes("car").expect_commands("payment.a1")


def test_a_pivot_that_failed_turns_the_process_back() -> None:
    """A failure says that nothing happened, so everything before it can be undone."""
    story = Scenario.of(TRIP).starts().completes("hotel").completes("car").fails("payment")
    story.expect_status("compensating")
    story.undoes("hotel").undoes("car").expect_status("compensated")


def test_a_pivot_that_stays_unknown_suspends_the_process_and_never_turns_back() -> None:
    """Whether the money moved must be found out by a person, or by a late answer."""
    story = Scenario.of(TRIP).starts().completes("hotel").completes("car").next_timer_fires()
    story.expect_status("suspended")
    assert story.state.suspended_for == "action_unknown"
    assert story.action("payment") is EffortStatus.UNKNOWN
    story.fails("payment").expect_status("suspended")
    assert story.undo("hotel") is None


def test_a_late_completion_of_an_unknown_pivot_resumes_the_process() -> None:
    """The answer settles what the process waited for."""
    story = Scenario.of(TRIP).starts().completes("hotel").completes("car").next_timer_fires()
    story.completes("payment").expect_status("started")
    story.completes("ticket").completes("mail").expect_status("completed")


def test_a_step_after_the_pivot_that_spent_its_attempts_suspends_while_others_go_on() -> None:
    """Nothing turns back; the independent branch goes on; a late success resumes and completes."""
    story = Scenario.of(TRIP).starts().completes("hotel").completes("car").completes("payment")
    story.next_timer_fires().expect_status("suspended")
    story.completes("mail").expect_status("suspended")
    story.completes("ticket").expect_status("completed")


def test_a_final_failure_after_the_pivot_suspends() -> None:
    """There is only forward, so a person must find the way."""
    story = Scenario.of(TRIP).starts().completes("hotel").completes("car").completes("payment")
    story.fails_for_good("ticket").expect_status("suspended")
    assert story.state.suspended_for == "action_failed"
