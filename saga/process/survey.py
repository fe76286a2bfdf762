"""Where all steps of a process stand, as bit masks over the graph's positions, read in one pass.

With masks, each rule about order is one expression: a step may start when `node.ancestors & ~done` is
nothing, and be undone when `node.descendants & not_undone` is nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from saga.definition.graph import StepGraph, StepNode
from saga.process.state import ProcessState
from saga.process.status import EffortStatus


@dataclass(frozen=True, slots=True)
class Survey:
    """Hold one mask per standing of the actions, and of the undos in the plan."""

    everything: int
    untouched: int
    open: int
    done: int
    failed: int
    unknown: int
    undo_pending: int
    undo_open: int
    undo_stuck: int

    @property
    def not_undone(self) -> int:
        """Give the steps in the plan whose undo is not acknowledged."""
        return self.undo_pending | self.undo_open | self.undo_stuck


_NOWHERE = dict.fromkeys(EffortStatus, 0)


def survey(graph: StepGraph, state: ProcessState) -> Survey:
    """Read where the steps stand now."""
    everything = (1 << len(graph.nodes)) - 1
    actions = _NOWHERE.copy()
    undos = _NOWHERE.copy()
    touched = 0
    for name, step in state.steps.items():
        bit = graph.by_name[name].bit
        touched |= bit
        actions[step.action.status] |= bit
        if step.undo is not None:
            undos[step.undo.status] |= bit
    return Survey(
        everything=everything,
        untouched=everything & ~touched | actions[EffortStatus.PENDING],
        open=actions[EffortStatus.RUNNING] | actions[EffortStatus.RETRYING],
        done=actions[EffortStatus.DONE] | actions[EffortStatus.SKIPPED],
        failed=actions[EffortStatus.FAILED],
        unknown=actions[EffortStatus.UNKNOWN],
        undo_pending=undos[EffortStatus.PENDING],
        undo_open=undos[EffortStatus.RUNNING] | undos[EffortStatus.RETRYING],
        undo_stuck=undos[EffortStatus.FAILED],
    )


def startable(graph: StepGraph, seen: Survey) -> Iterator[StepNode]:
    """Give the steps that may start: all before them is done, and for the pivot, all but what follows it."""
    for node in nodes_in(graph, seen.untouched):
        awaited = seen.everything & ~node.descendants & ~node.bit if node.pivot else node.ancestors
        if not awaited & ~seen.done:
            yield node


def undoable(graph: StepGraph, seen: Survey) -> Iterator[StepNode]:
    """Give the steps that may be undone: all that comes after them is undone or was never started."""
    for node in nodes_in(graph, seen.undo_pending):
        if not node.descendants & seen.not_undone:
            yield node


def to_undo(graph: StepGraph, seen: Survey) -> tuple[str, ...]:
    """Give the undo plan: every step that completed, or may have, and has a compensation."""
    happened = nodes_in(graph, seen.done | seen.unknown)
    return tuple(node.name for node in happened if node.compensation is not None)


def nodes_in(graph: StepGraph, mask: int) -> Iterator[StepNode]:
    """Give the steps of a mask in written order; the cost is that of the set bits."""
    while mask:
        lowest = mask & -mask
        yield graph.nodes[lowest.bit_length() - 1]
        mask ^= lowest
