"""Each word of the language in both spellings: the same canonical text, the same hash, the same plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from saga import Compensation, Retry, Saga, Step, Verify
from saga.definition.canonical import canonical_text, definition_hash, from_canonical_text
from saga.definition.expressions import Expression
from saga.definition.graph import OnLocked, StepKind
from saga.definition.sources import checked, load_definitions, parse_definition
from tests.unit.definition.writing import FILE, graph_of, saga, step

DEMO = Path(__file__).parents[3] / "api/demo/document_analysis.yaml"
DEMO_HASH = "85098b8028d186402d7e82b3e76c9e4377eee3783197a81f5c71d7165d2161f3"

FIRST = Step("a", service="s", action="x", compensation="none")


def canonical(text: str) -> str:
    """Load YAML and write it canonically."""
    return canonical_text(parse_definition(text, source=FILE))


@pytest.mark.parametrize(
    ("written", "built"),
    [
        (
            step("b", "when: parameters.go"),
            Step("b", service="s", action="x", compensation="none", when="parameters.go"),
        ),
        (
            step("b", "for_each: 'parameters.list', at_once: 3"),
            Step("b", service="s", action="x", compensation="none", for_each="parameters.list", at_once=3),
        ),
        (step("b", "join: any"), Step("b", service="s", action="x", compensation="none", join="any")),
        (step("b", "join: all"), Step("b", service="s", action="x", compensation="none", join="all")),
        (step("b", "join: 1"), Step("b", service="s", action="x", compensation="none", join=1)),
        ("name: b, process: child", Step("b", process="child")),
        (
            "name: b, process: child, compensation: none, retry: {attempts: 2}",
            Step("b", process="child", compensation="none", retry=Retry(attempts=2)),
        ),
        ("name: b, signal: true, timeout: P1D", Step("b", signal=True, timeout=86_400)),
        (
            "name: b, signal: true, timeout: 1, compensation: none",
            Step("b", signal=True, timeout=1, compensation="none"),
        ),
        (step("b", "verify: look"), Step("b", service="s", action="x", compensation="none", verify="look")),
        (
            step("b", "verify: {action: look, fences: true, timeout: PT3S, retry: {attempts: 5}}"),
            Step(
                "b",
                service="s",
                action="x",
                compensation="none",
                verify=Verify("look", fences=True, timeout=3, retry=Retry(attempts=5)),
            ),
        ),
        (
            step("b", "verify: {action: look, fences: false}"),
            Step("b", service="s", action="x", compensation="none", verify=Verify("look")),
        ),
        (
            step("b", "input: {who: parameters.id, paid: results.a.paid}"),
            Step(
                "b",
                service="s",
                action="x",
                compensation="none",
                input={"paid": "results.a.paid", "who": "parameters.id"},
            ),
        ),
        (step("b", "input: {}"), Step("b", service="s", action="x", compensation="none", input={})),
        (
            step("b", compensation="{action: undo, input: {id: results.a.id}}"),
            Step(
                "b", service="s", action="x", compensation=Compensation("undo", input={"id": "results.a.id"})
            ),
        ),
    ],
)
def test_a_word_of_a_step_is_the_same_in_both_spellings(written: str, built: Step) -> None:
    """Equal bytes, and reading them back changes none."""
    in_yaml = canonical(saga(step(), written))
    in_python = canonical_text(checked(Saga("t", steps=[FIRST, built]), source="t"))

    assert in_yaml == in_python
    assert canonical_text(from_canonical_text(in_yaml)) == in_yaml


def test_the_words_of_a_saga_are_the_same_in_both_spellings() -> None:
    """What stands beside the steps: the deadline, the locks, what to do about them, the result."""
    head = (
        "deadline: PT25H\nlocks: [parameters.id, parameters.day]\non_locked: join\nresult: {got: results.a}"
    )
    in_python = Saga(
        "t",
        steps=[FIRST],
        deadline=90_000,
        locks=["parameters.id", "parameters.day"],
        on_locked="join",
        result={"got": "results.a"},
    )

    in_yaml = canonical(saga(step(), head=head))

    assert in_yaml == canonical_text(checked(in_python, source="t"))
    assert canonical_text(from_canonical_text(in_yaml)) == in_yaml


@pytest.mark.parametrize(
    "word",
    ["when: null", "for_each: null", "at_once: null", "process: null", "join: null", "signal: false",
     "verify: null", "input: null"],
)  # fmt: skip
def test_a_word_that_says_nothing_leaves_no_trace(word: str) -> None:
    """Written out or left out, a default is the same definition."""
    assert canonical(saga(step("b", word))) == canonical(saga(step("b")))


@pytest.mark.parametrize("word", ["deadline: null", "locks: null", "on_locked: null", "result: null"])
def test_a_word_of_the_saga_that_says_nothing_leaves_no_trace(word: str) -> None:
    """Likewise for what stands beside the steps."""
    assert canonical(saga(step(), head=word)) == canonical(saga(step()))


def test_an_unchanged_definition_keeps_its_hash_over_versions() -> None:
    """The words that came later don't touch it: processes that run by it are read by any later version."""
    (demo,) = load_definitions(str(DEMO))

    assert definition_hash(canonical_text(demo)) == DEMO_HASH


