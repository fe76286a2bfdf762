"""What an explorer reads from a definition: its order as it is written, and the same saga with short budgets.

Nothing here uses the masks of the graph: an explorer that computed order as the machine does would share its
mistakes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saga.definition.graph import EffortPlan, StepGraph, StepNode

_BACKOFF_MS = 10.0


@dataclass(frozen=True, slots=True)
class WrittenOrder:
    """Hold which steps come before and after each step, along all that `after` names."""

    before: Mapping[str, frozenset[str]]
    later: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, graph: StepGraph) -> "WrittenOrder":
        """Follow `after` from step to step."""
        after = {node.name: node.after for node in graph.nodes}
        before = {name: _reached(after, name) for name in after}
        later = {name: frozenset(other for other in after if name in before[other]) for name in after}
        return cls(before, later)


def _reached(after: Mapping[str, tuple[str, ...]], name: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(after[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(after[other])
    return frozenset(found)


def with_short_budgets(graph: StepGraph, *, attempts_max: int) -> StepGraph:
    """Give the same saga with at most so many attempts per effort, and short pauses without chance.

    A third attempt goes by the rules of the second: what more attempts add is time, not another outcome.
    """
    nodes = tuple(_shortened(node, attempts_max) for node in graph.nodes)
    by_name = {node.name: node for node in nodes}
    pivot = None if graph.pivot is None else by_name[graph.pivot.name]
    return replace(graph, nodes=nodes, by_name=by_name, pivot=pivot)


def _shortened(node: StepNode, attempts_max: int) -> StepNode:
    return replace(
        node,
        action=_short(node.action, attempts_max),
        compensation=None if node.compensation is None else _short(node.compensation, attempts_max),
        verify=None if node.verify is None else _short(node.verify, attempts_max),
    )


def _short(plan: EffortPlan, attempts_max: int) -> EffortPlan:
    attempts = min(plan.retry.attempts, attempts_max)
    retry = replace(plan.retry, attempts=attempts, backoff_ms=_BACKOFF_MS, factor=1.0, jitter=0.0)
    return replace(plan, retry=retry)
