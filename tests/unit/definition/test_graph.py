"""A definition made ready to run: defaults, inheritance, and the closure of its order."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from saga.definition.graph import EffortPlan, RetrySchedule, StepGraph, compile_graph, nodes_in
from saga.definition.sources import parse_definition

DEFAULT = RetrySchedule(
    attempts=3, backoff_ms=1_000, factor=2.0, max_backoff_ms=60_000, jitter=0.1, retry_on=None
)

OF_THE_SAGA = (
    "timeout: 9\nretry: {attempts: 5, backoff: 2, factor: 3, max_backoff: 8, jitter: 0, retry_on: [busy]}"
)


def graph_of(steps: str, *, head: str = "") -> StepGraph:
    """Compile a saga of steps in YAML."""
    return compile_graph(parse_definition(f"process_type: t\n{head}\nsteps:\n{steps}", source="t.yaml"))


def undo_of(graph: StepGraph, name: str) -> EffortPlan:
    """Give the plan of a step's compensation."""
    plan = graph.by_name[name].compensation
    assert plan is not None
    return plan


def test_what_nobody_says_is_the_contracts_default() -> None:
    """Thirty seconds, three attempts of an action and ten of an undo."""
    graph = graph_of("- {name: a, service: s, action: x, compensation: undo}")

    assert graph.by_name["a"].action == EffortPlan("x", 30_000, DEFAULT)
    assert undo_of(graph, "a") == EffortPlan("undo", 30_000, replace(DEFAULT, attempts=10))


def test_a_step_inherits_from_the_saga_word_by_word() -> None:
    """Each word left out is taken from the level above."""
    graph = graph_of(
        "- {name: a, service: s, action: x, compensation: undo, retry: {attempts: 7}}\n"
        "- {name: b, service: s, action: x, compensation: undo, timeout: 4, retry: {retry_on: [timeout]}}",
        head=OF_THE_SAGA,
    )
    inherited = RetrySchedule(5, 2_000, 3.0, 8_000, 0.0, frozenset({"busy"}))

    assert graph.by_name["a"].action == EffortPlan("x", 9_000, replace(inherited, attempts=7))
    assert graph.by_name["b"].action == EffortPlan(
        "x", 4_000, replace(inherited, retry_on=frozenset({"timeout"}))
    )


def test_an_undo_inherits_the_sagas_patience_but_not_how_often() -> None:
    """Giving up on an undo needs a person, so it has ten attempts unless it says otherwise."""
    graph = graph_of(
        "- {name: a, service: s, action: x, compensation: undo, retry: {attempts: 1, backoff: 50}}\n"
        "- {name: b, service: s, action: x, timeout: 4,"
        " compensation: {action: undo, retry: {attempts: 2, jitter: 1}}}\n"
        "- {name: c, service: s, action: x, timeout: 4, compensation: {action: undo, timeout: 1}}",
        head=OF_THE_SAGA,
    )
    inherited = RetrySchedule(10, 2_000, 3.0, 8_000, 0.0, None)

    assert undo_of(graph, "a") == EffortPlan("undo", 9_000, inherited)
    assert undo_of(graph, "b") == EffortPlan("undo", 4_000, replace(inherited, attempts=2, jitter=1.0))
    assert undo_of(graph, "c").timeout_ms == 1_000


def test_after_left_out_means_the_step_above() -> None:
    """The first starts at once; `after: []` does too, wherever it stands."""
    graph = graph_of(
        "- {name: a, service: s, action: x, compensation: none}\n"
        "- {name: b, service: s, action: x, compensation: none}\n"
        "- {name: c, service: s, action: x, compensation: none, after: []}\n"
        "- {name: d, service: s, action: x, compensation: none}"
    )

    assert [node.after for node in graph.nodes] == [(), ("a",), (), ("c",)]


