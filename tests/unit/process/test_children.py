"""Processes that carry out steps of others: parent and child as two stories that exchange their messages."""

import json

import pytest

from saga.messages.json_text import Json
from saga.messages.start import id_for_child
from saga.process.status import EffortStatus
from saga.process.timers import next_wake
from tests.support.scenario import Scenario
from tests.unit.process.family import Family

PARENT = """
- {name: a, service: s, action: do, compensation: undo}
- {name: c, process: child, timeout: 100, retry: {attempts: 2, backoff: 1}}
- {name: last, service: s, action: do, compensation: undo}
"""
CHILD = """
- {name: x, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, retry: {attempts: 1}}
- {name: y, service: s, action: do, compensation: undo, retry: {attempts: 1}}
"""
PIVOT = """
- {name: pay, service: s, action: do, pivot: true}
- {name: c, process: child, timeout: 100}
"""
BESIDE = """
- {name: bad, service: s, action: do, compensation: undo, after: []}
- {name: c, process: child, timeout: 100, after: []}
"""


def _family(steps: str = PARENT, *, head: str = "", child: str = CHILD, child_head: str = "") -> Family:
    family = Family.of(steps, child, head=head, child_head=child_head)
    if "name: a," in steps:
        family.parent.completes("a", {"n": 1})
    return family.exchange()


def _undoing() -> Family:
    """Give a family whose child completed and is asked to undo what it did."""
    family = _family()
    family.child.completes("x").completes("y")
    family.exchange().parent.fails_for_good("last")
    return family.exchange()


@pytest.mark.parametrize("value", ["x" * 1_000_000, json.loads("[" * 63 + "]" * 63)])
def test_parameters_that_no_door_lets_in_fail_the_step(value: Json) -> None:
    """Sent all the same, the start would lie among the dead letters, and the step would wait in vain."""
    steps = "- {name: a, service: s, action: do, compensation: none}\n"
    family = Family.of(steps + "- {name: c, process: child, input: {x: results.a}}", CHILD)
    family.parent.completes("a", value).expect_status("compensated")
    assert family.parent.error("c")["code"] == "mapping_error"


def test_a_child_is_started_by_an_ordinary_start_with_a_derived_id_and_a_pinned_definition() -> None:
    """Its root is the process at the top; without an input it has the parameters of its parent."""
    family = Family.of("- {name: c, process: child, input: {id: parameters.id}}", CHILD)
    body = json.loads(family.parent.sent[0].body)
    assert family.parent.sent[0].routing_key == "process.start"
    assert body["process_id"] == id_for_child("p1.c.a1")
    assert (body["parent"], body["root_id"], body["definition"]) == ("p1.c.a1", "p1", "hash of child")
    assert body["children"] == {"child": "hash of child"}
    assert body["parameters"] == {"id": None}


def test_the_end_of_the_child_completes_the_step_with_its_result() -> None:
    """The result that its definition declares is the output of the step."""
    family = _family(child_head='result: {both: "[results.x, results.y]"}')
    family.child.completes("x", 1).completes("y", 2)
    family.exchange()
    assert family.parent.output("c") == {"both": [1, 2]}
    assert family.parent.body("last.a1")["results"]["c"] == {"both": [1, 2]}


def test_a_child_that_turned_back_by_itself_failed_and_the_step_is_tried_again_by_another_one() -> None:
    """Nothing of it is left, so that a new one is no double."""
    family = _family()
    family.child.completes("x").fails_for_good("y").undoes("x").expect_status("compensated")
    family.exchange()
    assert family.parent.action("c") is EffortStatus.RETRYING
    assert family.parent.error("c")["code"] == "process_compensated"
    family.passes(1_000)
    assert [child.process_id for child in family.children] == [
        id_for_child("p1.c.a1"), id_for_child("p1.c.a2"),
    ]  # fmt: skip
    family.child.fails_for_good("x")
    family.exchange()
    assert family.parent.action("c") is EffortStatus.FAILED
    family.parent.undoes("a").expect_status("compensated")


def test_a_child_that_is_late_is_told_to_end_and_the_next_one_starts_only_when_it_is_compensated() -> None:
    """It is never doubled; its end is awaited without limit."""
    family = _family()
    family.child.completes("x")
    family.parent.next_timer_fires()
    assert family.parent.events[-1] == "child_cancelled"
    assert next_wake(family.parent.graph, family.parent.state) is None
    family.exchange().child.expect_status("compensating").fails("y").expect_status("compensating")
    family.passes(1_000)
    assert len(family.children) == 1
    family.child.undoes("x").expect_status("compensated")
    family.exchange().passes(1_000)
    assert len(family.children) == 2
    assert family.parent.action("c") is EffortStatus.RUNNING


def test_a_child_that_completes_in_spite_of_the_cancel_completes_the_step() -> None:
    """The cancel came too late, or past its pivot."""
    child = "- {name: x, service: s, action: do, pivot: true}\n- {name: y, service: s, action: do}"
    family = _family(PIVOT, child=child)
    family.parent.completes("pay")
    family.exchange().child.completes("x")
    family.parent.next_timer_fires()
    family.exchange().child.expect_rejected("pivot").completes("y")
    family.exchange().parent.expect_status("completed")


def test_turning_back_tells_a_child_to_end_and_awaits_it() -> None:
    """Nothing is undone before its end is known; compensated, it is not undone again."""
    family = _family(BESIDE)
    family.child.completes("x")
    family.parent.fails_for_good("bad").expect_status("compensating")
    family.exchange().child.expect_status("compensating").fails("y").undoes("x")
    family.exchange().parent.expect_status("compensated")
    assert family.parent.undo("c") is None


