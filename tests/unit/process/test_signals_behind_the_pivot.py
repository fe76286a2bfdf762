"""A signal that nobody gives where nothing turns back any more."""

from __future__ import annotations

from saga.process import inputs
from saga.process.status import EffortStatus, OperatorAction
from tests.support.scenario import Scenario

STEPS = """
  - {name: p, service: s, action: x, pivot: true}
  - {name: z, signal: true, timeout: 60}
"""


def test_a_signal_that_nobody_gave_twice_is_failed_and_not_unknown() -> None:
    """Nothing was sent for it, so that there is nothing which anybody could have carried out."""
    story = Scenario.of(STEPS).starts().completes("p").next_timer_fires().expect_status("suspended")
    assert story.action("z") is EffortStatus.FAILED
    story.receives(inputs.OperatorRequested(OperatorAction.RETRY, "why", "somebody", "r1", "z"))
    story.expect_status("started").next_timer_fires().expect_status("suspended")
    assert story.action("z") is EffortStatus.FAILED
    assert story.state.suspended_for == "action_failed"