def test_the_order_of_locks_and_of_members_is_no_accident() -> None:
    """The members of an object have no order; those of a list have."""
    one, same = (
        f"result: {{{members}}}" for members in ("a: results.a, b: results.a", "b: results.a, a: results.a")
    )
    first, second = (
        f"locks: [{keys}]" for keys in ("parameters.a, parameters.b", "parameters.b, parameters.a")
    )

    assert canonical(saga(step(), head=one)) == canonical(saga(step(), head=same))
    assert canonical(saga(step(), head=first)) != canonical(saga(step(), head=second))


def test_each_word_reaches_the_plan() -> None:
    """What is written is what runs: kinds, time-outs, expressions, joins, and the defaults."""
    graph = graph_of(
        step("a", "after: [], verify: {action: look, fences: true, timeout: 3}", compensation="undo"),
        "name: b, signal: true, after: [], timeout: 60, when: parameters.go",
        "name: c, process: child, after: [a, b], join: any, for_each: parameters.list, timeout: 9",
        step("d", "after: [a, b, c], join: 2, input: {n: 'results.a.n || parameters.n'}"),
        head="deadline: 900\nlocks: [parameters.id]\non_locked: refuse\nresult: {n: results.a.n}",
    )
    a, b, c, d = graph.nodes

    assert [node.kind for node in graph.nodes] == [
        StepKind.SERVICE,
        StepKind.SIGNAL,
        StepKind.PROCESS,
        StepKind.SERVICE,
    ]
    assert [node.join_count for node in graph.nodes] == [None, None, 1, 2]
    assert a.verify is not None
    assert (a.verify.action, a.verify.timeout_ms, a.verify.retry.attempts, a.fences) == (
        "look",
        3_000,
        3,
        True,
    )
    assert (b.service, b.action.timeout_ms, b.action.retry.attempts) == ("signal", 60_000, 1)
    assert b.when == Expression("parameters.go")
    assert (c.child_type, c.action.retry.attempts, c.at_once) == ("child", 1, 10)
    assert c.for_each == Expression("parameters.list")
    assert c.compensation is not None
    assert d.action.input == (("n", Expression("results.a.n || parameters.n")),)
    assert graph.deadline_ms == 900_000
    assert (graph.locks, graph.on_locked) == ((Expression("parameters.id"),), OnLocked.REFUSE)
    assert graph.result == (("n", Expression("results.a.n")),)
    assert (graph.child_types, graph.services) == (frozenset({"child"}), frozenset({"s"}))


def test_a_process_is_undone_unless_nothing_is_to_be_undone() -> None:
    """Its own compensations are its undo; `compensation: none` leaves it as it is; a signal has nothing."""
    graph = graph_of(
        "name: a, process: c", "name: b, process: c, compensation: none", "name: d, signal: true"
    )

    assert [node.compensation is not None for node in graph.nodes] == [True, False, False]


def test_an_instance_is_found_by_its_step() -> None:
    """`step[index]` is carried out by the plan of its step."""
    graph = graph_of(step("hotel", "for_each: parameters.list"))

    assert graph.node_of("hotel[17]") is graph.node_of("hotel") is graph.nodes[0]
    with pytest.raises(KeyError):
        graph.node_of("car[1]")
