"""A decision that today's code makes otherwise is told with what it was, and what it would be now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest

from saga.coordinator import rulings
from saga.messages.json_text import JsonText
from saga.process import decide as deciding
from saga.process.events import (
    Accepted,
    AttemptCompleted,
    AttemptStarted,
    Event,
    OperatorActed,
    OperatorRejected,
    Paused,
    Suspended,
)
from saga.process.limits import UNDECIDABLE
from saga.replay.replaying import Outcome
from saga.replay.verifying import Verification
from tests.histories.test_histories import FILES, histories_of
from tests.unit.replay.histories import known

if TYPE_CHECKING:
    from collections.abc import Callable

    from saga.messages.command import Command
    from saga.replay.history import History
    from saga.replay.lines import ExportedHistories
    from saga.replay.verifying import Verified

_E = TypeVar("_E", bound=Event)


@pytest.fixture(scope="module")
def histories() -> ExportedHistories:
    """Give recorded histories of all kinds."""
    return histories_of(FILES[-1])


async def _with(
    histories: ExportedHistories, kind: type[_E], suits: Callable[[_E], bool] = lambda _: True
) -> tuple[History, int, int]:
    """Find a history with such an event: in which transition, and at which place of it."""
    async for history in histories.every():
        for index, transition in enumerate(history.transitions):
            for place, event in enumerate(transition.events):
                if isinstance(event, kind) and suits(event):
                    return history, index, place
    raise AssertionError(kind)


def _changed(history: History, index: int, **changes: object) -> History:
    transitions = list(history.transitions)
    transitions[index] = replace(transitions[index], **changes)  # type: ignore[arg-type]  # members of a test
    return replace(history, transitions=tuple(transitions))


async def _verify(histories: ExportedHistories, history: History) -> Verified:
    verified = await Verification(histories).verify(history)
    assert verified is not None
    return verified


async def test_another_output_is_told_by_event_and_field(histories: ExportedHistories) -> None:
    """The decisions behind it are judged by what the log says."""
    history, index, place = await _with(histories, AttemptCompleted)
    transition = history.transitions[index]
    event = transition.events[place]
    assert isinstance(event, AttemptCompleted)
    damaged = replace(event, output=JsonText('"other"'))
    events = (*transition.events[:place], damaged, *transition.events[place + 1 :])
    verified = await _verify(histories, _changed(history, index, events=events))
    assert verified.outcome is Outcome.DIFFERENT
    first = verified.differences[0]
    assert first.sequence == transition.first + place
    assert first.message == f"reply {transition.cause.identity}"
    assert (first.fields[0].field, first.fields[0].log, first.fields[0].found) == (
        "output",
        '"other"',
        event.output,
    )
    assert first.then[place]["output"] == '"other"'
    assert first.now[place]["output"] == event.output


async def test_another_command_is_told_by_its_field(histories: ExportedHistories) -> None:
    """A body is compared member by member."""
    async for history in histories.every():
        found = next((index for index, one in enumerate(history.transitions) if one.commands), None)
        if found is None:
            continue
        command = history.transitions[found].commands[0]
        body = JsonText(command.body.replace('"attempt":1', '"attempt":9'))
        damaged = _changed(history, found, commands=(replace(command, body=body),))
        verified = await _verify(histories, damaged)
        fields = {one.field for one in verified.differences[0].fields}
        assert "commands[0].body.attempt" in fields
        return
    raise AssertionError("no history has a command")


async def test_where_the_replies_went_is_no_difference(histories: ExportedHistories) -> None:
    """It depends on who sent the commands; all those of a transition have one sender."""
    count = 0
    async for history in histories.every():
        moved = [
            replace(one, commands=tuple(_replied_elsewhere(command) for command in one.commands))
            for one in history.transitions
        ]
        count += sum(
            one.commands != other.commands for one, other in zip(moved, history.transitions, strict=True)
        )
        verified = await Verification(histories).verify(replace(history, transitions=tuple(moved)))
        assert verified is not None
        assert verified.outcome is Outcome.SAME
    assert count


def _replied_elsewhere(command: Command) -> Command:
    return replace(
        command, body=JsonText(command.body.replace('"reply_key":"step"', '"reply_key":"step-3"', 1))
    )


async def test_a_missing_event_is_told_as_nothing(histories: ExportedHistories) -> None:
    """Beside what would stand there now."""
    history, index, _ = await _with(histories, AttemptStarted)
    transition = history.transitions[index]
    short = _changed(history, index, events=transition.events[:-1])
    verified = await _verify(histories, replace(short, transitions=short.transitions[: index + 1]))
    field = verified.differences[0].fields[0]
    assert (field.sequence, field.field, field.log) == (transition.last, "event", None)


async def test_a_message_that_is_no_longer_taken_is_told_as_refused(histories: ExportedHistories) -> None:
    """With the reason; as is one whose body is another's."""
    history, index, _ = await _with(histories, AttemptCompleted)
    cause = history.transitions[index].cause
    for body, reason in (("{", "malformed-json"), (cause.body.replace(".a1", ".a2"), "other-message")):
        damaged = _changed(history, index, cause=replace(cause, body=body))
        verified = await _verify(histories, damaged)
        refusal = verified.differences[0].refusal
        assert refusal is not None
        assert refusal.startswith(reason)
    strange = _changed(history, index, cause=replace(cause, kind="photo"))
    assert "no message of the kind 'photo'" in str((await _verify(histories, strange)).differences[0].refusal)


