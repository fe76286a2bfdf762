"""Process types that carry out each other's steps, and what is a warning only."""

from __future__ import annotations

from saga.definition.checks import problems_across, warnings_in
from saga.definition.graph import StepGraph, compile_graph
from saga.definition.sources import parse_definition
from tests.unit.definition.writing import FILE, saga, step

PLAIN = (step("a"),)
WITH_PIVOT = (step("a"), step("p", "pivot: true"))
HIDDEN = "it may stand only at or after a pivot of this one"


def types(**steps: tuple[str, ...]) -> dict[str, StepGraph]:
    """Compile one type per keyword."""
    graphs = {}
    for name, written in steps.items():
        text = saga(*written).replace("process_type: t", f"process_type: {name}")
        graphs[name] = compile_graph(parse_definition(text, source=FILE))
    return graphs


def child(type_: str, more: str = "") -> str:
    """Write a step that a process of another type carries out."""
    return f"name: {type_}_step, process: {type_}, timeout: 9{', ' if more else ''}{more}"


def warnings(*steps: str, head: str = "") -> tuple[str, ...]:
    """Give the warnings about a definition that loads."""
    return warnings_in(parse_definition(saga(*steps, head=head), source=FILE))


def test_types_that_start_others_are_taken_where_they_fit() -> None:
    """A chain, a diamond, the same type twice, one per item."""
    assert not problems_across(
        types(
            one=(
                child("two"),
                child("three"),
                "name: again, process: two",
                child("four", "for_each: parameters.list"),
            ),
            two=(child("four"),),
            three=(child("four"),),
            four=PLAIN,
        )
    )


def test_a_type_that_nobody_defined_is_refused() -> None:
    """With the type and the step that ask for it."""
    assert problems_across(types(one=(child("two"), child("nobody")), two=PLAIN)) == (
        "process type 'one', step 'nobody_step': no definition of the process type 'nobody' is known",
    )


def test_types_that_start_each_other_are_refused() -> None:
    """Each process would start another for ever; the sentence shows the circle in the order of starting."""
    ring = types(one=(child("two"),), two=(step("a"), child("three")), three=(child("one"),))
    (sentence,) = problems_across({**types(other=(child("one"),)), **ring})
    circles = ["one -> two -> three -> one", "two -> three -> one -> two", "three -> one -> two -> three"]
    assert sentence in {f"process type '{one.split()[0]}': it would start itself: {one}" for one in circles}


def test_a_type_that_starts_itself_is_refused() -> None:
    """Also behind a condition: whether it ends depends on data that nobody has judged."""
    (sentence,) = problems_across(types(one=(child("one", "when: parameters.more"),)))
    assert sentence == "process type 'one': it would start itself: one -> one"


def test_a_type_with_a_pivot_before_the_pivot_is_refused() -> None:
    """The process that starts it could not be undone; nor beside the pivot, nor where there is none."""
    says = f"the process type 'two' has a pivot, behind which it can't be undone; {HIDDEN}"
    for steps in (
        (child("two"),),
        (child("two"), step("p", "pivot: true")),
        (step("p", "pivot: true, after: []"), child("two", "after: []")),
        (child("two", "compensation: none"), step("p", "pivot: true")),
    ):
        assert problems_across(types(one=steps, two=WITH_PIVOT)) == (
            f"process type 'one', step 'two_step': {says}",
        )


def test_a_type_with_a_pivot_at_or_behind_the_pivot_is_taken() -> None:
    """From there on nothing turns back anyway."""
    assert not problems_across(types(one=(step("p", "pivot: true"), child("two")), two=WITH_PIVOT))
    assert not problems_across(types(one=(step("a"), child("two", "pivot: true")), two=WITH_PIVOT))


def test_a_type_with_a_pivot_behind_a_join_that_may_close_before_the_pivot_is_refused() -> None:
    """It comes after the pivot and need not wait for it; neither does what follows it."""
    steps = (step("a", "after: []"), step("p", "pivot: true, after: []"))
    joined = child("two", "after: [a, p], join: any")
    follower = (step("z", "after: [a, p], join: any"), child("two", "after: [z]"))

    for early in ((*steps, joined), (*steps, *follower)):
        (sentence,) = problems_across(types(one=early, two=WITH_PIVOT))
        assert sentence.startswith("process type 'one', step 'two_step': the process type 'two' has a pivot")
    assert not problems_across(types(one=(*steps, child("two", "after: [a, p], join: 2")), two=WITH_PIVOT))


def test_a_pivot_is_not_hidden_by_a_type_between() -> None:
    """The type between has no pivot of its own, so none may stand in what it starts."""
    graphs = types(one=(child("two"), step("p", "pivot: true")), two=(child("three"),), three=WITH_PIVOT)
    (sentence,) = problems_across(graphs)
    assert sentence.startswith("process type 'two', step 'three_step': the process type 'three' has a pivot")


def test_a_plain_definition_has_no_warnings() -> None:
    """What is meant is not remarked upon."""
    assert not warnings(
        step("a", "verify: look, for_each: parameters.list", compensation="undo"),
        step("p", "pivot: true"),
        step("z", "for_each: parameters.list"),
    )
    assert not warnings("name: asked, signal: true", child("two"), head="timeout: 20")


def test_a_signal_or_a_process_without_a_time_out_is_a_warning() -> None:
    """Thirty seconds are seldom what is meant for a person, or for a whole process."""
    assert warnings("name: asked, signal: true", "name: two, process: p", child("three")) == (
        "step 'asked': 'timeout' is left out, so it has 30 s",
        "step 'two': 'timeout' is left out, so it has 30 s",
    )


def test_a_list_before_the_deadline_is_a_warning() -> None:
    """How long it is can't be known; behind the pivot no deadline counts."""
    steps = (
        step("a", "for_each: parameters.l"),
        step("p", "pivot: true"),
        step("z", "for_each: parameters.l"),
    )
    assert warnings(*steps, head="deadline: 900") == (
        "step 'a': how long its list takes can't be known; the deadline counts one item of it",
    )
    assert not warnings(*steps)


def test_an_undo_or_a_question_that_is_the_action_is_a_warning() -> None:
    """Participants know handlers by the name of the action: it would be carried out once more."""
    assert warnings(step("a", "verify: x", compensation="x"), step("b", "verify: y", compensation="z")) == (
        "step 'a': its compensation is its own action, which would be carried out once more",
        "step 'a': its verify is its own action, which would be carried out once more",
    )
