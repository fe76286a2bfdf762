"""The order of a definition's steps, read before anything is resolved: what comes before what, and for sure."""

from collections.abc import Iterable, Mapping

from saga.definition.model import SagaDefinition, StepDefinition


def predecessors(definition: SagaDefinition) -> dict[str, tuple[str, ...]]:
    """Give what each step waits for: its `after`, or the step above it."""
    result: dict[str, tuple[str, ...]] = {}
    above: tuple[str, ...] = ()
    for step in definition.steps:
        result[step.name] = above if step.after is None else step.after
        above = (step.name,)
    return result


def in_order(after: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    """Give the steps so that each comes after those that it waits for. Raises ValueError at a cycle."""
    done: set[str] = set()
    waiting = dict(after)
    while waiting:
        ready = [name for name, names in waiting.items() if done.issuperset(names)]
        if not ready:
            raise ValueError(f"a cycle through {', '.join(sorted(waiting))}")
        for name in ready:
            del waiting[name]
            yield name
        done.update(ready)


def closure(after: Mapping[str, tuple[str, ...]], order: Mapping[str, int]) -> dict[str, int]:
    """Give all that comes before each step, as a bit mask over the positions."""
    masks: dict[str, int] = {}
    for name in in_order(after):
        mask = 0
        for other in after[name]:
            mask |= masks[other] | 1 << order[other]
        masks[name] = mask
    return masks


def certain_ancestors(
    definition: SagaDefinition, after: Mapping[str, tuple[str, ...]], order: Mapping[str, int]
) -> dict[str, int]:
    """Give the ancestors that are completed for sure when a step starts, as bit masks.

    Behind a condition, or a join that doesn't wait for all, a step may start without the others' outputs.
    """
    steps = {step.name: step for step in definition.steps}
    may_skip = skippable(definition, after)
    certain: dict[str, int] = {}
    for name in in_order(after):
        paths = [certain[other] | (0 if other in may_skip else 1 << order[other]) for other in after[name]]
        # With a join it may start after any one of them; what all of them need is there whichever it was.
        certain[name] = _union(paths) if waits_for_all(steps[name]) else _intersection(paths)
    return certain


def skippable(definition: SagaDefinition, after: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Name the steps that a process may end without: those with a condition, and joins of such only."""
    steps = {step.name: step for step in definition.steps}
    found: set[str] = set()
    for name in in_order(after):
        is_left_out = not waits_for_all(steps[name]) and found.issuperset(after[name])
        if steps[name].when is not None or is_left_out:
            found.add(name)
    return frozenset(found)


def waits_for_all(step: StepDefinition) -> bool:
    """Say whether a step waits for all that it names in `after`."""
    return step.join in {None, "all"}


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result


def _intersection(masks: Iterable[int]) -> int:
    result = -1
    for mask in masks:
        result &= mask
    return max(result, 0)
