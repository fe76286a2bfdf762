"""Joins: how many of the branches a step waits for, what counts, and that the order of undoing holds anyway."""

import pytest

from saga.process.status import EffortStatus
from tests.support.scenario import Scenario

BRANCH = "compensation: undo, after: [], retry: {attempts: 2, backoff: 1}"
THREE = f"""
- {{name: a, service: s, action: do, {BRANCH}, when: "!(parameters.no_a)"}}
- {{name: b, service: s, action: do, {BRANCH}, when: "!(parameters.no_b)"}}
- {{name: c, service: s, action: do, {BRANCH}, when: "!(parameters.no_c)"}}
- {{name: then, service: s, action: do, compensation: undo, after: [a, b, c], join: COUNT}}
- {{name: last, service: s, action: do, compensation: undo, after: [then]}}
"""


def _story(count: str, *without: str) -> Scenario:
    return Scenario.of(THREE.replace("COUNT", count), parameters={f"no_{x}": True for x in without}).starts()


@pytest.mark.parametrize(("count", "needed"), [("any", 1), ("1", 1), ("2", 2), ("3", 3), ("all", 3)])
def test_a_step_starts_with_the_branch_that_makes_up_the_number(count: str, needed: int) -> None:
    """Any is one, a number is so many, all is all; in whatever order they complete."""
    story = _story(count).expect_commands("a.a1", "b.a1", "c.a1")
    for name in "cab"[: needed - 1]:
        story.completes(name).expect_commands()
    story.completes("cab"[needed - 1]).expect_commands("then.a1")


def test_later_branches_start_nothing_again_and_are_awaited_before_the_end() -> None:
    """The process completes when every step is settled, joined or not."""
    story = _story("any").completes("b").completes("then").completes("last").expect_status("started")
    story.completes("a").completes("c").expect_status("completed")
    story.expect_commands("a.a1", "b.a1", "c.a1", "then.a1", "last.a1")


def test_skipped_branches_do_not_count_as_completed() -> None:
    """Of two that are asked for, one is skipped: the other alone is not enough while the third is open."""
    story = _story("2", "a").completes("b").expect_commands("b.a1", "c.a1")
    story.completes("c").expect_commands("then.a1")


def test_all_settled_with_fewer_than_asked_starts_the_step_all_the_same() -> None:
    """At least one completed, so there is something to go on with."""
    _story("2", "a", "b").completes("c").expect_commands("c.a1", "then.a1")


@pytest.mark.parametrize("count", ["any", "2", "3"])
def test_where_all_branches_are_skipped_the_step_is_skipped(count: str) -> None:
    """There is nothing to join; what follows it goes on."""
    story = _story(count, "a", "b", "c").expect_commands("last.a1")
    assert story.action("then") is EffortStatus.SKIPPED


def test_a_step_that_waits_for_all_starts_though_all_were_skipped() -> None:
    """Skipped is settled."""
    _story("all", "a", "b", "c").expect_commands("then.a1")


def test_a_branch_that_fails_turns_the_process_back_whatever_was_joined() -> None:
    """A join says when a step starts, not that the other branches don't matter."""
    story = _story("any").completes("a").completes("then").completes("last").completes("b")
    story.fails_for_good("c").expect_status("compensating")
    assert story.state.reason == "step_failed"


def test_what_was_joined_is_undone_before_a_branch_that_came_after_it() -> None:
    """The order of undoing follows all edges, whoever came first."""
    story = _story("any").completes("a").completes("then").completes("last").completes("b")
    story.fails_for_good("c").expect_commands("a.a1", "b.a1", "c.a1", "then.a1", "last.a1", "last.c1")
    story.undoes("last").expect_commands("then.c1")
    story.undoes("then").expect_commands("a.c1", "b.c1")
    story.undoes("b").undoes("a").expect_status("compensated")


def test_what_was_joined_and_is_in_flight_is_awaited_before_its_branches_are_undone() -> None:
    """A late completion of a branch on the way back joins the plan; nothing is undone before all is known."""
    story = (
        _story("any").completes("a").fails_for_good("b").expect_commands("a.a1", "b.a1", "c.a1", "then.a1")
    )
    story.completes("c").expect_commands()
    story.completes("then").expect_commands("then.c1")
    story.undoes("then").expect_commands("a.c1", "c.c1")


def test_a_completed_list_without_items_counts_as_completed() -> None:
    """It is done, not skipped."""
    steps = """
    - {name: e, service: s, action: do, compensation: undo, after: [], for_each: "parameters.list"}
    - {name: b, service: s, action: do, compensation: undo, after: []}
    - {name: c, service: s, action: do, compensation: undo, after: [e, b], join: any}
    """
    Scenario.of(steps, parameters={"list": []}).starts().expect_commands("b.a1", "c.a1")
