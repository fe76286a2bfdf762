"""The workflow patterns: each definition on their page is carried out, so that what the page claims is true."""

import pytest

from saga.definition.graph import compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.sources import parse_definition
from saga.errors import InvalidDefinition
from saga.messages.json_text import Json, to_text
from saga.process import inputs
from saga.process.events import Accepted
from saga.process.status import EffortStatus, OperatorAction
from tests.docs.pages import DOCS, blocks
from tests.support.scenario import Scenario

PAGE = DOCS / "reference" / "patterns.md"
SHOWN: dict[str, SagaDefinition] = {
    definition.process_type: definition
    for definition in (
        parse_definition(block.text, source=PAGE.name) for block in blocks(PAGE) if block.language == "yaml"
    )
}


def _started(process_type: str, parameters: Json = None) -> Scenario:
    """Start a process of a definition on the page; the types of its children are known by name only."""
    definition = SHOWN[process_type]
    story = Scenario(compile_graph(definition))
    children = {step.process: "hash" for step in definition.steps if step.process is not None}
    accepted = Accepted(
        process_type, "hash", to_text(parameters or {}), {}, "request", "", None, None, children=children
    )
    story._record((accepted,), "accept")
    return story.starts()


def _cancelled(story: Scenario) -> Scenario:
    request = inputs.OperatorRequested(OperatorAction.CANCEL, "not wanted", "ada", "request-1")
    return story.receives(request)


def test_sequence() -> None:
    """1: a step starts when the one above it completed."""
    story = _started("routing").expect_commands("order.a1")
    story.completes("order").expect_commands("pack.a1", "bill.a1")


def test_parallel_split() -> None:
    """2: what comes after the same step starts at once, and neither waits for the other."""
    story = _started("routing").completes("order").expect_commands("order.a1", "pack.a1", "bill.a1")
    story.completes("bill").expect_commands()
    assert story.action("pack") is EffortStatus.RUNNING


def test_synchronization() -> None:
    """3: what comes after both waits for both."""
    story = _started("routing").completes("order").completes("bill")
    story.expect_commands("order.a1", "pack.a1", "bill.a1")
    story.completes("pack").expect_commands("ship.a1").completes("ship").expect_status("completed")


@pytest.mark.parametrize(
    ("price", "taken", "left"), [(101, "dear", "cheap"), (100, "cheap", "dear"), (None, "cheap", "dear")]
)
def test_exclusive_choice_and_simple_merge(price: Json, taken: str, left: str) -> None:
    """4 and 5: one branch is taken and the other skipped; the merge starts once, with the one that was taken."""
    story = _started("exclusive").completes("ask", {"price": price})
    story.expect_commands("ask.a1", f"{taken}.a1")
    assert story.action(left) is EffortStatus.SKIPPED
    story.completes(taken).expect_commands("merge.a1").completes("merge").expect_status("completed")


@pytest.mark.parametrize("taken", [(), ("hotel",), ("car",), ("hotel", "car")])
def test_multi_choice_and_synchronizing_merge(taken: tuple[str, ...]) -> None:
    """6 and 7: any of the branches are taken; the merge waits for exactly these."""
    story = _started("multiple", {name: name in taken for name in ("hotel", "car")}).completes("plan")
    for number, name in enumerate(taken):
        story.expect_commands(*(["plan.a1", *(f"{one}.a1" for one in taken)] if number == 0 else []))
        story.completes(name)
    story.expect_commands(*(["go.a1"] if taken else ["plan.a1", "go.a1"]))
    story.completes("go").expect_status("completed")


def test_multi_merge_by_a_process_per_branch() -> None:
    """8: what follows each branch is carried out once for each, as soon as it completed."""
    story = _started("merging").expect_commands("paper.a1", "online.a1")
    story.completes("online").expect_commands("file_online.a1")
    story.completes("paper").expect_commands("file_paper.a1")
    story.completes("file_paper", {}).completes("file_online", {}).expect_status("completed")


def test_discriminator() -> None:
    """9: the first of the branches starts what follows, once; the others run on until the end."""
    story = _started("quorum").expect_commands("one.a1", "other.a1", "third.a1")
    story.completes("third").expect_commands("first.a1")
    story.completes("one").expect_commands("two.a1").completes("first").completes("two")
    story.expect_status("started").completes("other").expect_commands().expect_status("completed")


def test_n_out_of_m_join() -> None:
    """Two of three start what follows, in whatever order they come."""
    story = _started("quorum").expect_commands("one.a1", "other.a1", "third.a1")
    story.completes("other").expect_commands("first.a1").completes("one").expect_commands("two.a1")
    story.completes("third").expect_commands()


def test_a_branch_that_fails_turns_back_whatever_was_joined() -> None:
    """A join says when a step starts, not that the others no longer matter."""
    story = _started("quorum").completes("one").completes("other").completes("first").completes("two")
    story.fails_for_good("third").expect_status("compensated")


