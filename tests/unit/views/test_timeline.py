"""The timeline of a process: what is a span, and when it ends."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga.definition.model import SagaDefinition
from saga.process import inputs
from saga.process.events import AttemptStarted, SignalAwaited
from saga.views.timeline import timeline_document
from tests.support.scenario import Scenario
from tests.unit.process.drawn import all_words
from tests.unit.process.test_properties_of_all_words import accepted

STEPS = """
- name: a
  service: s
  action: do
  compensation: {action: undo, retry: {attempts: 2, backoff: 1}}
  timeout: 5
  retry: {attempts: 2}
- {name: ok, signal: true, timeout: 60}
"""


def _spans(story: Scenario) -> list[dict[str, Any]]:
    document: Any = timeline_document(story.state, story.log)
    spans: list[dict[str, Any]] = document["spans"]
    return spans


def _words(story: Scenario) -> list[tuple[str | None, ...]]:
    return [(span["kind"], span["waits_for"], span["outcome"]) for span in _spans(story)]


def test_each_attempt_is_a_span_and_each_wait_between_them() -> None:
    """The undo too, and the time of a signal."""
    story = Scenario.of(STEPS).starts().fails("a").next_timer_fires().completes("a").waits(1_000)
    story.fails("ok", retryable=False).fails_to_undo("a").next_timer_fires().undoes("a")
    assert _words(story.expect_status("compensated")) == [
        ("action", None, "failed"),
        ("wait", "retry", "over"),
        ("action", None, "completed"),
        ("wait", "signal", "failed"),
        ("compensation", None, "failed"),
        ("wait", "retry", "over"),
        ("compensation", None, "completed"),
    ]
    spans = _spans(story)
    assert [span["command_id"] for span in spans[:3]] == ["p1.a.a1", "p1.a.a2", "p1.a.a2"]
    assert (spans[3]["started_at"], spans[3]["ended_at"]) == (
        "1970-01-01T00:16:41.000Z", "1970-01-01T00:16:42.000Z"
    )  # fmt: skip


def test_what_lasts_has_no_end_yet() -> None:
    """And says until when it lasts at most; progress moves that."""
    story = Scenario.of(STEPS).starts()
    (span,) = _spans(story)
    assert (span["ended_at"], span["outcome"], span["until"]) == (None, None, "1970-01-01T00:16:45.000Z")
    (moved,) = _spans(story.waits(2_000).reports_progress("a", 50))
    assert moved["until"] == "1970-01-01T00:16:47.000Z"


def test_a_time_out_ends_a_span_and_a_late_answer_tells_what_became_of_it() -> None:
    """The attempt that came meanwhile is closed: it needs no answer any more."""
    story = Scenario.of(STEPS).starts().next_timer_fires()
    assert _words(story) == [("action", None, "timed_out"), ("wait", "retry", None)]
    story.next_timer_fires().completes("a", attempt=1)
    assert _words(story) == [
        ("action", None, "completed"),
        ("wait", "retry", "over"),
        ("action", None, "closed"),
        ("wait", "signal", None),
    ]


def test_a_pause_and_a_lock_are_waits_of_the_whole_process() -> None:
    """Of no step."""
    story = Scenario.of(STEPS, head="locks: [\"'k'\"]").starts().is_told_of_lock("waiting", "k")
    story.waits(10).gets_lock("k").is_asked("pause").waits(10).is_asked("resume").is_asked("cancel").fails(
        "a"
    )
    assert _words(story.expect_status("compensated")) == [
        ("wait", "lock k", "over"),
        ("action", None, "failed"),
        ("wait", "operator", "over"),
    ]
    assert _spans(story)[0]["step"] is None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_words(), st.data())
def test_whatever_happens_each_attempt_has_one_span_and_nothing_lasts_behind_the_end(
    definition: SagaDefinition, data: st.DataObject
) -> None:
    """In the order of their beginning; no span ends before it began."""
    fortune = accepted(definition, data)
    fortune.receive(inputs.StartRequested())
    for _ in range(data.draw(st.integers(0, 25))):
        fortune.anything()
    spans = _spans(fortune.story)
    begun = sum(
        isinstance(event, AttemptStarted | SignalAwaited)
        for transition in fortune.story.log
        for event in transition.events
    )
    attempts = [span["command_id"] for span in spans if span["command_id"] and span["waits_for"] != "retry"]
    assert len(attempts) == len(set(attempts)) == begun
    assert spans == sorted(spans, key=lambda span: span["started_at"])
    assert all(span["ended_at"] is None or span["ended_at"] >= span["started_at"] for span in spans)
    if fortune.story.status.is_ended:
        assert all(span["ended_at"] is not None for span in spans)
