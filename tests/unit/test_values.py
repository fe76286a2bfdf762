"""Values: a changed copy is what `dataclasses.replace` gives, and what it is made of stays as it is."""

from dataclasses import replace

import pytest

from saga.process.events import Compensated, Started
from saga.process.state import Attempt, Effort, ProcessState, StepState
from saga.process.status import EffortStatus
from saga.values import with_changes
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
    assert with_changes(value, **changes) == replace(value, **changes)  # type: ignore[arg-type]  # members of a test
    assert value == before


def test_a_member_that_is_not_there_is_refused() -> None:
    """As a misspelt one would be."""
    with pytest.raises(TypeError, match="Effort has no mood"):
        with_changes(EFFORT, mood="blue")


def test_values_that_hold_the_same_are_equal_and_hashed_alike() -> None:
    """But not those of another class, where these hold the same too."""
    assert replace(EFFORT) == EFFORT
    assert hash(replace(EFFORT)) == hash(EFFORT)
    nothing: list[object] = [Started(), Compensated()]
    assert nothing[0] != nothing[1]


def _assigned(effort: Effort) -> None:  # pragma: no cover
    # Were this allowed, the type checker would call the comment needless: it refuses that too.
    effort.output = None  # type: ignore[misc]
