"""Rulings: what a message causes on a state, and what is refused; pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saga.coordinator.admitted import Rejected
from saga.coordinator.rulings import Beginning, rule, rule_on_new
from saga.messages.json_text import JsonText
from saga.process.codec import event_name
from saga.process.events import AttemptFailed, Suspended
from saga.process.limits import PROCESS_BYTES_MAX, UNDECIDABLE
from saga.process.status import EffortStatus, ProcessStatus
from saga.process.timers import next_wake
from tests.unit.coordinator import standings as st


def test_a_new_start_is_accepted_and_begun_at_once() -> None:
    """One transition: accepted, taken, and the first commands decided."""
    ruling = st.begun()

    assert [event_name(event) for event in ruling.events] == ["accepted", "started", "step_started"]
    assert ruling.state.version == 3
    assert ruling.parked is None


def test_parameters_that_break_the_schema_are_rejected() -> None:
    """With pointers, without values."""
    with pytest.raises(Rejected) as rejected:
        rule_on_new(st.start(parameters={"a": "CANARY"}), Beginning(st.known(), {}), st.NOW)
    assert rejected.value.reason == "invalid-parameters"
    assert "/a " in rejected.value.detail
    assert "CANARY" not in str(rejected.value)


def test_the_same_start_again_changes_nothing_and_another_is_rejected() -> None:
    """One process id is one request."""
    assert rule(st.start(), st.standing(), st.NOW).events == ()
    with pytest.raises(Rejected) as rejected:
        rule(st.start(parameters={"a": 2}), st.standing(), st.NOW)
    assert rejected.value.reason == "conflicting-start"


@pytest.mark.parametrize(("step", "attempt"), [("one", 2), ("two", 1), ("nobody", 1)])
def test_a_reply_to_a_command_that_was_never_sent_is_rejected(step: str, attempt: int) -> None:
    """A later attempt, a step that did not start, a step of another saga."""
    with pytest.raises(Rejected) as rejected:
        rule(st.completed(step, attempt), st.standing(), st.NOW)
    assert rejected.value.reason == "unknown-command"


def test_a_wake_of_another_version_changes_nothing() -> None:
    """Whoever wrote the newer version set its own timer."""
    state = st.begun().state
    for version in (state.version - 1, state.version + 1):
        assert rule(st.woken(version, st.NOW), st.standing(), st.NOW + 60_000).events == ()


def test_an_output_above_the_limit_of_a_process_is_parked_and_its_step_is_unknown() -> None:
    """The participant did something that can't be kept: tried again or undone, never taken for failed."""
    state = st.grown(st.begun().state, PROCESS_BYTES_MAX)
    ruling = rule(st.completed(output="x"), st.standing(state), st.NOW)

    assert ruling.parked
    failed = ruling.events[0]
    assert isinstance(failed, AttemptFailed)
    assert failed.effect_unknown
    assert '"unusable_output"' in failed.error


def test_an_output_that_just_fits_is_kept() -> None:
    """The limit itself is allowed."""
    output = JsonText('"x"')
    state = st.grown(st.begun().state, PROCESS_BYTES_MAX - len(output))

    ruling = rule(st.completed_with(output), st.standing(state), st.NOW)

    assert ruling.parked is None
    assert ruling.state.step("one").action.status is EffortStatus.DONE


def test_what_can_not_be_decided_suspends_its_process() -> None:
    """A defect of ours stops this process, visibly, and the message is done with."""
    state = st.damaged(st.begun().state)

    ruling = rule(st.completed(), st.standing(state), st.NOW)

    (suspended,) = ruling.events
    assert isinstance(suspended, Suspended)
    assert suspended.reason == UNDECIDABLE
    assert ruling.state.status is ProcessStatus.SUSPENDED
    assert ruling.state.version == state.version + 1
    assert next_wake(st.known().graph, ruling.state) is None


def test_what_can_not_be_decided_on_a_suspended_process_is_parked() -> None:
    """It can't be suspended twice, so the message itself is kept for a person."""
    sound = st.begun().state
    state = st.damaged(replace(sound, status=ProcessStatus.SUSPENDED, suspended_for="action_unknown"))

    with pytest.raises(Rejected) as rejected:
        rule(st.completed(), st.standing(state), st.NOW)
    assert rejected.value.reason == "undecidable"


def test_ruling_is_pure() -> None:
    """The same message on the same state gives the same events, and leaves the state alone."""
    state = st.begun().state
    first = rule(st.completed(), st.standing(state), st.NOW)
    second = rule(st.completed(), st.standing(state), st.NOW)

    assert first.events == second.events
    assert first.state == second.state
    assert state == st.begun().state
