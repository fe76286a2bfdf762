"""What a process keeps that is begun from another one's step, and what the logs of both say."""

from dataclasses import replace

import pytest

from saga.process import inputs
from saga.process.effects import outstanding
from saga.process.events import Accepted, OperatorReran
from saga.process.limits import EVENTS_MAX
from saga.process.rerunning import results_kept, why_no_rerun
from saga.process.status import EffortStatus
from saga.replay.undo_preview import preview_undo
from tests.support.scenario import Scenario
from tests.unit.process.family import Family

CHAIN = """
- {name: a, service: s, action: do, compensation: undo}
- {name: b, service: s, action: do, compensation: undo}
- {name: c, service: s, action: do, compensation: undo}
"""
PIVOT = """
- {name: a, service: s, action: do, compensation: undo}
- {name: pay, service: s, action: do, pivot: true}
- {name: mail, service: s, action: do, retry: {attempts: 1}}
"""
ITEMS = """
- {name: a, service: s, action: do, compensation: undo, for_each: parameters.list}
- {name: b, service: s, action: do, compensation: undo}
"""
SIGNAL = """
- {name: a, service: s, action: do, compensation: undo}
- {name: approval, signal: true}
- {name: b, service: s, action: do, compensation: undo}
"""


def rerun(old: Scenario, step: str) -> Scenario:
    """Begin another process from a step of this one; its start has not come yet."""
    origin = old.state.origin
    accepted = Accepted(
        origin.process_type, origin.definition_hash, origin.parameters, origin.labels, "request", "ada", None,
        None, children=origin.children, forked_from=old.process_id, from_step=step, fork_reason="because",
    )  # fmt: skip
    story = Scenario(old.graph, now=old.now, process_id="p2")
    return story.accepts(accepted, *results_kept(old.graph, old.state, step))


def _completed() -> Scenario:
    story = Scenario.of(CHAIN).starts().completes("a", {"n": 1}).completes("b", {"n": 2}).completes("c")
    return story.expect_status("completed")


def test_what_comes_before_the_step_is_kept_and_the_rest_is_done() -> None:
    """The commands carry the kept results; nobody is asked for them again."""
    story = rerun(_completed(), "c").starts().expect_commands("rerun:p2", "c.a1")
    assert story.body("c.a1")["results"] == {"a": {"n": 1}, "b": {"n": 2}}
    assert story.events[:4] == ["accepted", "step_kept", "step_kept", "started"]
    story.completes("c").expect_status("completed")
    assert story.state.origin.forked_from == "p1"


def test_from_the_first_step_nothing_is_kept() -> None:
    """It is the whole process again."""
    rerun(_completed(), "a").starts().expect_commands("rerun:p2", "a.a1")


def test_kept_results_are_not_undone_by_the_new_process() -> None:
    """They belong to the old one, which can still be compensated itself."""
    old = _completed()
    story = rerun(old, "b").starts().completes("b").fails_for_good("c")
    story.expect_commands("rerun:p2", "b.a1", "c.a1", "b.c1").undoes("b").expect_status("compensated")
    assert story.undo("a") is None
    assert old.is_asked("compensate").undoes("c").undoes("b").undoes("a").status == "compensated"


def test_a_new_process_with_nothing_of_its_own_ends_compensated_at_once() -> None:
    """All that there is was kept; the preview of its undo has nothing to show."""
    story = (
        rerun(_completed(), "c").starts().is_asked("cancel").fails_for_good("c").expect_status("compensated")
    )
    preview = preview_undo(story.graph, story.state, story.now)
    assert (preview.waves, preview.left) == ((), ())


def test_branches_beside_the_step_are_kept_where_they_are_settled() -> None:
    """What neither is the step nor comes after it; what was not reached, or failed, runs."""
    steps = """
- {name: a, service: s, action: do, compensation: undo, after: []}
- {name: b, service: s, action: do, compensation: undo, after: []}
- {name: c, service: s, action: do, compensation: undo, after: [a]}
- {name: d, service: s, action: do, compensation: undo, after: [b, c]}
"""
    old = (
        Scenario.of(steps).starts().completes("a").fails_for_good("b").completes("c").undoes("c").undoes("a")
    )
    old.expect_status("compensated")
    story = rerun(old, "c")
    assert [name for name, step in story.state.steps.items() if step.is_kept] == ["a"]
    story.starts().expect_commands("rerun:p2", "b.a1", "c.a1")


def test_what_was_undone_is_kept_too_and_the_log_says_so() -> None:
    """Whoever needs it done again begins at an earlier step."""
    old = (
        Scenario.of(CHAIN).starts().completes("a").completes("b").fails_for_good("c").undoes("b").undoes("a")
    )
    kept = results_kept(old.graph, old.state, "c")
    assert [(one.step, one.was_undone) for one in kept] == [("a", True), ("b", True)]
    assert not any(one.was_undone for one in results_kept(_completed().graph, _completed().state, "c"))


def test_a_kept_pivot_has_passed() -> None:
    """From there on the new process only goes forward, like the old one."""
    old = Scenario.of(PIVOT).starts().completes("a").completes("pay").fails_for_good("mail")
    story = rerun(old.expect_status("suspended"), "mail").starts().is_asked("cancel")
    story.expect_rejected("pivot has passed").fails_for_good("mail").expect_status("suspended")


def test_from_the_pivot_itself_it_is_done_again_and_may_fail() -> None:
    """Its failure turns the new process back; what was kept stays."""
    old = Scenario.of(PIVOT).starts().completes("a").completes("pay").fails_for_good("mail")
    story = rerun(old, "pay").starts().fails_for_good("pay").expect_status("compensated")
    assert story.undo("a") is None


