"""How a process turns back: nothing new starts, what waits is closed, children are told to end."""

from collections.abc import Iterator

from saga.definition.graph import StepKind
from saga.process import events as ev
from saga.process.draft import Draft
from saga.process.state import StepState
from saga.process.status import EffortStatus

DEADLINE = "deadline"


def turn_back(draft: Draft, reason: str, step: str | None) -> None:
    """Record that the process goes backward from here.

    Steps in backoff are closed by the outcomes of their attempts, signals as skipped. At the deadline of the
    process what runs is not awaited either: it is unknown. Processes that carry out steps are awaited always.
    """
    closes = tuple(_closes(draft, is_over=reason == DEADLINE))
    draft.record(ev.TurnedBack(reason, step, closes))
    cancel_children(draft, reason)


def cancel_children(draft: Draft, reason: str) -> None:
    """Tell the processes that carry out steps now to end."""
    for name, step in tuple(draft.state.steps.items()):
        current = step.action.current
        if is_child_running(draft, name, step) and current is not None and not current.cancelled:
            draft.record(ev.ChildCancelled(name, current.number, reason))


def is_child_running(draft: Draft, name: str, step: StepState) -> bool:
    """Say whether a process that carries out a step is awaited."""
    is_child = draft.graph.node_of(name).kind is StepKind.PROCESS
    return is_child and step.action.status is EffortStatus.RUNNING and step.items is None


def _closes(draft: Draft, *, is_over: bool) -> Iterator[tuple[str, EffortStatus]]:
    for name, step in draft.state.steps.items():
        kind = draft.graph.node_of(name).kind
        match step.action.status:
            case EffortStatus.RUNNING if kind is StepKind.SIGNAL:
                yield name, EffortStatus.SKIPPED
            case EffortStatus.RETRYING:
                is_unanswered = step.action.is_unanswered
                yield name, EffortStatus.UNKNOWN if is_unanswered else EffortStatus.FAILED
            case EffortStatus.RUNNING if is_over and kind is StepKind.SERVICE and step.items is None:
                yield name, EffortStatus.UNKNOWN
            case EffortStatus.VERIFYING if is_over:
                yield name, EffortStatus.UNKNOWN
            case _:
                pass