def test_a_child_that_completes_on_the_way_back_is_undone() -> None:
    """Its completion joins the plan as that of any step."""
    child = "- {name: x, service: s, action: do, compensation: undo}"
    family = _family(BESIDE, child=child)
    family.child.completes("x")
    family.parent.fails_for_good("bad")
    family.exchange().child.expect_status("compensating").undoes("x")
    family.exchange().parent.expect_status("compensated")
    assert family.parent.undo("c") is EffortStatus.DONE


def test_at_the_deadline_of_the_parent_a_child_is_told_to_end_and_awaited_all_the_same() -> None:
    """It is the one thing that is not unknown at once."""
    family = _family(BESIDE, head="deadline: 100")
    family.parent.completes("bad").next_timer_fires()
    assert family.parent.state.reason == "deadline"
    assert family.parent.action("c") is EffortStatus.RUNNING
    family.exchange().child.fails("x")
    family.exchange().parent.undoes("bad").expect_status("compensated")


def test_undoing_a_completed_child_compensates_it() -> None:
    """The request names the command that is answered when it ends."""
    family = _undoing()
    request = json.loads(family.parent.sent[-1].body)
    assert family.parent.sent[-1].routing_key == "process.compensate"
    assert (request["request_id"], request["reply_to"]) == ("p1.c.c1", "p1.c.c1")
    family.child.expect_status("compensating").undoes("y").undoes("x").expect_status("compensated")
    family.exchange()
    assert family.parent.undo("c") is EffortStatus.DONE
    family.parent.undoes("a").expect_status("compensated")


def test_a_parent_that_asks_again_while_the_undo_is_under_way_is_answered_at_its_end() -> None:
    """The child doesn't turn back twice; the latest request is the one that is answered."""
    family = _undoing()
    family.parent.next_timer_fires().next_timer_fires().expect_status("compensating")
    family.exchange().child.undoes("y").undoes("x")
    assert family.child.events.count("turned_back") == 1
    family.exchange()
    assert family.parent.undo("c") is EffortStatus.DONE
    assert "p1.c.c2:completed" in family.child.sent[-1].command_id


def test_a_parent_whose_answer_was_lost_asks_again_and_is_answered_at_once() -> None:
    """The undo is done already."""
    family = _undoing()
    family.child.undoes("y").undoes("x")
    family.exchange(loses=lambda command: command.is_reply)
    assert family.parent.undo("c") is EffortStatus.RUNNING
    family.parent.next_timer_fires().next_timer_fires()
    family.exchange()
    assert family.parent.undo("c") is EffortStatus.DONE
    assert family.child.events[-1] == "operator_compensate"


def test_a_child_whose_undo_is_stuck_holds_up_its_parent_until_a_person_helps_it() -> None:
    """The parent's patience is that of an undo; a late answer settles it all the same."""
    family = _undoing()
    family.child.undoes("y").fails_to_undo("x").expect_status("suspended")
    for _ in range(40):
        if family.parent.status == "suspended":
            break
        family.parent.next_timer_fires()
        family.exchange()
    family.parent.expect_status("suspended")
    family.child.is_asked("retry").undoes("x", attempt=2).expect_status("compensated")
    family.exchange().parent.undoes("a").expect_status("compensated")


@pytest.mark.parametrize("answer", ["completes", "fails"])
def test_the_end_of_a_child_during_a_pause_of_its_parent_is_recorded(answer: str) -> None:
    """What follows waits."""
    family = _family()
    family.parent.is_asked("pause").expect_commands("a.a1", "c.a1")
    if answer == "completes":
        family.child.completes("x").completes("y")
    else:
        family.child.fails_for_good("x")
    family.exchange().parent.expect_commands()
    assert family.parent.action("c") in {EffortStatus.DONE, EffortStatus.RETRYING}
    family.parent.is_asked("resume").expect_status("started")


def test_a_child_whose_time_is_over_during_a_pause_is_told_to_end_afterwards() -> None:
    """To tell it is to send something."""
    family = _family()
    family.parent.is_asked("pause").waits(200_000)
    assert next_wake(family.parent.graph, family.parent.state) is None
    family.parent.is_asked("resume").next_timer_fires()
    assert family.parent.events[-1] == "child_cancelled"


def test_each_item_may_be_a_child() -> None:
    """Their inputs differ by the item; all are told to end when one fails for good."""
    steps = (
        '- {name: c, process: child, for_each: "parameters.list", input: {n: item}, timeout: 100, at_once: 5}'
    )
    story = Scenario.of(steps, parameters={"list": [7, 8]}, children={"child": "hash of child"}).starts()
    family = Family(story, _family().types).exchange()
    assert [child.state.parameters for child in family.children] == ['{"n":7}', '{"n":8}']
    family.children[0].fails_for_good("x")
    family.exchange()
    family.children[1].expect_status("compensating").completes("x").undoes("x").expect_status("compensated")
    family.exchange().parent.expect_status("compensated")


def test_a_child_that_reopens_for_a_late_completion_answers_its_parent_again_without_effect() -> None:
    """The parent knows already that it failed."""
    family = _family()
    family.child.next_timer_fires().undoes("x", {"nothing_to_undo": True}).expect_status("compensated")
    family.exchange().child.completes("x", "late").expect_status("compensating").undoes("x")
    version = family.parent.state.version
    family.exchange()
    assert family.parent.state.version == version
