"""What is refused when a definition is loaded: whatever could strand a process, with the step and the reason."""

from collections import Counter
from collections.abc import Mapping

from saga.definition.graph import compile_graph, predecessors
from saga.definition.model import SagaDefinition


def problems_in(definition: SagaDefinition) -> tuple[str, ...]:
    """Give a sentence per problem; none means that the definition may run."""
    problems = [*_repeated_names(definition), *_unknown_predecessors(definition)]
    if problems:
        return tuple(problems)  # the graph can't be read before these are settled
    cycle = _cycle(predecessors(definition))
    if cycle:
        return (f"step {cycle[0]!r}: 'after' makes a cycle: {' -> '.join(cycle)}",)
    return (*_pivots(definition), *_missing_compensations(definition))


def _repeated_names(definition: SagaDefinition) -> list[str]:
    counts = Counter(step.name for step in definition.steps)
    return [f"step {name!r}: the name is used {count} times" for name, count in counts.items() if count > 1]


def _unknown_predecessors(definition: SagaDefinition) -> list[str]:
    known = {step.name for step in definition.steps}
    return [
        f"step {step.name!r}: 'after' names {other!r}, which is no step of this saga"
        for step in definition.steps
        for other in step.after or ()
        if other not in known
    ]


def _cycle(after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Walk backward from each step until a step comes again; iterative, because a chain may be long."""
    finished: set[str] = set()
    for start in after:
        path: list[str] = []
        on_path: set[str] = set()
        pending: list[tuple[str, bool]] = [(start, False)]
        while pending:
            name, leaving = pending.pop()
            if leaving:
                path.pop()
                on_path.discard(name)
                finished.add(name)
            elif name in on_path:
                return (*reversed(path[path.index(name) :]), path[-1])
            elif name not in finished:
                path.append(name)
                on_path.add(name)
                pending.append((name, True))
                pending.extend((other, False) for other in after[name])
    return ()


def _pivots(definition: SagaDefinition) -> list[str]:
    pivots = [step.name for step in definition.steps if step.pivot]
    return [f"step {name!r}: a saga has one pivot at most, and {pivots[0]!r} is it" for name in pivots[1:]]


def _missing_compensations(definition: SagaDefinition) -> list[str]:
    if sum(step.pivot for step in definition.steps) > 1:
        return []
    graph = compile_graph(definition)
    return [
        f"step {step.name!r}: has no compensation; name the action that undoes it, "
        "or say 'compensation: none' if there is nothing to undo"
        for step in definition.steps
        if step.compensation is None and not graph.by_name[step.name].forward_only
    ]


def warnings_in(definition: SagaDefinition) -> tuple[str, ...]:
    """Give what is allowed but probably not meant."""
    graph = compile_graph(definition)
    return tuple(
        f"step {step.name!r}: its compensation is never used, because nothing turns back from the pivot on"
        for step in definition.steps
        if step.undo is not None and graph.by_name[step.name].forward_only
    )