def test_arbitrary_cycles_are_refused() -> None:
    """10: the definition can't be loaded, and the answer names the cycle."""
    text = (
        "process_type: loop\nsteps:\n"
        "- {name: one, service: a, action: do, compensation: none, after: [two]}\n"
        "- {name: two, service: a, action: do, compensation: none, after: [one]}\n"
    )
    with pytest.raises(InvalidDefinition, match=r"makes a cycle: one -> two -> one|two -> one -> two"):
        parse_definition(text, source="test")


def test_a_process_as_a_step_repeats_several_steps() -> None:
    """10, instead: a step that a process carries out is tried again by a new process."""
    story = _started("repeating").expect_commands("round.a1")
    story.fails("round", "process_compensated").next_timer_fires().expect_commands("round.a2")
    story.completes("round", {}).expect_status("completed")


@pytest.mark.parametrize("order", [("short", "long"), ("long", "short")])
def test_implicit_termination(order: tuple[str, str]) -> None:
    """11: the process completes with whichever step is the last."""
    story = _started("ending").completes("start")
    story.completes(order[0]).expect_status("started").completes(order[1]).expect_status("completed")


def test_multiple_instances_without_synchronization() -> None:
    """12: nothing but the end of the process waits for instances that no step follows."""
    story = _started("instances", {"readers": ["ada", "bob"]}).completes("legs", [])
    for index in range(3):
        story.completes(f"flyers[{index}]")
    flyers = [f"flyers.{index}.a1" for index in range(3)]
    story.expect_commands("legs.a1", *flyers, "letters.0.a1", "letters.1.a1", "last.a1")
    story.completes("last").expect_status("started")
    story.completes("letters[1]").completes("letters[0]").expect_status("completed")


def test_multiple_instances_with_a_priori_design_time_knowledge() -> None:
    """13: as many as the definition lists, and what follows waits for all of them."""
    story = _started("instances", {"readers": []}).completes("legs", [])
    story.expect_commands("legs.a1", *(f"flyers.{index}.a1" for index in range(3)))
    story.completes("flyers[2]").completes("flyers[0]").expect_commands()
    story.completes("flyers[1]").expect_commands("last.a1")


def test_multiple_instances_with_a_priori_run_time_knowledge() -> None:
    """14: as many as the step before said, and what follows waits for all of them."""
    story = _started("instances", {"readers": []})
    for index in range(3):
        story.completes(f"flyers[{index}]")
    story.completes("legs", ["ab", "bc"])
    story.expect_commands(
        "legs.a1", *(f"flyers.{index}.a1" for index in range(3)), "tickets.0.a1", "tickets.1.a1"
    )
    story.completes("tickets[0]", "t0").expect_commands()
    story.completes("tickets[1]", "t1").expect_commands("last.a1")
    assert story.state.step("tickets").action.output == '["t0","t1"]'


@pytest.mark.parametrize(("word", "taken"), [("yes", "accept"), ("no", "decline")])
def test_deferred_choice_by_one_signal(word: str, taken: str) -> None:
    """16, in part: nothing is chosen before somebody outside gives the word."""
    story = _started("deferred").expect_commands()
    story.completes("choice", {"word": word}).expect_commands(f"{taken}.a1")
    story.completes(taken).expect_status("completed")


def test_interleaved_routing_one_at_a_time() -> None:
    """17, in part: never two at once."""
    story = _started("interleaved").expect_commands("checks.0.a1")
    story.completes("checks[0]").expect_commands("checks.1.a1")
    story.completes("checks[1]").expect_commands("checks.2.a1")
    story.completes("checks[2]").expect_status("completed")


def test_milestone() -> None:
    """18, in part: not before the milestone is reached, whatever else is under way."""
    story = _started("milestone").completes("stock").expect_commands("open.a1", "stock.a1")
    story.completes("open").expect_commands("sell.a1").completes("sell").expect_status("completed")


def test_cancel_case() -> None:
    """20: what is under way is awaited, and what was done is undone; behind the pivot it is refused."""
    story = _cancelled(_started("cancelling")).expect_commands("reserve.a1")
    story.completes("reserve").expect_commands("reserve.c1").undoes("reserve").expect_status("compensated")
    story = _cancelled(_started("cancelling").completes("reserve").completes("pay"))
    assert "operator_rejected" in story.events
    story.completes("ship").expect_status("completed")


def test_each_definition_on_the_page_has_a_test() -> None:
    """What the page shows is carried out here, but for the process that is only carried out by others."""
    source = PAGE.parents[2] / "tests" / "unit" / "process" / "test_patterns.py"
    text = source.read_text(encoding="utf-8")
    assert [name for name in SHOWN if f'_started("{name}"' not in text] == ["filing"]
