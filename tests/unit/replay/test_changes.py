"""What a version changes of that which is still to come for a process: that it is said, and all of it."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from saga.definition.graph import StepGraph, compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.sources import parse_definition
from saga.messages.json_text import to_text
from saga.process import inputs
from saga.process.decide import decide
from saga.process.effects import effects
from saga.process.events import Accepted
from saga.process.fitting import misfits
from saga.replay.changes import changes_ahead
from tests.support.scenario import Scenario, saga_text
from tests.unit.process.drawn import PARAMETERS, Fortune, all_words

HOTEL = "- {name: hotel, service: hotel, action: book, compensation: cancel}"
PAYMENT = "- {name: payment, service: payment, action: charge, compensation: refund, after: [hotel]}"
STEPS = f"{HOTEL}\n{PAYMENT}"


def _graph(steps: str, head: str = "") -> StepGraph:
    return compile_graph(parse_definition(saga_text(steps, head=head), source="test"))


@pytest.mark.parametrize(
    ("steps", "head", "expected"),
    [
        (STEPS, "", []),
        (STEPS.replace("charge", "pay"), "", [("payment", "changed", ("action",))]),
        (STEPS.replace("refund", "return"), "", [("payment", "changed", ("compensation",))]),
        (HOTEL, "", [("payment", "removed", ())]),
        (STEPS.replace("cancel", "release"), "", [("hotel", "changed", ("compensation",))]),
        (STEPS, "deadline: 500", [(None, "changed", ("deadline",))]),
        (STEPS, "result: {x: results.hotel}", [(None, "changed", ("result",))]),
        (
            f"{STEPS}\n- {{name: mail, service: m, action: s, compensation: none, after: [payment]}}",
            "",
            [("mail", "added", ())],
        ),
        (STEPS.replace("book", "reserve"), "", []),
    ],
)
def test_what_is_still_to_come_is_compared_word_by_word(
    steps: str, head: str, expected: list[tuple[str | None, str, tuple[str, ...]]]
) -> None:
    """The hotel is booked: how it was booked does not matter any more, how it is undone does."""
    story = Scenario.of(STEPS).starts().completes("hotel")
    found = changes_ahead(story.graph, _graph(steps, head), story.state)
    assert [
        (one.step, one.kind, one.words) for one in found if one.step != "payment" or one in found
    ] == expected


def test_nothing_is_ahead_of_what_has_ended() -> None:
    """Whatever differs."""
    story = Scenario.of(STEPS).starts().completes("hotel").completes("payment")
    assert changes_ahead(story.graph, _graph(HOTEL), story.state) == ()


_MUTATIONS: tuple[dict[str, object], ...] = (
    {"timeout": 7},
    {"retry": {"attempts": 3, "backoff": 2}},
    {"after": []},
    {"when": "parameters.no"},
    {"input": {"n": "parameters.some"}},
    {"compensation": "none"},
    {"compensation": {"action": "other"}},
    {"verify": {"action": "other"}},
    {"at_once": 1},
    {"service": "other"},
    {"join": "any"},
    {"expected": 3},
    {"pivot": True},
    {"for_each": "parameters.one"},
)


@dataclass
class _Compared(Fortune):
    """Decide on each message by both versions."""

    other: StepGraph | None = None

    def receive(self, message: inputs.Input) -> None:
        """Expect the same events and the same commands, then go on."""
        story, other = self.story, self.other
        if other is not None:
            then = decide(story.graph, story.state, message, story.now)
            now = decide(other, story.state, message, story.now)
            assert now.events == then.events
            assert effects(other, now.state, now.events) == effects(story.graph, then.state, then.events)
        story.receives(message)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(all_words(), st.sampled_from(_MUTATIONS), st.data())
def test_where_nothing_is_said_to_differ_nothing_does(
    definition: SagaDefinition, mutation: dict[str, object], data: st.DataObject
) -> None:
    """Whatever comes, the process does by the version what it would do by its own."""
    document = definition.model_dump(exclude_none=True)
    step = data.draw(st.sampled_from(document["steps"]))
    step.update(mutation)
    try:
        other = compile_graph(SagaDefinition.model_validate(document))
    except ValueError:
        assume(False)  # noqa: FBT003 - the words don't go together
    accepted = Accepted(
        "drawn", "hash", to_text(PARAMETERS), {}, "request", "", None, None,
        parent="p0.c.a1", children={"child": "hash of child"},
    )  # fmt: skip
    fortune = _Compared(data, Scenario(compile_graph(definition)).accepts(accepted))
    fortune.receive(inputs.StartRequested())
    for _ in range(data.draw(st.integers(0, 15))):
        fortune.anything()
    graph, state = fortune.story.graph, fortune.story.state
    assume(not misfits(graph, other, state) and not changes_ahead(graph, other, state))
    assume(not state.status.is_ended)
    fortune.other = other
    for _ in range(10):
        fortune.anything()
