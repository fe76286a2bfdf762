"""To begin a process anew from one of its steps: what the new one keeps, what the old one's log says of it."""

from collections.abc import Iterator

from saga.definition.graph import StepGraph, StepKind, StepNode
from saga.process import events as ev
from saga.process import inputs
from saga.process.draft import Draft
from saga.process.limits import EVENTS_MAX
from saga.process.order import instances_of
from saga.process.state import ProcessState
from saga.process.status import AttemptOutcome, EffortStatus, ProcessStatus

_MOVING = frozenset({ProcessStatus.STARTED, ProcessStatus.COMPENSATING})
_SAYS_WHAT_HAPPENED = frozenset({AttemptOutcome.FAILED, AttemptOutcome.UNANSWERED})


def why_no_rerun(state: ProcessState) -> str | None:
    """Say why nothing can be begun from a process where it stands; None where it can."""
    if state.status in _MOVING:
        return f"it is {state.status}: what its steps gave may still change"
    if state.version >= EVENTS_MAX:
        return "its log is full"
    return None


def results_kept(graph: StepGraph, state: ProcessState, step: str) -> tuple[ev.ResultKept, ...]:
    """Give what a process that begins anew at `step` takes over.

    That are all steps that are completed or skipped, but for `step` itself and what comes after it. A step that
    runs once per item is kept whole, or done again whole.
    """
    again = graph.by_name[step].bit | graph.by_name[step].descendants
    return tuple(_kept(graph, state, again))


def _kept(graph: StepGraph, state: ProcessState, again: int) -> Iterator[ev.ResultKept]:
    for node in graph.nodes:
        action = state.step(node.name).action
        if node.bit & again or not _is_over(state, node):
            continue
        undos = (state.step(name).undo for name in instances_of(state, node))
        was_undone = any(undo is not None and undo.status is not EffortStatus.SKIPPED for undo in undos)
        yield ev.ResultKept(node.name, action.status, action.output, was_undone)


def _is_over(state: ProcessState, node: StepNode) -> bool:
    """Say whether a step is completed, or was left out by a decision."""
    action = state.step(node.name).action
    if action.status is EffortStatus.SKIPPED and node.kind is StepKind.SIGNAL and action.current is not None:
        # Closed because the process turned back, nobody decided anything: the signal is needed still.
        return action.current.outcome in _SAYS_WHAT_HAPPENED
    return action.status in {EffortStatus.DONE, EffortStatus.SKIPPED}


def note_fork(draft: Draft, report: inputs.ForkReported) -> None:
    """Record which process was begun from this one, once; nothing follows from it."""
    if report.request_id in draft.state.requests or draft.state.version >= EVENTS_MAX:
        return
    draft.record(ev.OperatorReran(report.fork, report.step, report.reason, report.actor, report.request_id))
