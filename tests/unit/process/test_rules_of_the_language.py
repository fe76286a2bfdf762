"""The rules of the language that a run from outside seldom meets, each on the pure machine alone."""

from __future__ import annotations

import json

from saga.definition.graph import StepKind
from saga.messages.json_text import JsonText, to_text
from saga.process import inputs
from saga.process.operating import allowed_actions
from saga.process.status import Direction, EffortStatus, OperatorAction
from saga.process.timers import WakeReason, next_wake
from tests.support.scenario import Scenario

VERIFIED = """
  - {name: a, service: s, action: x, compensation: u, timeout: 1, retry: {attempts: 2, backoff: 1},
     verify: {action: look, fences: FENCES, retry: {attempts: 2, backoff: 1}}}
"""
PIVOT = """
  - {name: a, service: s, action: x, compensation: u}
  - {name: p, service: s, action: x, pivot: true, timeout: 10, retry: {attempts: 2, backoff: 1}}
  - {name: z, service: s, action: x, retry: {attempts: 1}}
"""


def _answers(story: Scenario, step: str, *, code: str | None = None, attempt: int = 1) -> Scenario:
    """Answer a question: by success, or by a failure with this code."""
    if code is None:
        received: inputs.Input = inputs.SuccessReceived(Direction.VERIFY, step, attempt, JsonText('"seen"'))
    else:
        error = to_text({"code": code})
        received = inputs.FailureReceived(Direction.VERIFY, step, attempt, code, error)
    return story.receives(received)


def _asks(story: Scenario, action: OperatorAction, **more: object) -> Scenario:
    number = len(story.state.requests)
    request = inputs.OperatorRequested(action, "why", "somebody", f"r{number}", **more)  # type: ignore[arg-type]  # words of a test
    return story.receives(request)


def test_an_attempt_that_was_not_answered_is_asked_about_before_anything_else() -> None:
    """The question names the attempt; its answer completes the step, with that output."""
    story = Scenario.of(VERIFIED.replace("FENCES", "true")).starts().next_timer_fires()
    story.expect_commands("a.a1", "a.v1")
    assert story.action("a") is EffortStatus.VERIFYING
    body = json.loads(story.sent[-1].body)
    assert body["kind"] == "verify"
    assert body["verifies"]["command_id"] == "p1.a.a1"
    _answers(story, "a").expect_status("completed")
    assert story.state.step("a").action.output == '"seen"'


def test_not_found_with_a_fence_means_that_nothing_happened() -> None:
    """Both attempts were lost, and both are fenced: the step failed, and there is nothing to undo."""
    story = Scenario.of(VERIFIED.replace("FENCES", "true")).starts().next_timer_fires()
    _answers(story, "a", code="not_found").next_timer_fires().expect_commands("a.a1", "a.v1", "a.a2")
    story.next_timer_fires()
    _answers(story, "a", code="not_found", attempt=2).expect_status("compensated")
    assert story.action("a") is EffortStatus.FAILED
    assert story.undo("a") is None


def test_not_found_without_a_fence_leaves_the_step_unknown() -> None:
    """The command may still arrive: the step is undone, whatever was answered."""
    story = Scenario.of(VERIFIED.replace("FENCES", "false")).starts().next_timer_fires()
    _answers(story, "a", code="not_found").next_timer_fires().next_timer_fires()
    _answers(story, "a", code="not_found", attempt=2).expect_status("compensating")
    assert story.action("a") is EffortStatus.UNKNOWN
    story.undoes("a").expect_status("compensated")


def test_a_question_without_an_answer_is_asked_again_and_then_nobody_knows() -> None:
    """As often as its own policy says; then the ordinary rule for an unanswered attempt holds."""
    story = Scenario.of(VERIFIED.replace("FENCES", "true")).starts().next_timer_fires()
    _answers(story, "a", code="busy").next_timer_fires().expect_commands("a.a1", "a.v1", "a.v2")
    _answers(story, "a", code="busy", attempt=2)
    assert story.action("a") is EffortStatus.RETRYING
    assert story.events[-2:] == ["verify_concluded", "retry_scheduled"]


def test_an_answer_of_the_action_closes_the_question() -> None:
    """It came late, but it came; what the question brings after that is only recorded."""
    story = Scenario.of(VERIFIED.replace("FENCES", "true")).starts().next_timer_fires().completes("a", 7)
    story.expect_status("completed")
    _answers(story, "a", code="not_found")
    assert story.events[-1] == "observed"
    assert story.action("a") is EffortStatus.DONE