async def test_a_defect_of_then_that_is_gone_is_a_difference(
    histories: ExportedHistories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the same defect is none: the process was suspended, and would be again."""
    history, index, _ = await _with(histories, AttemptCompleted)
    transition = history.transitions[index]
    stuck = Suspended(UNDECIDABLE, None, "KeyError while deciding on SuccessReceived")
    suspended = replace(transition, events=(stuck,), commands=())
    short = replace(history, transitions=(*history.transitions[:index], suspended))
    verified = await _verify(histories, short)
    assert verified.differences[0].then[0]["type"] == "suspended"
    assert verified.differences[0].now[0]["type"] == "step_completed"

    def fails(*arguments: object) -> object:
        if type(arguments[2]).__name__ == "SuccessReceived" and arguments[3] == transition.at:
            raise KeyError("x")
        return deciding.decide(*arguments)  # type: ignore[arg-type]  # they are passed on

    monkeypatch.setattr(rulings, "decide", fails)
    assert (await _verify(histories, short)).outcome is Outcome.SAME


async def test_the_words_of_people_are_fed_again(histories: ExportedHistories) -> None:
    """Obeyed or not; who asked, and how a type was paused, stands in the events."""
    for kind in (OperatorActed, OperatorRejected, Paused):
        history, index, place = await _with(histories, kind)
        assert (await _verify(histories, history)).is_well
        event = history.transitions[index].events[place]
        if isinstance(event, Paused):
            continue
        damaged = replace(event, reason="another reason")  # type: ignore[arg-type]  # it has one
        events = list(history.transitions[index].events)
        events[place] = damaged
        verified = await _verify(histories, _changed(history, index, events=tuple(events)))
        assert verified.differences[0].fields[0].field == "reason"


async def test_the_apis_own_first_event_is_judged_by_its_parameters(histories: ExportedHistories) -> None:
    """No message caused it."""

    def is_of_the_api(history: History) -> bool:
        return history.transitions[0].cause.kind == "client"

    async for history in histories.every():
        if is_of_the_api(history):
            assert (await _verify(histories, history)).is_well
            first = history.transitions[0].events[0]
            assert isinstance(first, Accepted)
            return
    raise AssertionError("no process was started over HTTP")


async def test_what_can_not_be_read_is_named(histories: ExportedHistories) -> None:
    """A log that starts in the middle, and a definition that is not there."""
    history, _, _ = await _with(histories, AttemptCompleted)
    headless = replace(history, transitions=history.transitions[1:])
    problem = (await _verify(histories, headless)).problem
    assert problem is not None
    assert (problem.sequence, problem.field) == (1, "type")
    accepted = history.transitions[0].events[0]
    assert isinstance(accepted, Accepted)
    lost = replace(accepted, definition_hash="lost")
    nowhere = _changed(history, 0, events=(lost, *history.transitions[0].events[1:]))
    problem = (await _verify(histories, nowhere)).problem
    assert problem is not None
    assert problem.field == "definition_hash"


async def test_another_definition_judges_the_processes_of_its_type_alone(
    histories: ExportedHistories,
) -> None:
    """Its own gives no difference; one with other steps takes another way; other types are passed over."""
    history, _, _ = await _with(histories, AttemptCompleted)
    first = history.transitions[0].events[0]
    assert isinstance(first, Accepted)
    own = await histories.definition(first.definition_hash)
    same = await Verification(histories, {first.process_type: own}).verify(history)
    assert same is not None
    assert same.is_well
    other = await Verification(histories, {first.process_type: known()}).verify(history)
    assert other is not None
    assert other.outcome is Outcome.DIFFERENT
    assert await Verification(histories, {"other": own}).verify(history) is None


async def test_a_command_that_is_no_json_any_more_is_told_as_it_stands(histories: ExportedHistories) -> None:
    """It is one of the fields that differ, and no failure of the tool."""
    history, index, _ = await _with(histories, AttemptStarted)
    transition = history.transitions[index]
    for body in ("no json", "[" * 100_000, "1e999"):
        commands = (replace(transition.commands[0], body=body), *transition.commands[1:])
        verified = await _verify(histories, _changed(history, index, commands=commands))
        assert verified.outcome is Outcome.DIFFERENT
        field = verified.differences[0].fields[0]
        assert (field.field, field.log) == ("commands[0].body", body)
