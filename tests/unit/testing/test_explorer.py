"""The exhaustive search: it reaches every state of small sagas, and finds a machine that is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from saga.process import advance, replying, timers
from saga.process.snapshot import to_snapshot
from saga.process.status import EffortStatus, OperatorAction
from saga.testing.explorer import Exploration, explore
from tests.unit.testing.exploring import NAMES, PARAMETERS, definition, small

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga.definition.graph import StepGraph
    from saga.messages.json_text import JsonText
    from saga.process.state import ProcessState
    from saga.process.survey import Survey

_STATES_MAX = 3_000


@pytest.mark.parametrize("name", NAMES)
def test_every_state_of_a_small_saga_keeps_the_rules(name: str) -> None:
    """Whatever comes in whatever order, no rule is broken and every state leads to an end or to a person."""
    found = explore(small(name), PARAMETERS, states_max=_STATES_MAX)
    assert found.violations == ()
    assert found.is_complete, found.bounded_by
    assert found.rests["completed"] > 0
    assert found.rests["compensated"] > 0


@pytest.mark.parametrize("name", ["sequence", "pivot", "signal", "question", "deadline", "child", "lock"])
def test_a_cancel_at_any_moment_keeps_the_rules(name: str) -> None:
    """A person may cancel before, between and after all of it; a failure may leave its effect open."""
    found = explore(
        small(name), PARAMETERS, requests=[OperatorAction.CANCEL], lost_effects=True, states_max=4_000
    )
    assert found.violations == ()
    assert found.is_complete, found.bounded_by


@pytest.mark.parametrize(
    "requests",
    [
        (OperatorAction.PAUSE, OperatorAction.RESUME),
        (OperatorAction.PAUSE, OperatorAction.FAIL),
        (OperatorAction.RETRY,),
        (OperatorAction.RESOLVE,),
        (OperatorAction.CANCEL, OperatorAction.SKIP),
        (OperatorAction.COMPENSATE,),
    ],
    ids="+".join,
)
@pytest.mark.parametrize("name", ["pivot", "condition"])
def test_what_a_person_asks_keeps_the_rules(name: str, requests: tuple[OperatorAction, ...]) -> None:
    """Each request may come at any moment, allowed or not."""
    found = explore(small(name), PARAMETERS, requests=requests, states_max=6_000)
    assert found.violations == ()
    assert found.is_complete, found.bounded_by


@pytest.mark.parametrize("request_", [OperatorAction.RETRY, OperatorAction.RESOLVE])
def test_what_a_person_asks_keeps_the_order_of_undoing(request_: OperatorAction) -> None:
    """What joined the plan late goes first, also before an undo that a person orders again."""
    found = explore(small("sequence"), requests=[request_], attempts_max=1, states_max=4_000)
    assert found.violations == ()
    assert found.is_complete, found.bounded_by


def test_a_persons_word_that_is_not_undone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that a person says completed is undone again where its undo had found nothing."""
    monkeypatch.setattr("saga.process.operating.plan_late_undo", lambda *_: None)
    found = explore(small("sequence"), requests=[OperatorAction.RESOLVE], attempts_max=1)
    assert "compensated means that everything that may have happened is undone" in _rules(found)


def test_a_bound_is_said() -> None:
    """A search that is cut short is not complete, and says what bounded it."""
    found = explore(small("sequence"), states_max=10)
    assert (found.states, found.is_complete, found.bounded_by) == (10, False, "10 states")


def test_progress_is_told() -> None:
    """Whoever waits hears how many states were reached."""
    told: list[int] = []
    found = explore(small("sequence"), states_max=50, on_progress=told.append)
    assert told == list(range(1, found.states + 1))


def test_the_way_to_an_end_is_the_shortest() -> None:
    """One step, answered well: accepted, started, completed; nothing else happens."""
    one = definition(
        "retry: {attempts: 1}\nsteps:\n  - {name: a, service: s, action: do, compensation: none, timeout: 1}\n"
    )
    found = explore(one)
    assert found.is_complete
    assert found.rests == {"completed": 1, "compensated": 2}


