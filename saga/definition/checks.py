"""What is refused when a definition is loaded: whatever could strand a process, with the step and the reason."""

from collections import Counter
from collections.abc import Mapping

from saga.definition.graph import DEFAULT_TIMEOUT_S, EffortPlan, StepGraph, compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.paths import predecessors, waits_for_all
from saga.definition.references import problems_with_references


def problems_in(definition: SagaDefinition) -> tuple[str, ...]:
    """Give a sentence per problem; none means that the definition may run."""
    problems = [*_repeated_names(definition), *_unknown_predecessors(definition)]
    if problems:
        return tuple(problems)  # the graph can't be read before these are settled
    cycle = _cycle(predecessors(definition))
    if cycle:
        return (f"step {cycle[0]!r}: 'after' makes a cycle: {' -> '.join(cycle)}",)
    problems = [*_pivots(definition), *_joins(definition)]
    if problems:
        return tuple(problems)
    graph = compile_graph(definition)
    return (
        *_missing_compensations(definition, graph),
        *problems_with_references(definition, graph),
        *_deadline(graph),
    )


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


def _joins(definition: SagaDefinition) -> list[str]:
    after = predecessors(definition)
    problems = []
    for step in definition.steps:
        count = len(set(after[step.name]))
        if waits_for_all(step):
            continue
        if count == 0:
            problems.append(
                f"step {step.name!r}: 'join' says how many of 'after' it waits for, and there are none"
            )
        elif isinstance(step.join, int) and step.join > count:
            problems.append(
                f"step {step.name!r}: the join can't close: it waits for {step.join} of {count} steps"
            )
    return problems


def _missing_compensations(definition: SagaDefinition, graph: StepGraph) -> list[str]:
    """Refuse what may have to be undone where nothing says how, or that there is nothing to undo."""
    early = _before_the_pivot(graph)
    problems = []
    for step in definition.steps:
        if step.service is None or step.compensation is not None or step.name not in early:
            continue
        node = graph.by_name[step.name]
        if graph.pivot is None or not node.behind_pivot:
            problems.append(
                f"step {step.name!r}: has no compensation; name the action that undoes it, "
                "or say 'compensation: none' if there is nothing to undo"
            )
            continue
        earlier = ", ".join(name for name in dict.fromkeys(node.after) if name in early)
        how = "it follows" if node.join_count is None else "its join may close with"
        problems.append(
            f"step {step.name!r}: comes after the pivot {graph.pivot.name!r}, but may start before it, as "
            f"{how} {earlier}: name the action that undoes it, or say 'compensation: none'"
        )
    return problems


def _before_the_pivot(graph: StepGraph) -> frozenset[str]:
    """Name the steps that may start before the pivot: all that don't come after it, and some behind a join."""
    early: set[str] = set()
    for node in sorted(graph.nodes, key=lambda node: node.ancestors.bit_count()):
        before = set(node.after)
        asked = len(before) if node.join_count is None else node.join_count
        if not node.forward_only or (node.behind_pivot and len(before & early) >= asked):
            early.add(node.name)
    return frozenset(early)


def _deadline(graph: StepGraph) -> list[str]:
    """Refuse a deadline that turns back a process whose steps only used the time that they were given."""
    if graph.deadline_ms is None:
        return []
    longest: dict[str, tuple[int, str | None]] = {}
    for node in sorted(graph.nodes, key=lambda node: node.ancestors.bit_count()):
        if node.forward_only:
            continue
        before = max(node.after, key=lambda name: longest[name][0], default=None)
        # Each attempt that is not answered may be asked about, every time with all the patience that it takes.
        asking = 0 if node.verify is None else node.action.retry.attempts * worst_case_ms(node.verify)
        own = worst_case_ms(node.action) + asking
        longest[node.name] = (own + (longest[before][0] if before else 0), before)
    last = max(longest, key=lambda name: longest[name][0], default=None)
    if last is None or longest[last][0] <= graph.deadline_ms:
        return []
    path: list[str] = []
    at: str | None = last
    while at is not None:
        path.insert(0, at)
        at = longest[at][1]
    needed = f"{longest[last][0] / 1000:g} s that the steps {' -> '.join(path)} may take"
    return [
        f"deadline: {graph.deadline_ms / 1000:g} s is shorter than the {needed} by their own attempts and pauses"
    ]


def worst_case_ms(plan: EffortPlan) -> int:
    """Give how long an effort may take when each attempt times out: attempts, and the pauses between them."""
    pauses = sum(plan.retry.wait_ms(attempt, 1.0) for attempt in range(1, plan.retry.attempts))
    return plan.retry.attempts * plan.timeout_ms + pauses


def problems_across(graphs: Mapping[str, StepGraph]) -> tuple[str, ...]:
    """Judge process types that carry out each other's steps: `graphs` are all of them, by type."""
    problems = [
        f"process type {graph.process_type!r}, step {node.name!r}: {problem}"
        for graph in graphs.values()
        if graph.child_types
        for early in (_before_the_pivot(graph),)
        for node in graph.nodes
        if node.child_type is not None
        for problem in _problems_with_child(node.child_type, graphs, must_be_undoable=node.name in early)
    ]
    if problems:
        return tuple(problems)
    cycle = _cycle({name: tuple(sorted(graph.child_types)) for name, graph in graphs.items()})
    if cycle:
        # As `_cycle` walks from a step to what comes before it, it gives the types from the inside out.
        return (f"process type {cycle[0]!r}: it would start itself: {' -> '.join(reversed(cycle))}",)
    return ()


def _problems_with_child(
    child_type: str, graphs: Mapping[str, StepGraph], *, must_be_undoable: bool
) -> list[str]:
    child = graphs.get(child_type)
    if child is None:
        return [f"no definition of the process type {child_type!r} is known"]
    if child.pivot is not None and must_be_undoable:
        where = "it may stand only at or after a pivot of this one"
        return [f"the process type {child_type!r} has a pivot, behind which it can't be undone; {where}"]
    return []


def warnings_in(definition: SagaDefinition) -> tuple[str, ...]:
    """Give what is allowed but probably not meant, and what can't be known before it runs."""
    graph = compile_graph(definition)
    early = _before_the_pivot(graph)
    unused = [
        f"step {step.name!r}: its compensation is never used, because nothing turns back from the pivot on"
        for step in definition.steps
        if step.undo is not None and step.name not in early
    ]
    repeated = [
        f"step {step.name!r}: its {word} is its own action, which would be carried out once more"
        for step in definition.steps
        for word, other in (("compensation", step.undo), ("verify", step.verify))
        if other is not None and other.action == step.action
    ]
    untimed = [
        f"step {step.name!r}: 'timeout' is left out, so it has {DEFAULT_TIMEOUT_S:g} s"
        for step in definition.steps
        if step.timeout is None and definition.timeout is None and step.service is None
    ]
    unbounded = [
        f"step {node.name!r}: how long its list takes can't be known; the deadline counts one item of it"
        for node in graph.nodes
        if node.for_each is not None and graph.deadline_ms is not None and not node.forward_only
    ]
    return (*unused, *repeated, *untimed, *unbounded)
