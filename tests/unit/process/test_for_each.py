"""Steps that run once per item: each item has attempts, an outcome and an undo of its own."""

import pytest

from saga.messages.json_text import Json
from saga.process.status import EffortStatus
from saga.process.timers import WakeReason, next_wake
from tests.support.scenario import Scenario

LIST = """
- {name: plan, service: s, action: do, compensation: undo}
- name: e
  service: s
  action: do
  compensation: {action: undo, retry: {attempts: 2, backoff: 1}}
  for_each: "results.plan"
  at_once: 2
  retry: {attempts: 2, backoff: 1}
- {name: last, service: s, action: do, compensation: undo}
"""
PIVOT = """
- {name: pay, service: s, action: do, pivot: true}
- {name: e, service: s, action: do, for_each: "parameters.list", at_once: 2, retry: {attempts: 1}}
- {name: last, service: s, action: do}
"""

ALL = '- {name: e, service: s, action: do, compensation: undo, for_each: "parameters.n", at_once: COUNT}'


def _story(*items: Json) -> Scenario:
    return Scenario.of(LIST).starts().expect_commands("plan.a1").completes("plan", list(items))


def _behind_pivot(*items: Json) -> Scenario:
    return Scenario.of(PIVOT, parameters={"list": list(items)}).starts().completes("pay")


def test_each_item_is_a_command_with_its_index_and_its_value() -> None:
    """The id, the key and the body say which; the results are those of the ancestors."""
    story = _story("x", {"y": 1})
    body = story.body("e.1.a1")
    assert (body["step"], body["index"], body["item"]) == ("e", 1, {"y": 1})
    assert body["idempotency_key"] == "p1.e.1.a"
    assert body["results"] == {"plan": ["x", {"y": 1}]}


def test_at_most_so_many_items_are_under_way_at_once() -> None:
    """The end of one starts the next; one in backoff counts too."""
    story = _story(*range(5)).expect_commands("e.0.a1", "e.1.a1")
    story.completes("e[1]").expect_commands("e.2.a1")
    story.fails("e[0]").expect_commands()
    story.completes("e[2]").expect_commands("e.3.a1")
    story.next_timer_fires().expect_commands("e.0.a2")


def test_the_output_is_the_list_of_the_outputs_in_the_order_of_the_items() -> None:
    """Whoever comes first; what follows starts with the last of them."""
    story = _story("a", "b", "c").completes("e[1]", "B").completes("e[2]", {"c": 3}).completes("e[0]")
    assert story.output("e") == [None, "B", {"c": 3}]
    assert story.body("last.a1")["results"]["e"] == [None, "B", {"c": 3}]


def test_an_empty_list_is_completed_with_an_empty_list() -> None:
    """Nothing is sent for it."""
    story = _story().expect_status("started")
    assert story.output("e") == []
    story.expect_commands("last.a1")


@pytest.mark.parametrize("value", [None, "text", 7, {"0": "a"}, True])
def test_what_is_no_list_fails_the_step_for_good(value: Json) -> None:
    """Nothing was sent, so there is nothing to undo but what came before."""
    story = Scenario.of(LIST).starts().completes("plan", value).expect_status("compensating")
    assert story.error("e")["code"] == "mapping_error"
    story.undoes("plan").expect_status("compensated")


def test_more_than_a_thousand_items_fail_the_step() -> None:
    """As many as a log can hold beside their undos."""
    story = Scenario.of(LIST).starts().completes("plan", [0] * 1_001).expect_status("compensating")
    assert "1000" in story.error("e")["message"]


def test_an_item_is_tried_again_by_itself() -> None:
    """Its attempts are its own, and so is its key."""
    story = _story(1, 2).fails("e[0]").completes("e[1]").next_timer_fires()
    story.expect_commands("e.0.a1", "e.1.a1", "e.0.a2")
    assert story.body("e.0.a2")["idempotency_key"] == "p1.e.0.a"


def test_an_item_that_fails_for_good_stops_new_items_and_those_in_flight_are_awaited() -> None:
    """Nothing is undone before their outcome is known."""
    story = _story(*range(5)).completes("e[0]").fails_for_good("e[1]").expect_status("compensating")
    story.expect_commands("e.0.a1", "e.1.a1", "e.2.a1")
    story.completes("e[2]").expect_commands("e.0.c1", "e.2.c1")
    assert story.action("e[3]") is EffortStatus.PENDING
    assert story.undo("e[1]") is None


def test_completed_and_unknown_items_are_undone_at_most_so_many_at_once_and_then_what_came_before() -> None:
    """The unknown one with no output; the step before the list waits for all of them."""
    story = _story(*range(5)).completes("e[0]", "zero").completes("e[1]").completes("e[2]")
    story.fails_for_good("e[3]").expect_commands("e.0.a1", "e.1.a1", "e.2.a1", "e.3.a1", "e.4.a1")
    story.next_timer_fires()
    assert story.action("e[4]") is EffortStatus.UNKNOWN
    story.expect_commands("e.0.c1", "e.1.c1")
    story.undoes("e[1]").expect_commands("e.2.c1").undoes("e[0]").expect_commands("e.4.c1")
    assert story.body("e.4.c1")["compensates"] == {
        "step": "e", "index": 4, "idempotency_key": "p1.e.4.a", "output": None,
    }  # fmt: skip
    assert story.body("e.0.c1")["compensates"]["output"] == "zero"
    story.undoes("e[2]").expect_commands().undoes("e[4]").expect_commands("plan.c1")
    story.undoes("plan").expect_status("compensated")