# A machine that is broken is found.


def _rules(found: Exploration) -> set[str]:
    return {violation.rule for violation in found.violations}


def test_undoing_in_forward_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is judged by the definition as it is written; the shortest way there is told."""

    def forward(_graph: StepGraph, state: ProcessState, _seen: Survey) -> Iterator[str]:
        pending = (
            name
            for name, step in state.steps.items()
            if step.undo is not None and step.undo.status is EffortStatus.PENDING
        )
        yield from list(pending)[:1]

    monkeypatch.setattr(advance, "undoable", forward)
    found = explore(small("sequence"), states_max=_STATES_MAX)
    assert "a step is undone after all that comes after it" in _rules(found)
    assert found.violations[0].path[:3] == ("accepted", "start", "a action 1: completed")


def test_a_late_completion_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An undo that found nothing came before its action: compensated would leave the effect behind."""
    monkeypatch.setattr(replying, "_needs_undo_after_all", lambda *_: False)
    found = explore(small("signal"), states_max=_STATES_MAX)
    assert "compensated means that everything that may have happened is undone" in _rules(found)
    assert any("late completed" in message for message in found.violations[0].path)


def test_an_effect_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that was never answered may have happened; a plan without it leaves the effect behind."""
    monkeypatch.setattr(advance, "to_undo", lambda *_: ())
    found = explore(small("signal"), states_max=_STATES_MAX)
    assert "compensated means that everything that may have happened is undone" in _rules(found)


def test_going_forward_after_turning_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch that still runs when the other fails must not be tried again."""
    monkeypatch.setattr("saga.process.attempts._may_go_forward", lambda *_, **__: True)
    fork = definition(
        """steps:
  - {name: a, service: s, action: do, compensation: undo, after: [], retry: {attempts: 1}}
  - {name: b, service: s, action: do, compensation: undo, after: []}
"""
    )
    assert "nothing new goes forward once it turned back" in _rules(explore(fork, states_max=500))


def test_a_standstill_that_nobody_sees_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An undo that failed for good must suspend the process."""
    monkeypatch.setattr(advance, "_suspend_if_stuck", lambda _: None)
    assert "what has not ended waits for something" in _rules(explore(small("signal")))


def test_a_timer_that_is_not_set_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step in backoff that no timer wakes waits for ever."""
    monkeypatch.setattr(timers, "_first_of_the_attempts", lambda *_: None)
    assert "what has not ended waits for something" in _rules(explore(small("signal")))


def test_a_state_that_leads_nowhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """From each state an end can be reached, or a standstill that a person sees: here nobody looks."""
    monkeypatch.setattr("saga.testing.explorer._RESTS", frozenset())
    assert _rules(explore(small("pivot"))) == {"every state leads to an end or to a person"}


def test_an_exception_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message may make a decision fail; the message that does is told."""

    def fails(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("saga.process.decide.wake", fails)
    violation = explore(small("signal")).violations[0]
    assert violation.rule == "no message makes a decision fail"
    assert violation.detail == "RuntimeError: boom"
    assert violation.path[-1].startswith("timer")


def test_a_snapshot_that_loses_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash the state is read from what is stored."""

    def forgetful(state: ProcessState) -> JsonText:
        return to_snapshot(replace(state, is_taken=False))

    monkeypatch.setattr("saga.testing.explore_machine.to_snapshot", forgetful)
    assert explore(small("signal")).violations


def test_a_duplicate_that_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is delivered again gives no event; here it is forgotten that it came before."""
    monkeypatch.setattr("saga.process.evolve_steps._completed", _without_replies)
    assert "a duplicate changes nothing" in _rules(explore(small("signal")))


def _without_replies(effort: object, event: object, at: int) -> object:
    from saga.process.evolve_steps import _settled  # noqa: PLC0415 - what is broken stands beside how

    return replace(_settled(effort, EffortStatus.DONE, at), output=event.output)  # type: ignore[arg-type,attr-defined]  # only what is needed
