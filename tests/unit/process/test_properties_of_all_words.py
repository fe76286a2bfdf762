"""Properties of the machine over sagas with all words of the language, and over all that can happen to them."""

from functools import reduce

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga.definition.graph import compile_graph
from saga.definition.model import SagaDefinition
from saga.messages.json_text import to_text
from saga.process import inputs
from saga.process.events import Accepted
from saga.process.status import EffortStatus, ProcessStatus
from saga.testing.explore_witness import Witness
from tests.support.scenario import Scenario
from tests.unit.process.drawn import PARAMETERS, Fortune, all_words
from tests.unit.process.test_rerunning import rerun

MOVES_MAX = 25
WELL_MAX = 400


def accepted(definition: SagaDefinition, data: st.DataObject) -> Fortune:
    """Accept a process of a drawn saga, whose parent awaits its end."""
    first = Accepted(
        "drawn", "hash", to_text(PARAMETERS), {}, "request", "", None, None,
        parent="p0.c.a1", children={"child": "hash of child"},
    )  # fmt: skip
    return Fortune(data, Scenario(compile_graph(definition)).accepts(first))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_words(), st.data())
def test_whatever_happens_the_rules_hold_and_a_person_who_helps_brings_it_to_its_end(
    definition: SagaDefinition, data: st.DataObject
) -> None:
    """No message makes a decision fail; order and outcomes are judged by the log; then everything goes well."""
    fortune = accepted(definition, data)
    for _ in range(data.draw(st.integers(0, MOVES_MAX))):
        fortune.anything()
    fortune.receive(inputs.StartRequested())
    for _ in range(WELL_MAX):
        if not fortune.go_well():
            break
    else:
        raise AssertionError(f"no end: {fortune.story.events}")
    _assert_end(fortune)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_words(), st.data())
def test_whatever_happened_a_process_can_be_begun_anew_from_any_step_and_keeps_the_rules(
    definition: SagaDefinition, data: st.DataObject
) -> None:
    """What is kept is neither asked for nor undone, and the new process comes to its end like any other."""
    old = accepted(definition, data)
    for _ in range(data.draw(st.integers(0, MOVES_MAX))):
        old.anything()
    step = data.draw(st.sampled_from(definition.steps)).name
    story = rerun(old.story, step)
    kept = {name for name, one in story.state.steps.items() if one.is_kept}
    fortune = Fortune(data, story, reduce(Witness.seen, story.log[0].events, Witness()))
    for _ in range(data.draw(st.integers(0, MOVES_MAX))):
        fortune.anything()
    fortune.receive(inputs.StartRequested())
    for _ in range(WELL_MAX):
        if not fortune.go_well():
            break
    else:
        raise AssertionError(f"no end: {story.events}")
    assert story.state.status.is_ended
    assert {command.command_id for command in story.sent if command.routing_key == "process.forked"}
    assert step not in kept
    for name in kept:
        one = story.state.step(name)
        assert one.is_kept
        assert (one.action.attempts, one.undo, one.verify) == ((), None, None)


def _assert_end(fortune: Fortune) -> None:
    state = fortune.story.state
    assert state.status.is_ended
    answers = [command for command in fortune.story.sent if command.is_reply]
    assert answers, "the parent is told"
    if state.status is ProcessStatus.FAILED:
        return
    for name, step in state.steps.items():
        for effort in (step.action, step.undo, step.verify):
            assert effort is None or not effort.status.is_open or step.items is not None, f"{name} is open"
    if state.status is ProcessStatus.COMPLETED and state.joined_to is None:
        settled = {EffortStatus.DONE, EffortStatus.SKIPPED}
        assert all(step.action.status in settled for step in state.steps.values())
    sent = [command.command_id for command in fortune.story.sent]
    assert len(sent) == len(set(sent)), "one attempt is one command"
