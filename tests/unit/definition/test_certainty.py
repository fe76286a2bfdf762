"""What is certain when a step starts, against a naive model that plays every legal run of a small saga."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from saga import Saga, Step
from saga.definition.checks import problems_in
from saga.definition.graph import StepGraph, compile_graph, nodes_in
from saga.definition.paths import predecessors, skippable

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS_MAX = 6


@dataclass(frozen=True)
class Moment:
    """Hold which steps are completed and which are skipped."""

    completed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()

    @property
    def settled(self) -> frozenset[str]:
        """Give those that are one or the other."""
        return self.completed | self.skipped


class Model:
    """Play all runs of a saga by the words of the contract alone: no masks, nothing computed once."""

    def __init__(self, saga: Saga) -> None:
        self.steps = {step.name: step for step in saga.steps}
        self.after = {step.name: frozenset(step.after or ()) for step in saga.steps}
        self.moments = self._play()

    def ancestors(self, name: str) -> frozenset[str]:
        """Give all that comes before a step."""
        return self.after[name].union(*(self.ancestors(other) for other in self.after[name]))

    def starts(self) -> Iterator[tuple[str, Moment]]:
        """Give each moment of any run at which a step may start, and is not left out."""
        for moment in self.moments:
            for name in self.steps:
                if self._may_start(name, moment) and not self._is_left_out(name, moment):
                    yield name, moment

    def ends(self) -> list[Moment]:
        """Give the moments at which nothing more may start."""
        return [
            moment for moment in self.moments if not any(self._may_start(name, moment) for name in self.steps)
        ]

    def _may_start(self, name: str, moment: Moment) -> bool:
        step, after = self.steps[name], self.after[name]
        if name in moment.settled:
            return False
        if step.pivot:
            others = {other for other in self.steps if other != name and name not in self.ancestors(other)}
            return others <= moment.settled
        if after <= moment.settled:
            return True
        return len(after & moment.completed) >= self._asked(name)

    def _asked(self, name: str) -> int:
        match self.steps[name].join:
            case None | "all":
                return len(self.steps) + 1
            case "any":
                return 1
            case number:
                return number

    def _is_left_out(self, name: str, moment: Moment) -> bool:
        return self.steps[name].join not in {None, "all"} and not self.after[name] & moment.completed

    def _play(self) -> set[Moment]:
        found = {Moment()}
        pending = [Moment()]
        while pending:
            moment = pending.pop()
            for name in self.steps:
                if self._may_start(name, moment):
                    new = set(self._outcomes(name, moment)) - found
                    found |= new
                    pending.extend(new)
        return found

    def _outcomes(self, name: str, moment: Moment) -> Iterator[Moment]:
        is_left_out = self._is_left_out(name, moment)
        if is_left_out or self.steps[name].when is not None:
            yield Moment(moment.completed, moment.skipped | {name})
        if not is_left_out:
            yield Moment(moment.completed | {name}, moment.skipped)


@st.composite
def sagas(
    draw: st.DrawFn,
    *,
    conditions: bool = True,
    numbers: bool = True,
    pivots: bool = False,
    undo: str | None = "none",
) -> Saga:
    """Draw a small saga; each step follows some of those above it."""
    count = draw(st.integers(min_value=1, max_value=STEPS_MAX))
    pivot = draw(st.integers(min_value=0, max_value=count - 1)) if pivots else None
    steps = []
    for n in range(count):
        after = draw(st.lists(st.sampled_from(range(n)), unique=True, max_size=3)) if n else []
        joins: list[str | int | None] = [None]
        if after:
            joins += ["all", "any", *(range(1, len(after) + 1) if numbers else ())]
        steps.append(
            Step(
                f"s{n}",
                service="s",
                action="x",
                compensation=undo,
                after=[f"s{other}" for other in after],
                join=draw(st.sampled_from(joins)),
                when="parameters.go" if conditions and draw(st.booleans()) else None,
                pivot=n == pivot,
            )
        )
    return Saga("t", steps=draw(st.permutations(steps)))


def names(graph: StepGraph, mask: int) -> frozenset[str]:
    """Name the steps of a mask."""
    return frozenset(node.name for node in nodes_in(graph, mask))


def certain(saga: Saga) -> dict[str, frozenset[str]]:
    """Give what the graph claims to be completed when each step starts."""
    graph = compile_graph(saga)
    return {node.name: names(graph, node.certain) for node in graph.nodes}


@given(saga=sagas() | sagas(pivots=True))
@settings(max_examples=300, deadline=None)
def test_no_result_is_called_certain_that_a_legal_run_lacks(saga: Saga) -> None:
    """Whatever is skipped, and whatever a join doesn't wait for."""
    claimed = certain(saga)
    for name, moment in Model(saga).starts():
        assert claimed[name] <= moment.completed


@given(saga=sagas(conditions=False, numbers=False))
@settings(max_examples=200, deadline=None)
def test_every_result_is_called_certain_that_no_run_lacks(saga: Saga) -> None:
    """Where nothing is skipped: nobody must guard what is always there."""
    claimed = certain(saga)
    model = Model(saga)
    for name in claimed:
        moments = [moment.completed for started, moment in model.starts() if started == name]
        assert claimed[name] == model.ancestors(name).intersection(*moments)


@given(saga=sagas() | sagas(pivots=True))
@settings(max_examples=200, deadline=None)
def test_every_run_comes_to_its_end(saga: Saga) -> None:
    """No join and no condition strands a process: at the end each step is completed or skipped."""
    assert {moment.settled for moment in Model(saga).ends()} == {frozenset(step.name for step in saga.steps)}


@given(saga=sagas() | sagas(pivots=True))
@settings(max_examples=200, deadline=None)
def test_what_cannot_be_skipped_is_completed_at_the_end(saga: Saga) -> None:
    """A result of the whole may read it without a word for where it is missing; and the others need one."""
    may_skip = skippable(saga, predecessors(saga))
    ends = Model(saga).ends()

    assert may_skip == frozenset().union(*(moment.skipped for moment in ends))


@given(saga=sagas(pivots=True, undo=None))
@settings(max_examples=300, deadline=None)
def test_whatever_may_start_before_the_pivot_says_how_it_is_undone(saga: Saga) -> None:
    """Of those and of no others it is asked: also of a step behind the pivot that need not wait for it."""
    pivot = next(step.name for step in saga.steps if step.pivot)
    before = {name for name, moment in Model(saga).starts() if pivot not in moment.settled} - {pivot}

    problems = problems_in(saga)

    assert {problem.split("'")[1] for problem in problems} == before
    assert all("'compensation: none'" in problem for problem in problems)
