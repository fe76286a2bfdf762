"""Whether a process can go on by another version of its definition, from where it stands. Pure.

A version fits where it could have led to this state, as far as that matters from here on:

- every step that something happened to is there, of the same kind, on the same side of the pivot, with a list
  where it ran once per item; whoever is asked about it, or undoes it, is who did it;
- what is being undone, or waits for it, still has an undo; and what is being asked about can be asked about;
- every step began when the new order allows it, and no undo overtook one that the new order has before it;
- the business keys that it took are those that the new version asks for.

What differs only in steps that are still to come is no misfit: that is what another version is for. Nor is what
was sent compared: attempts that are under way keep their time-outs.
"""

from collections.abc import Iterator

from saga.definition.graph import StepGraph, StepNode, nodes_in
from saga.process.advance import lock_keys
from saga.process.draft import Draft
from saga.process.mapping import MappingFailed
from saga.process.order import instances_of, may_join
from saga.process.state import Effort, ProcessState, StepState
from saga.process.status import EffortStatus
from saga.process.survey import survey
from saga.values import value

_UNDONE = frozenset({EffortStatus.DONE, EffortStatus.SKIPPED})


@value
class Misfit:
    """Say what of a process does not fit another version; `step` is None where it is no step of it."""

    step: str | None
    problem: str

    def __str__(self) -> str:
        """Write it as one sentence."""
        return self.problem if self.step is None else f"step {self.step} {self.problem}"


def misfits(before: StepGraph, after: StepGraph, state: ProcessState) -> tuple[Misfit, ...]:
    """Say what of a process, which ran by `before`, does not fit the version `after`; nothing where it fits."""
    if before.process_type != after.process_type:
        return (Misfit(None, f"it is a {before.process_type}, and the version is of {after.process_type}"),)
    found = (*_of_the_steps(before, after, state), *_of_the_keys(after, state))
    # Where a step is gone, or is another one, nothing can be said about its order.
    return found or (*_of_the_beginnings(after, state), *_of_the_undos(before, after, state))


def _of_the_steps(before: StepGraph, after: StepGraph, state: ProcessState) -> Iterator[Misfit]:
    for node in before.nodes:
        if _is_untouched(state.step(node.name)):
            continue
        now = after.by_name.get(node.name)
        if now is None:
            yield Misfit(node.name, f"is {_standing(state, node)}, and the version does not have it")
            continue
        problem = _problem_with(node, now, state)
        if problem is not None:
            yield Misfit(node.name, problem)


def _problem_with(node: StepNode, now: StepNode, state: ProcessState) -> str | None:
    """Say why a step that something happened to can't be another one of the same name."""
    step = state.step(node.name)
    parts = [state.step(name) for name in instances_of(state, node)]
    is_skipped = step.action.status is EffortStatus.SKIPPED and not step.action.attempts
    if (node.kind, node.child_type) != (now.kind, now.child_type) and not is_skipped:
        return f"is {_standing(state, node)} as {_kind(node)}, and the version has it as {_kind(now)}"
    if step.items is not None and now.for_each is None:
        return "ran once per item, and does not in the version"
    if step.items is None and not is_skipped and node.for_each is None and now.for_each is not None:
        return f"is {_standing(state, node)}, and runs once per item in the version"
    if (node.pivot, node.behind_pivot) != (now.pivot, now.behind_pivot):
        return f"is {_standing(state, node)} {_place(node)}, and stands {_place(now)} in the version"
    if now.compensation is None and any(_waits_for_undo(part) for part in parts):
        return "is to be undone, and has no compensation in the version"
    if now.verify is None and any(_is_asked_about(part) for part in parts):
        return "is being asked about, and has no verify in the version"
    if node.service != now.service and any(_is_open_or_undoable(part, now) for part in parts):
        return f"is {_standing(state, node)} by {node.service}, and {now.service} has it in the version"
    return None