def test_a_list_is_kept_whole_with_the_outputs_of_its_items() -> None:
    """None of its items is an instance of the new process."""
    old = Scenario.of(ITEMS, parameters={"list": [1, 2]}).starts()
    old.completes("a[0]", "x").completes("a[1]", "y").completes("b")
    story = rerun(old, "b").starts().expect_commands("rerun:p2", "b.a1")
    assert story.output("a") == ["x", "y"]
    assert list(story.state.steps) == ["a", "b"]


def test_a_list_of_which_an_item_is_missing_is_done_again_whole() -> None:
    """Items that completed in the old process are done again with the others."""
    old = Scenario.of(ITEMS, parameters={"list": [1, 2]}).starts().completes("a[0]").fails_for_good("a[1]")
    old.undoes("a[0]").expect_status("compensated")
    rerun(old, "b").starts().expect_commands("rerun:p2", "a.0.a1", "a.1.a1")


def test_a_step_that_was_left_out_stays_so() -> None:
    """Its condition is not judged again, whatever the parameters are now; it counts as skipped in a join."""
    steps = """
- {name: a, service: s, action: do, compensation: undo, when: parameters.yes, after: []}
- {name: b, service: s, action: do, compensation: undo, after: []}
- {name: c, service: s, action: do, compensation: undo, after: [a, b]}
"""
    old = Scenario.of(steps, parameters={"yes": False}).starts().completes("b").completes("c")
    story = rerun(old.expect_status("completed"), "c").starts().expect_commands("rerun:p2", "c.a1")
    assert story.action("a") is EffortStatus.SKIPPED
    story.completes("c").expect_status("completed")


def test_a_signal_that_was_given_is_kept() -> None:
    """With what it said."""
    old = Scenario.of(SIGNAL).starts().completes("a").completes("approval", {"by": "ada"}).completes("b")
    story = rerun(old, "b").starts().expect_commands("rerun:p2", "b.a1")
    assert story.output("approval") == {"by": "ada"}


@pytest.mark.parametrize("is_given_late", [False, True])
def test_a_signal_that_nobody_gave_in_time_is_needed_again(is_given_late: bool) -> None:  # noqa: FBT001 - a case
    """Turning back closes it as skipped, which is nobody's decision: without it nothing may go on."""
    old = Scenario.of(SIGNAL).starts().completes("a").is_asked("cancel").undoes("a")
    if is_given_late:
        old.completes("approval")
    assert old.action("approval") is EffortStatus.SKIPPED
    story = rerun(old.expect_status("compensated"), "b").starts().expect_commands("rerun:p2")
    assert story.action("approval") is EffortStatus.RUNNING


def test_a_signal_as_the_first_step_is_awaited_again() -> None:
    """Also where it was given before."""
    old = Scenario.of(SIGNAL).starts().completes("a").completes("approval").completes("b")
    assert rerun(old, "approval").starts().action("approval") is EffortStatus.RUNNING


def test_a_process_that_carried_out_a_step_is_left_alone_and_another_one_started_for_it_anew() -> None:
    """Kept, its result stands in; as the first step it starts a process of its own."""
    family = Family.of(
        "- {name: a, process: child}\n- {name: b, service: s, action: do, compensation: undo}",
        "- {name: x, service: s, action: do, compensation: undo}",
    )
    family.child.completes("x")
    family.exchange()
    old = family.parent.completes("b").expect_status("completed")
    kept = rerun(old, "b").starts().fails_for_good("b").expect_status("compensated")
    kept.expect_commands("rerun:p2", "b.a1")
    again = rerun(old, "a").starts().expect_commands("rerun:p2", "a.a1")
    assert again.body("a.a1")["process_id"] != family.child.process_id


def test_a_rerun_of_a_rerun_keeps_what_was_kept() -> None:
    """And names the process that it came from, not the first one."""
    first = rerun(_completed(), "c").starts().completes("c")
    second = rerun(first, "c")
    assert second.state.origin.forked_from == "p2"
    assert second.output("a") == {"n": 1}


def test_what_kept_results_hold_counts_among_the_outputs_of_the_process() -> None:
    """Their limit is one."""
    story = rerun(_completed(), "c")
    assert story.state.payload_bytes == len("{}") + len('{"n":1}') + len('{"n":2}')


def test_the_old_log_names_the_new_process_once_and_nothing_else_changes() -> None:
    """Also in an ended process; the second word of it is a duplicate."""
    old = _completed()
    before = old.state
    report = inputs.ForkReported("p2", "c", "because", "ada", "rerun:p2")
    old.receives(report).expect_status("completed")  # which delivers it twice
    assert old.log[-1].events == (OperatorReran("p2", "c", "because", "ada", "rerun:p2"),)
    assert (old.state.steps, old.state.ended_at) == (before.steps, before.ended_at)


def test_the_word_to_the_old_process_is_sent_again_until_it_is_acknowledged() -> None:
    """Nobody answers it, so whoever finds a tail that may not have been published sends it again."""
    story = rerun(_completed(), "c").starts()
    assert [command.command_id for command in outstanding(story.state, story.sent)] == ["rerun:p2", "p2.c.a1"]
    assert story.sent[0].routing_key == "process.forked"


def test_nothing_is_begun_from_a_process_that_moves_or_whose_log_is_full() -> None:
    """What its steps gave may still change; and its log could not name the new one."""
    running = Scenario.of(CHAIN).starts().completes("a")
    assert why_no_rerun(running.state) is not None
    assert why_no_rerun(running.is_asked("pause").state) is None
    assert why_no_rerun(_completed().state) is None
    assert why_no_rerun(replace(_completed().state, version=EVENTS_MAX)) == "its log is full"
