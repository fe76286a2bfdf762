"""The preview of a compensation: what it shows is what is sent then, to the byte but for the deadline."""

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga.definition.model import SagaDefinition
from saga.messages.command import Command
from saga.messages.json_text import JsonText
from saga.process import inputs
from saga.process.effects import awaited
from saga.process.operating import why_not_allowed
from saga.process.status import Direction, OperatorAction, ProcessStatus
from saga.replay.undo_preview import Left, UndoPreview, preview_undo
from tests.support.scenario import Scenario
from tests.unit.process.drawn import all_words
from tests.unit.process.family import Family
from tests.unit.process.test_properties_of_all_words import accepted

DIAMOND = """
- {name: a, service: s, action: do, compensation: undo}
- {name: b, service: s, action: do, compensation: undo, after: [a]}
- name: c
  service: s
  action: do
  compensation: {action: undo, input: {was: "results.c.id || 'nothing'"}}
  after: [a]
- {name: d, service: s, action: do, compensation: none, after: [b, c]}
"""
PIVOT = """
- {name: a, service: s, action: do, compensation: undo}
- {name: pay, service: s, action: do, pivot: true}
- {name: mail, service: s, action: do}
"""
_DEADLINE = re.compile(r'"deadline":"[^"]*"')


def _preview(story: Scenario) -> UndoPreview:
    return preview_undo(story.graph, story.state, story.now)


def _timeless(command: Command) -> tuple[str, str, str]:
    return command.command_id, command.routing_key, _DEADLINE.sub("", command.body)


def _names(preview: UndoPreview) -> list[list[str]]:
    return [[command.command_id.partition(".")[2] for command in wave] for wave in preview.waves]


def _left(preview: UndoPreview) -> dict[str, Left]:
    return {left.step: left.why for left in preview.left}


def _completed() -> Scenario:
    story = Scenario.of(DIAMOND).starts().completes("a", {"id": 1}).completes("b").completes("c", {"id": "x"})
    return story.completes("d").expect_status("completed")


def _sent_by_compensating(story: Scenario, *, at_most: int = 400) -> list[Command]:
    """Really compensate: each undo is acknowledged, nothing else took effect; give what was sent."""
    sent = len(story.sent)
    if why_not_allowed(story.graph, story.state, OperatorAction.COMPENSATE) is None:
        story.is_asked("compensate")
    elif story.status is ProcessStatus.PAUSED:
        story.is_asked("resume")
    for _ in range(at_most):
        # One at a time, as answers come, and not a whole wave at once.
        ref = next(awaited(story.state), None)
        if ref is not None:
            direction = Direction(ref.kind)
            if direction is Direction.COMPENSATION:
                story.undoes(ref.step, {}, attempt=ref.attempt)
            else:
                story.receives(_nothing_happened(direction, ref.step, ref.attempt))
            continue
        before = story.state.version
        if not story.has_timer:
            break
        story.next_timer_fires()
        if story.state.version == before:
            break
    return [command for command in story.sent[sent:] if not command.is_reply]


def _nothing_happened(direction: Direction, step: str, attempt: int) -> inputs.FailureReceived:
    error = JsonText('{"code":"not_found"}')
    return inputs.FailureReceived(direction, step, attempt, "not_found", error, retryable=False)


def test_a_completed_process_is_undone_in_waves_and_what_has_no_undo_is_named() -> None:
    """Branches that don't follow each other go together; a step goes after all that came after it."""
    story = _completed()
    preview = _preview(story)
    assert _names(preview) == [["b.c1", "c.c1"], ["a.c1"]]
    assert _left(preview) == {"d": Left.NO_COMPENSATION}
    assert (preview.refusal, preview.awaited, preview.end.status) == (None, (), "compensated")


def test_the_commands_are_those_that_are_sent_then_but_for_the_deadline() -> None:
    """Also much later, and where the undo has a mapping of its own."""
    story = _completed()
    preview = _preview(story)
    story.waits(1_000_000)
    sent = _sent_by_compensating(story)
    assert [_timeless(command) for wave in preview.waves for command in wave] == list(map(_timeless, sent))
    bodies: dict[str, Any] = {command.command_id: json.loads(command.body) for command in sent}
    assert bodies["p1.c.c1"]["parameters"] == {"was": "x"}
    assert bodies["p1.a.c1"]["compensates"]["output"] == {"id": 1}


def test_looking_changes_nothing() -> None:
    """The state that was looked at, and what is sent from it, are as they were."""
    story = _completed()
    state, sent = story.state, len(story.sent)
    assert _preview(story) == _preview(story)
    assert (story.state, len(story.sent)) == (state, sent)


def test_behind_the_pivot_it_is_refused_and_every_step_says_why() -> None:
    """As `compensate` is; so no wave is shown."""
    story = Scenario.of(PIVOT).starts().completes("a").completes("pay").completes("mail")
    preview = _preview(story)
    assert preview.refusal is not None
    assert "pivot has passed" in preview.refusal
    assert preview.waves == ()
    assert _left(preview) == dict.fromkeys(("a", "pay", "mail"), Left.PIVOT_PASSED)
    story.is_asked("compensate").expect_rejected("pivot has passed")