def _of_the_keys(after: StepGraph, state: ProcessState) -> Iterator[Misfit]:
    if state.is_going_back or (state.locks is None and not state.steps):
        return  # it begins nothing any more, or has not begun: it asks for those of the version then
    try:
        wanted = lock_keys(Draft(after, _without_steps(state), state.updated_at))
    except MappingFailed as failure:
        yield Misfit(None, f"the version's locks can't be told: {failure}")
        return
    taken = tuple(lock.key for lock in state.locks or ())
    if wanted != taken:
        yield Misfit(None, f"it took {_keys(taken)}, and the version asks for {_keys(wanted)}")


def _of_the_beginnings(after: StepGraph, state: ProcessState) -> Iterator[Misfit]:
    for node in after.nodes:
        if _is_untouched(state.step(node.name)):
            continue
        begun_at = _begun_at(state, node)
        done = completed = 0
        for other in after.nodes:
            action = state.step(other.name).action
            if action.status in _UNDONE and (begun_at is None or (action.settled_at or 0) <= begun_at):
                done |= other.bit
                completed |= other.bit if action.status is EffortStatus.DONE else 0
        if may_join(node, done, completed):
            missing = _pivot_waits_for(after, node) & ~done
        else:
            missing = node.before & ~done
        if missing:
            names = ", ".join(one.name for one in nodes_in(after, missing))
            yield Misfit(node.name, f"began before {names}, which the version has before it")


def _of_the_undos(before: StepGraph, after: StepGraph, state: ProcessState) -> Iterator[Misfit]:
    if state.undo_plan is None:
        return
    left_before, left = survey(before, state).not_undone, survey(after, state).not_undone
    for node in after.nodes:
        undos = [state.step(name).undo for name in instances_of(state, node)]
        if not any(undo is not None and undo.status is not EffortStatus.PENDING for undo in undos):
            continue
        was = before.by_name[node.name].descendants & left_before
        known = {one.name for one in nodes_in(before, was)}
        late = [one.name for one in nodes_in(after, node.descendants & left) if one.name not in known]
        if late:
            yield Misfit(node.name, f"is undone before {', '.join(late)}, which the version undoes first")


def _pivot_waits_for(graph: StepGraph, node: StepNode) -> int:
    return ((1 << len(graph.nodes)) - 1) & ~node.descendants & ~node.bit if node.pivot else 0


def _is_untouched(step: StepState) -> bool:
    return step.action.status is EffortStatus.PENDING and not step.action.attempts


def _begun_at(state: ProcessState, node: StepNode) -> int | None:
    """Give when the first command of a step was sent, or when it was left out; None where only its list is."""
    actions = [state.step(name).action for name in instances_of(state, node)]
    begun = [effort.attempts[0].started_at for effort in actions if effort.attempts]
    return min(begun) if begun else state.step(node.name).action.settled_at


def _waits_for_undo(step: StepState) -> bool:
    return step.undo is not None and step.undo.status not in _UNDONE


def _is_asked_about(step: StepState) -> bool:
    return step.action.status is EffortStatus.VERIFYING or _is_open(step.verify)


def _is_open_or_undoable(step: StepState, now: StepNode) -> bool:
    is_undone = step.undo is not None and step.undo.status in _UNDONE
    # Whatever was answered, a success may still come late, and then it is undone.
    return _is_open(step.action) or (
        now.compensation is not None and bool(step.action.attempts) and not is_undone
    )


def _is_open(effort: Effort | None) -> bool:
    return effort is not None and effort.status.is_open


def _without_steps(state: ProcessState) -> ProcessState:
    """Give what a lock may read: the parameters. A survey of the steps may not be possible here."""
    return ProcessState(state.origin, updated_at=state.updated_at)


def _standing(state: ProcessState, node: StepNode) -> str:
    status = state.step(node.name).action.status
    return "completed" if status is EffortStatus.DONE else str(status)


def _kind(node: StepNode) -> str:
    return f"the process {node.child_type}" if node.child_type is not None else f"a {node.kind}"


def _place(node: StepNode) -> str:
    if node.pivot:
        return "as the pivot"
    return "behind the pivot" if node.behind_pivot else "before the pivot"


def _keys(keys: tuple[str, ...]) -> str:
    return f"the locks {', '.join(keys)}" if keys else "no lock"