def test_a_list_that_is_done_is_undone_item_by_item_when_a_later_step_fails() -> None:
    """The step itself has no undo; its items have."""
    story = _story(1, 2, 3).completes("e[0]").completes("e[1]").completes("e[2]").fails_for_good("last")
    story.expect_commands("e.0.a1", "e.1.a1", "e.2.a1", "last.a1", "e.0.c1", "e.1.c1")
    assert story.undo("e") is None


def test_a_late_completion_of_an_item_is_undone_too() -> None:
    """Also after the process ended compensated."""
    story = _story(1).next_timer_fires().next_timer_fires().fails_for_good("e[0]")
    story.undoes("e[0]", {"nothing_to_undo": True}).undoes("plan").expect_status("compensated")
    story.completes("e[0]", "late", attempt=1).expect_status("compensating")
    assert story.body("e.0.c2")["compensates"]["output"] == "late"
    story.undoes("e[0]").expect_status("compensated")


def test_one_stuck_item_behind_the_pivot_suspends_and_the_others_finish() -> None:
    """No new item starts; those in flight are taken; a retry of the one item lets the list go on."""
    story = _behind_pivot(*range(4)).fails_for_good("e[0]").expect_status("suspended")
    story.completes("e[1]").expect_commands("pay.a1", "e.0.a1", "e.1.a1")
    story.is_asked("retry", "e[0]").expect_status("started").expect_commands("e.0.a2", "e.2.a1")
    story.completes("e[0]").completes("e[2]").completes("e[3]").completes("last").expect_status("completed")


def test_one_stuck_item_is_skipped_with_an_output_that_stands_in_the_list() -> None:
    """Its place in the list is kept."""
    story = _behind_pivot("a", "b").completes("e[1]", "B").fails_for_good("e[0]").expect_status("suspended")
    story.is_asked("skip", "e[1]").expect_rejected("not stuck")
    story.is_asked("skip", "e[0]", output="none").expect_status("started")
    assert story.output("e") == ["none", "B"]


def test_one_unknown_item_is_resolved_by_a_persons_word() -> None:
    """Completed with the output that they give."""
    story = _behind_pivot("a").next_timer_fires().expect_status("suspended")
    story.is_asked("resolve", "e[0]", outcome="completed", output=5).expect_status("started")
    assert story.output("e") == [5]


def test_one_stuck_undo_of_an_item_holds_up_what_came_before_and_not_the_other_items() -> None:
    """The person names the item."""
    story = _story(1, 2, 3).completes("e[0]").completes("e[1]").completes("e[2]").fails_for_good("last")
    story.fails_to_undo("e[0]", retryable=False).expect_status("suspended")
    story.undoes("e[1]").undoes("e[2]").expect_status("suspended")
    assert story.undo("plan") is EffortStatus.PENDING
    story.is_asked("retry", "e[0]").undoes("e[0]", attempt=2).undoes("plan").expect_status("compensated")


@pytest.mark.parametrize("count", [300, 1_000])
def test_many_items_at_once_are_all_sent_once(count: int) -> None:
    """Small commands fit one document: all of them are sent with the list."""
    step = ALL.replace("COUNT", str(count))
    story = Scenario.of(step, parameters={"n": [0] * count})
    story.checks_log = False
    story.starts()
    assert len({command.command_id for command in story.sent}) == count
    story.completes("e[0]").check_log()
    assert next_wake(story.graph, story.state) is not None


def test_a_thousand_items_that_all_fail_at_once_are_all_tried_again() -> None:
    """What waits for its next attempt has its place among those in flight already."""
    step = ALL.replace("COUNT", "1000")
    story = Scenario.of(step, parameters={"n": [0] * 1_000})
    story.checks_log = False
    story.starts()
    for index in range(1_000):
        story.fails(f"e[{index}]")
    story.next_timer_fires()
    assert sum(command.command_id.endswith("a2") for command in story.sent) == 1_000


@pytest.mark.parametrize("count", [300, 1_000])
def test_a_fan_out_with_large_commands_is_released_in_slices(count: int) -> None:
    """Each slice fits a document; a timer that is due at once asks for the next; none is sent twice."""
    step = ALL.replace("COUNT", str(count))
    story = Scenario.of(step, parameters={"n": [0] * count, "blob": "x" * 50_000})
    story.checks_log = False
    story.starts()
    slices = 1
    while (wake := next_wake(story.graph, story.state)) is not None and wake.reason is WakeReason.RELEASE:
        assert wake.at == story.now
        story.next_timer_fires()
        slices += 1
    assert slices >= count * 50_000 / (5 * 1024 * 1024)
    assert len(story.sent) == len({command.command_id for command in story.sent}) == count
    assert max(sum(len(command.body) for command in one.commands) for one in story.log) <= 5 * 1024 * 1024
    story.check_log()