def test_what_is_in_flight_is_named_and_counts_as_not_done() -> None:
    """Its outcome is waited for first; the pivot's decides whether anything is undone."""
    story = Scenario.of(DIAMOND).starts().completes("a").completes("b")
    preview = _preview(story)
    assert [ref.command_id for ref in preview.awaited] == ["p1.c.a1"]
    assert _names(preview) == [["b.c1"], ["a.c1"]]
    at_pivot = _preview(Scenario.of(PIVOT).starts().completes("a"))
    assert [ref.step for ref in at_pivot.awaited] == ["pay"]
    assert _names(at_pivot) == [["a.c1"]]


def test_an_unknown_step_is_undone_without_an_output() -> None:
    """Nobody knows what it did."""
    story = Scenario.of("- {name: a, service: s, action: do, compensation: undo, retry: {attempts: 2}}")
    story.starts().next_timer_fires()  # it waits for its second attempt
    preview = _preview(story)
    assert _names(preview) == [["a.c1"]]
    assert json.loads(preview.waves[0][0].body)["compensates"]["output"] is None


def test_a_process_on_its_way_back_shows_what_is_still_to_go() -> None:
    """What was acknowledged and what is under way is not sent again."""
    story = _completed().is_asked("compensate").undoes("b")
    preview = _preview(story)
    assert preview.refusal == "it has turned back already"
    assert _names(preview) == [["a.c1"]]
    assert _names(_preview(story.is_asked("pause"))) == [["a.c1"]]


def test_an_undo_that_is_stuck_holds_up_those_before_it() -> None:
    """The preview ends where a person is needed."""
    steps = """
- {name: a, service: s, action: do, compensation: undo}
- {name: b, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}}
"""
    story = (
        Scenario.of(steps).starts().completes("a").completes("b").is_asked("compensate").fails_to_undo("b")
    )
    preview = _preview(story.expect_status("suspended"))
    assert preview.waves == ()
    assert _left(preview) == {"a": Left.WAITS, "b": Left.STUCK}
    assert preview.end.status == "suspended"


def test_the_items_of_a_list_go_as_many_at_once_as_the_definition_says() -> None:
    """A slice is a wave."""
    steps = (
        "- {name: a, service: s, action: do, compensation: undo, for_each: parameters.list, at_once: 2}\n"
        "- {name: ok, signal: true}"
    )
    story = Scenario.of(steps, parameters={"list": [1, 2, 3]}).starts()
    for index in range(3):
        story.completes(f"a[{index}]")
    preview = _preview(story.completes("ok").expect_status("completed"))
    assert _names(preview) == [["a.0.c1", "a.1.c1"], ["a.2.c1"]]
    assert _left(preview) == {"ok": Left.NOTHING_SENT}


def test_a_process_that_carries_out_a_step_is_asked_to_compensate_or_told_to_end() -> None:
    """What it would send itself, its own preview shows."""
    family = Family.of(
        "- {name: a, process: child}\n- {name: b, process: child, after: [a]}",
        "- {name: x, service: s, action: do, compensation: undo}",
    )
    family.child.completes("x")
    family.exchange()
    preview = _preview(family.parent)
    assert [[command.routing_key for command in wave] for wave in preview.waves] == [
        ["process.cancel"], ["process.compensate"]
    ]  # fmt: skip
    assert [ref.step for ref in preview.awaited] == ["b"]


def test_nothing_is_undone_twice() -> None:
    """A compensated process, and one given up, are refused; of the latter it is said what stays."""
    undone = _completed()
    _sent_by_compensating(undone)
    preview = _preview(undone.expect_status("compensated"))
    assert (preview.waves, _left(preview)) == ((), {"d": Left.NO_COMPENSATION})
    failed = Scenario.of(DIAMOND).starts().completes("a").is_asked("pause").is_asked("fail")
    preview = _preview(failed.expect_status("failed"))
    assert (preview.waves, _left(preview)) == ((), {"a": Left.NOT_ALLOWED})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_words(), st.data())
def test_wherever_a_process_stands_the_preview_is_what_is_sent_then(
    definition: SagaDefinition, data: st.DataObject
) -> None:
    """Whatever happened before: the same commands to the byte, and the same end."""
    fortune = accepted(definition, data)
    fortune.receive(inputs.StartRequested())
    for _ in range(data.draw(st.integers(0, 25))):
        fortune.anything()
    story = fortune.story
    preview = _preview(story)
    if preview.refusal is not None and not preview.waves:
        return
    sent = list(map(_timeless, _sent_by_compensating(story)))
    previewed = [_timeless(command) for wave in preview.waves for command in wave]
    assert sorted(sent) == sorted(previewed)
    assert preview.end.status == story.status