def test_at_the_deadline_what_runs_is_unknown_at_once() -> None:
    """Nothing is awaited any more; what was done is undone, and a late answer is undone as well."""
    steps = """
      - {name: a, service: s, action: x, compensation: u}
      - {name: b, service: s, action: x, compensation: u, timeout: 100, retry: {attempts: 1}}
    """
    story = Scenario.of(steps, head="deadline: 300").starts().completes("a")
    story.reports_progress("b").waits(99_000).reports_progress("b").waits(99_000).reports_progress("b")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    story.waits(60_000).reports_progress("b")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert wake.reason is WakeReason.DEADLINE
    story.next_timer_fires()
    assert story.action("b") is EffortStatus.UNKNOWN
    assert story.state.reason == "deadline"
    story.undoes("b").undoes("a").expect_status("compensated")


def test_a_cancel_while_the_pivot_is_in_flight_waits_for_it() -> None:
    """It completes: the cancel has no effect. It fails: the process turns back by that reason."""
    done = Scenario.of(PIVOT).starts().completes("a")
    _asks(done, OperatorAction.CANCEL).completes("p").completes("z").expect_status("completed")
    failed = Scenario.of(PIVOT).starts().completes("a")
    _asks(failed, OperatorAction.CANCEL).fails("p").expect_status("compensating")
    assert failed.state.reason == "cancelled"


def test_behind_the_pivot_a_cancel_is_rejected_once_and_recorded() -> None:
    """Who asked, why, and why not; the same request again changes nothing."""
    story = Scenario.of(PIVOT).starts().completes("a").completes("p")
    _asks(story, OperatorAction.CANCEL).expect_status("started")
    assert story.events[-1] == "operator_rejected"
    assert OperatorAction.CANCEL not in allowed_actions(story.graph, story.state)


def test_a_pause_records_and_sends_nothing() -> None:
    """The failure is recorded, its retry waits; after the end of the pause it is due at once."""
    story = Scenario.of(PIVOT).starts()
    _asks(story, OperatorAction.PAUSE).fails("a").waits(60_000)
    story.expect_commands("a.a1").expect_status("paused")
    assert next_wake(story.graph, story.state) is None
    _asks(story, OperatorAction.RESUME).next_timer_fires().expect_commands("a.a2")


def test_the_deadline_stands_still_while_the_process_is_paused() -> None:
    """An hour of pause moves it by an hour."""
    steps = "  - {name: a, service: s, action: x, compensation: u, timeout: 1, retry: {attempts: 1}}"
    story = Scenario.of(steps, head="deadline: 100").starts()
    _asks(story, OperatorAction.PAUSE).waits(3_600_000)
    _asks(story, OperatorAction.RESUME)
    assert story.state.stood_still_ms == 3_600_000


def test_a_retry_of_what_is_stuck_has_the_whole_budget_again() -> None:
    """The numbers of the attempts go on; the pauses between them begin anew."""
    steps = (
        "  - {name: a, service: s, action: x, compensation: {action: u, retry: {attempts: 2, backoff: 1}}}"
    )
    story = Scenario.of(steps).starts().completes("a")
    _asks(story, OperatorAction.COMPENSATE)
    story.fails_to_undo("a").next_timer_fires().fails_to_undo("a").expect_status("suspended")
    _asks(story, OperatorAction.RETRY).fails_to_undo("a").next_timer_fires().fails_to_undo("a")
    story.expect_status("suspended").expect_commands("a.a1", "a.c1", "a.c2", "a.c3", "a.c4")
    _asks(story, OperatorAction.SKIP).expect_status("compensated")


def test_a_stuck_step_behind_the_pivot_is_skipped_with_the_output_that_is_given() -> None:
    """The steps after it see that output; a success that comes late contradicts it, and asks for attention."""
    story = Scenario.of(PIVOT).starts().completes("a").completes("p").fails("z", retryable=False)
    _asks(story, OperatorAction.SKIP, output=JsonText('"by hand"')).expect_status("completed")
    assert story.state.step("z").action.output == '"by hand"'
    assert not story.state.attention
    assert story.completes("z").state.attention


def test_a_pivot_that_nobody_knows_of_is_resolved_by_a_person() -> None:
    """Completed goes on; failed turns back."""
    for outcome, status in (("completed", "started"), ("failed", "compensating")):
        story = Scenario.of(PIVOT).starts().completes("a").next_timer_fires().next_timer_fires()
        story.next_timer_fires().expect_status("suspended")
        _asks(story, OperatorAction.RESOLVE, outcome=outcome).expect_status(status)


def test_an_expression_that_fails_fails_its_step_for_good() -> None:
    """It raises, or gives the wrong type: a mapping_error, never an exception, and nothing is sent."""
    for word in ('when: "parameters.n"', 'for_each: "parameters.n"', 'input: {x: "length(parameters.n)"}'):
        steps = f"""
          - {{name: a, service: s, action: x, compensation: u}}
          - {{name: b, service: s, action: x, compensation: u, {word}}}
        """
        story = Scenario.of(steps, parameters={"n": 5}).starts().completes("a")
        error = json.loads(story.state.step("b").action.error or "{}")
        assert error["code"] == "mapping_error"
        story.expect_commands("a.a1", "a.c1").undoes("a").expect_status("compensated")