def test_only_what_comes_after_the_pivot_is_behind_it() -> None:
    """A parallel branch is not."""
    graph = graph_of(
        "- {name: a, service: s, action: x, compensation: none}\n"
        "- {name: p, service: s, action: x, pivot: true}\n"
        "- {name: z, service: s, action: x}\n"
        "- {name: beside, service: s, action: x, compensation: none, after: [a]}"
    )

    assert graph.pivot is graph.by_name["p"]
    assert [node.name for node in graph.nodes if node.behind_pivot] == ["z"]
    assert [node.name for node in graph.nodes if node.forward_only] == ["p", "z"]


@given(
    st.lists(st.lists(st.integers(min_value=0, max_value=11), max_size=4), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_the_closure_is_that_of_a_naive_walk(edges: list[list[int]], chance: object) -> None:
    """The masks hold all that comes before and after a step, in whatever order the steps are written."""
    after = {n: sorted({other for other in edges[n] if other < n}) for n in range(len(edges))}
    order = list(after)
    chance.shuffle(order)  # type: ignore[attr-defined]  # hypothesis' random
    lines = [
        f"- {{name: s{n}, service: s, action: x, compensation: none, after: {[f's{m}' for m in after[n]]}}}"
        for n in order
    ]
    graph = graph_of("\n".join(lines))

    def before(n: int) -> set[int]:
        return set(after[n]).union(*(before(m) for m in after[n]))

    for n in after:
        node = graph.by_name[f"s{n}"]
        assert _names(graph, node.ancestors) == {f"s{m}" for m in before(n)}
        assert _names(graph, node.descendants) == {f"s{m}" for m in after if n in before(m)}


def test_a_chain_of_a_thousand_steps_compiles_quickly() -> None:
    """Written backward too, which is the worst order for the closure."""
    lines = [
        f"- {{name: s{n}, service: s, action: x, compensation: none, after: {[f's{n + 1}'] if n < 999 else []}}}"
        for n in range(1000)
    ]
    definition = parse_definition("process_type: t\nsteps:\n" + "\n".join(lines), source="t.yaml")

    begun = time.perf_counter()
    graph = compile_graph(definition)

    assert time.perf_counter() - begun < 3.0
    assert graph.by_name["s0"].ancestors.bit_count() == 999
    assert graph.by_name["s999"].descendants.bit_count() == 999


@given(
    attempt=st.integers(min_value=1, max_value=1000),
    chance=st.floats(min_value=0, max_value=1, exclude_max=True),
    factor=st.floats(min_value=1, max_value=100),
    jitter=st.floats(min_value=0, max_value=1),
)
def test_a_wait_stays_within_the_jitter_of_its_bound(
    attempt: int, chance: float, factor: float, jitter: float
) -> None:
    """However many attempts there were, a wait is never negative and never above the longest plus its jitter."""
    schedule = RetrySchedule(1000, 1_000, factor, 60_000, jitter, None)
    assert 0 <= schedule.wait_ms(attempt, chance) <= 60_000 * (1 + jitter) + 1


def test_waits_grow_by_the_factor_up_to_the_longest() -> None:
    """One, two, four seconds, then the longest."""
    schedule = RetrySchedule(9, 1_000, 2.0, 5_000, 0.0, None)
    assert [schedule.wait_ms(attempt, 0.5) for attempt in range(1, 6)] == [1_000, 2_000, 4_000, 5_000, 5_000]


def test_retry_on_lists_what_is_worth_another_attempt() -> None:
    """Left out, everything is, as long as attempts are left."""
    anything = RetrySchedule(3, 0, 1, 0, 0, None)
    some = replace(anything, retry_on=frozenset({"timeout"}))

    assert [anything.allows("any", attempts_used=used) for used in (1, 2, 3)] == [True, True, False]
    assert (some.allows("timeout", attempts_used=1), some.allows("other", attempts_used=1)) == (True, False)


def _names(graph: StepGraph, mask: int) -> set[str]:
    return {node.name for node in nodes_in(graph, mask)}
