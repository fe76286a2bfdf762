"""What another version of a definition changes for a process, of what is still to come for it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from saga.definition.graph import StepGraph, StepNode, nodes_in
from saga.messages.json_text import Json, JsonObject
from saga.process.order import instances_of
from saga.process.state import ProcessState
from saga.process.status import EffortStatus

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_DONE = frozenset({EffortStatus.DONE, EffortStatus.SKIPPED})
_SAME_FOR_ALL = (
    "service", "kind", "verify", "fences", "join_count", "when", "for_each", "at_once", "pivot", "behind_pivot",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """Hold a step that is still to come and differs, by the words that differ; None is the process itself."""

    step: str | None
    kind: str
    words: tuple[str, ...] = ()

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {"step": self.step, "change": self.kind, "words": list[Json](self.words)}


def changes_ahead(before: StepGraph, after: StepGraph, state: ProcessState) -> tuple[Change, ...]:
    """Give what differs of that which a process has still before it, the nearest first.

    What is done is compared only in how it would be undone. Nothing differs where this is empty: whatever comes,
    the process does by `after` what it would do by `before`.
    """
    if state.status.is_ended:
        return ()
    found = sorted(_of_the_steps(before, after, state), key=lambda one: one[0])
    return (*_of_the_process(before, after, state), *(change for _, change in found))


def _of_the_steps(
    before: StepGraph, after: StepGraph, state: ProcessState
) -> Iterator[tuple[tuple[int, int], Change]]:
    for node in before.nodes:
        if node.name not in after.by_name and not state.is_going_back:
            yield _place(node), Change(node.name, REMOVED)
    for node in after.nodes:
        was = before.by_name.get(node.name)
        if was is None:
            if not state.is_going_back:
                yield _place(node), Change(node.name, ADDED)
            continue
        words = _words(before, was, after, node, state)
        if words:
            yield _place(node), Change(node.name, CHANGED, words)


def _words(
    before: StepGraph, was: StepNode, after: StepGraph, node: StepNode, state: ProcessState
) -> tuple[str, ...]:
    step = state.step(node.name)
    # What is spent may be tried again by a person, where the process does not turn back.
    is_settled = step.action.status in _DONE or (state.is_going_back and not step.action.status.is_open)
    if is_settled:
        # Whatever was answered, a success may still come late, and then it is undone.
        can_be_undone = any(state.step(name).action.attempts for name in instances_of(state, node))
        if not can_be_undone or not (was.compensation or node.compensation):
            return ()
        return tuple(_undo_words(before, was, after, node))
    words = [word for word in _SAME_FOR_ALL if getattr(was, word) != getattr(node, word)]
    if was.action != node.action:
        words += [word for word in ("action", "timeout_ms", "retry", "input") if _differs(was, node, word)]
    if set(was.after) != set(node.after):
        words.append("after")
    if node.action.input is None and _ancestors(before, was) != _ancestors(after, node):
        words.append("results")
    return (*words, *(word for word in _undo_words(before, was, after, node) if word not in words))


def _undo_words(before: StepGraph, was: StepNode, after: StepGraph, node: StepNode) -> Iterator[str]:
    if was.compensation != node.compensation:
        yield "compensation"
    if was.service != node.service:
        yield "service"
    if was.at_once != node.at_once:
        yield "at_once"
    # What both have and comes after it is undone before it.
    common = before.by_name.keys() & after.by_name.keys()
    if _descendants(before, was) & common != _descendants(after, node) & common:
        yield "after"


def _of_the_process(before: StepGraph, after: StepGraph, state: ProcessState) -> Iterator[Change]:
    words = []
    if not state.is_going_back:
        if before.deadline_ms != after.deadline_ms and not state.deadline_passed:
            words.append("deadline")
        if before.result != after.result:
            words.append("result")
        if state.locks is None and not state.steps and before.locks != after.locks:
            words.append("locks")
        if before.on_locked != after.on_locked and not all(lock.is_held for lock in state.locks or ()):
            words.append("on_locked")
    if words:
        yield Change(None, CHANGED, tuple(words))


def _differs(was: StepNode, node: StepNode, word: str) -> bool:
    return bool(getattr(was.action, word) != getattr(node.action, word))


def _place(node: StepNode) -> tuple[int, int]:
    return node.ancestors.bit_count(), node.position


def _ancestors(graph: StepGraph, node: StepNode) -> set[str]:
    return {one.name for one in nodes_in(graph, node.ancestors)}


def _descendants(graph: StepGraph, node: StepNode) -> set[str]:
    return {one.name for one in nodes_in(graph, node.descendants)}
