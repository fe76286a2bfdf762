"""A changed copy is what `dataclasses.replace` gives, and the value that it is made of stays as it is."""

from dataclasses import replace

import pytest

from saga.process.changed import with_changes
from saga.process.state import Attempt, Effort, ProcessState, StepState
from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

STATE = Scenario.of("- {name: one, service: one, action: do, compensation: undo}").starts().state
EFFORT = STATE.step("one").action


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (STATE, {"version": 9, "reason": "because", "attention": True}),
        (STATE.step("one"), {"action": Effort()}),
        (EFFORT, {"status": EffortStatus.DONE, "output": "7"}),
        (EFFORT.attempts[0], {"replies": frozenset({"completed"})}),
        (STATE, {}),
    ],
)
def test_a_changed_copy_is_what_replace_gives(
    value: ProcessState | StepState | Effort | Attempt, changes: dict[str, object]
) -> None:
    """Of each of the values that events change."""
    before = replace(value)
    assert with_changes(value, **changes) == replace(value, **changes)  # type: ignore[arg-type, type-var]  # members of a test
    assert value == before


def test_a_member_that_is_not_there_is_refused() -> None:
    """As a misspelt one would be."""
    with pytest.raises(KeyError):
        with_changes(EFFORT, mood="blue")