def test_an_input_is_the_same_for_all_attempts_and_for_the_undo() -> None:
    """A later step's result that comes meanwhile, behind a join, changes nothing of it."""
    steps = """
      - {name: a, service: s, action: x, compensation: u, after: []}
      - {name: b, service: s, action: x, compensation: u, after: []}
      - {name: c, service: s, action: x, compensation: u, after: [a, b], join: any,
         input: {b: "results.b || 'nothing'"}}
    """
    story = Scenario.of(steps).starts().completes("a").fails("c").completes("b", "late").next_timer_fires()
    bodies = [json.loads(one.body) for one in story.sent if one.command_id.startswith("p1.c.")]
    assert [body["parameters"] for body in bodies] == [{"b": "nothing"}] * 2
    assert all("results" not in body for body in bodies)
    story.fails_for_good("c")
    assert story.state.is_going_back


def test_a_child_that_is_late_is_cancelled_and_never_doubled() -> None:
    """The time-out sends a cancel and nothing else; the next attempt starts when the child has ended."""
    steps = "  - {name: a, process: other, timeout: 5, retry: {attempts: 2, backoff: 1}}"
    story = Scenario.of(steps, children={"other": "hash"}).starts().next_timer_fires()
    assert story.graph.by_name["a"].kind is StepKind.PROCESS
    assert [one.routing_key for one in story.sent] == ["process.start", "process.cancel"]
    assert next_wake(story.graph, story.state) is None
    story.fails("a", "process_compensated").next_timer_fires()
    assert [one.routing_key for one in story.sent][-1] == "process.start"
    starts = [json.loads(one.body)["process_id"] for one in story.sent if one.routing_key == "process.start"]
    assert len(set(starts)) == 2


def test_a_completed_child_is_undone_by_a_request() -> None:
    """The request names the child that the last attempt started, and is answered like an undo."""
    steps = """
      - {name: a, process: other}
      - {name: b, service: s, action: x, compensation: none}
    """
    story = Scenario.of(steps, children={"other": "hash"}).starts().completes("a").fails_for_good("b")
    order = json.loads(story.sent[-1].body)
    assert story.sent[-1].routing_key == "process.compensate"
    assert order["process_id"] == json.loads(story.sent[0].body)["process_id"]
    assert order["reply_to"] == "p1.a.c1"
    story.undoes("a").expect_status("compensated")


def test_items_are_undone_at_most_so_many_at_once() -> None:
    """Six items happened, two at once: the undo keeps the same limit."""
    steps = """
      - {name: a, service: s, action: x, compensation: u, for_each: parameters.l, at_once: 2}
      - {name: b, service: s, action: x, compensation: none}
    """
    story = Scenario.of(steps, parameters={"l": list(range(6))}).starts()
    for index in range(6):
        story.completes(f"a[{index}]", index)
    assert story.state.step("a").action.output == "[0,1,2,3,4,5]"
    story.fails_for_good("b")
    for index in range(6):
        under_way = [
            name
            for name, step in story.state.steps.items()
            if step.undo is not None and step.undo.status.is_open
        ]
        assert len(under_way) == min(2, 6 - index)
        story.undoes(under_way[0])
    story.expect_status("compensated")


def test_three_hundred_items_with_large_inputs_are_released_in_slices() -> None:
    """No transition is larger than a document of the store; a timer asks for the next slice."""
    steps = "  - {name: a, service: s, action: x, compensation: none, for_each: parameters.l, at_once: 300}"
    story = Scenario.of(steps, parameters={"l": ["x" * 100] * 300, "more": "y" * 100_000}).starts()
    first = len(story.sent)
    assert 0 < first < 300
    while len(story.sent) < 300:
        wake = next_wake(story.graph, story.state)
        assert wake is not None
        assert wake.reason is WakeReason.RELEASE
        story.next_timer_fires()
    assert len({one.command_id for one in story.sent}) == 300


def test_a_step_that_comes_before_the_pivot_through_a_join_turns_back() -> None:
    """It stands behind the pivot in the graph, but the pivot was not sent yet: there is a way back."""
    steps = """
      - {name: a, service: s, action: x, compensation: u, after: []}
      - {name: b, service: s, action: x, compensation: u, after: []}
      - {name: p, service: s, action: x, pivot: true, after: [b]}
      - {name: z, service: s, action: x, compensation: u, after: [a, p], join: any}
    """
    story = Scenario.of(steps).starts().completes("a").fails_for_good("z").completes("b")
    story.expect_commands("a.a1", "b.a1", "z.a1", "a.c1", "b.c1").undoes("a").undoes("b")
    story.expect_status("compensated")
