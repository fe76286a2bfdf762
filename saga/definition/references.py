"""What expressions may read: the parameters, and outputs that are there on every path to where they are used."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from saga.definition.expressions import Expression, ExpressionFailed
from saga.definition.graph import ObjectPlan, StepGraph, StepNode
from saga.definition.model import ITEMS_MAX, SagaDefinition
from saga.definition.paths import predecessors, skippable
from saga.messages.json_text import Json

_ITEM = frozenset({"item", "index"})
_EVERYWHERE = frozenset({"parameters", "results"})


class _Wanted(StrEnum):
    """Tell what an expression must give; the value is the word for it."""

    ANYTHING = "anything"
    CONDITION = "true, false or null"
    LIST = f"a list of at most {ITEMS_MAX} items"
    KEY = "a text or a whole number"


@dataclass(frozen=True, slots=True)
class _Place:
    """Hold where an expression stands, what it must give, and which steps' outputs it may read, as masks."""

    where: str
    readable: int
    certain: int
    names: frozenset[str] = _EVERYWHERE
    wanted: _Wanted = _Wanted.ANYTHING


def problems_with_references(definition: SagaDefinition, graph: StepGraph) -> list[str]:
    """Give a sentence for each expression that may read what is not there."""
    problems = [
        problem
        for node in graph.nodes
        for place, one in _of_step(node)
        for problem in _judge(graph, place, one)
    ]
    for number, one in enumerate(graph.locks, start=1):
        place = _Place(f"locks: number {number}", 0, 0, frozenset({"parameters"}), _Wanted.KEY)
        problems.extend(_judge(graph, place, one))
    everything = (1 << len(graph.nodes)) - 1
    may_skip = skippable(definition, predecessors(definition))
    certain = sum(node.bit for node in graph.nodes if node.name not in may_skip)
    for name, one in graph.result or ():
        problems.extend(_judge(graph, _Place(f"result.{name}", everything, certain), one))
    return problems


def _of_step(node: StepNode) -> Iterator[tuple[_Place, Expression]]:
    where = f"step {node.name!r}"
    names = _EVERYWHERE if node.for_each is None else _EVERYWHERE | _ITEM
    if node.when is not None:
        place = _Place(f"{where}: when", node.ancestors, node.certain, wanted=_Wanted.CONDITION)
        yield place, node.when
    if node.for_each is not None:
        place = _Place(f"{where}: for_each", node.ancestors, node.certain, wanted=_Wanted.LIST)
        yield place, node.for_each
    for name, one in node.action.input or ():
        yield _Place(f"{where}: input.{name}", node.ancestors, node.certain, names), one
    undo: ObjectPlan = (node.compensation.input if node.compensation else None) or ()
    for name, one in undo:
        # The step's own output may be missing: it is undone also where nobody knows whether it happened.
        place = _Place(f"{where}: compensation.input.{name}", node.ancestors | node.bit, node.certain, names)
        yield place, one


def _judge(graph: StepGraph, place: _Place, expression: Expression) -> Iterator[str]:
    for name in sorted(expression.roots - place.names):
        yield f"{place.where}: {name!r} can't be read here; there are {', '.join(sorted(place.names))}"
    yield from _judge_constant(place, expression)
    if "results" not in place.names:
        return
    if expression.reads_all_results:
        yield f"{place.where}: name the steps whose results it reads: results.<step>"
    for reference in expression.result_references:
        node = graph.by_name.get(reference.step)
        if node is None:
            yield f"{place.where}: {reference.step!r} is no step of this saga"
        elif not node.bit & place.readable:
            yield f"{place.where}: the result of step {node.name!r} isn't there yet: it does not come before"
        elif not node.bit & place.certain and not reference.is_guarded:
            yield (
                f"{place.where}: the result of step {node.name!r} may be missing on a path that leads here; "
                f"say what holds then, for example results.{node.name} || 'nothing'"
            )


def _judge_constant(place: _Place, expression: Expression) -> Iterator[str]:
    """Refuse what reads nothing and so fails every process in the same way."""
    if expression.roots:
        return
    try:
        value = expression.evaluate({})
    except ExpressionFailed as error:
        yield f"{place.where}: never has a value: {error}"
        return
    if not _is_wanted(place.wanted, value):
        yield f"{place.where}: must give {place.wanted}, and reads nothing that could make it so"


def _is_wanted(wanted: _Wanted, value: Json) -> bool:
    match wanted:
        case _Wanted.ANYTHING:
            return True
        case _Wanted.CONDITION:
            return value is None or isinstance(value, bool)
        case _Wanted.LIST:
            return isinstance(value, list) and len(value) <= ITEMS_MAX
        case _Wanted.KEY:
            return value != "" and isinstance(value, str | int) and not isinstance(value, bool)
