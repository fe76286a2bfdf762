"""The limits of a log: forward work stops early enough that all can be undone, and the end is always reached."""

from dataclasses import replace

from saga.process.limits import EVENT_LIMIT, EVENTS_MAX, FORWARD_EVENTS_MAX
from tests.support.scenario import Scenario

CHAIN = """
- {name: a, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
- {name: b, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
- {name: c, service: s, action: do, compensation: undo, after: [a, b]}
"""
PIVOT = """
- {name: pay, service: s, action: do, pivot: true}
- {name: x, service: s, action: do, after: [pay], retry: {attempts: 1}}
- {name: y, service: s, action: do, after: [pay]}
- {name: z, service: s, action: do, after: [y]}
"""


def _at(story: Scenario, version: int) -> Scenario:
    """Let the log be as long as this already, whatever it holds."""
    story.checks_log = False
    story._state = replace(story.state, version=version)
    return story


def test_forward_work_that_reaches_the_limit_turns_back() -> None:
    """There is room enough to undo everything."""
    story = _at(Scenario.of(CHAIN).starts().completes("a"), FORWARD_EVENTS_MAX).completes("b")
    story.expect_status("compensating").expect_commands("a.a1", "b.a1", "a.c1", "b.c1")
    assert story.state.reason == EVENT_LIMIT


def test_behind_the_pivot_the_limit_suspends_until_a_person_gives_up() -> None:
    """There is no way back."""
    story = _at(Scenario.of(PIVOT).starts(), FORWARD_EVENTS_MAX).completes("pay").expect_status("suspended")
    assert story.state.suspended_for == EVENT_LIMIT
    story.is_asked("retry").expect_rejected("nothing of it is stuck").is_asked("fail").expect_status("failed")


LISTS = "".join(
    f"- {{name: {name}, service: s, action: do, compensation: undo, for_each: parameters.n, at_once: 1000}}\n"
    for name in "abc"
)


def test_a_list_that_could_not_be_undone_any_more_never_begins() -> None:
    """Three thousand items take twelve thousand events there and back: the third thousand is not started."""
    story = Scenario.of(LISTS, parameters={"n": list(range(1000))}).starts()
    story.checks_log = False
    for step in "ab":
        for index in range(1000):
            story.completes(f"{step}[{index}]")
    story.expect_status("compensating")
    assert (story.state.reason, "c[0]" in story.state.steps) == (EVENT_LIMIT, False)
    for step in "ba":
        for index in range(1000):
            story.undoes(f"{step}[{index}]")
    story.expect_status("compensated")
    assert story.state.version < EVENTS_MAX
