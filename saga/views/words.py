"""The words in which people read where a step and its undo stand; some differ from the machine's."""

from collections.abc import Mapping
from types import MappingProxyType

from saga.definition.graph import StepKind, StepNode
from saga.process.state import ProcessState, instance_name
from saga.process.status import EffortStatus

STEP_WORDS: Mapping[EffortStatus, str] = MappingProxyType(
    {
        EffortStatus.PENDING: "pending",
        EffortStatus.RUNNING: "running",
        EffortStatus.RETRYING: "retrying",
        EffortStatus.VERIFYING: "running",
        EffortStatus.DONE: "completed",
        EffortStatus.FAILED: "failed",
        EffortStatus.UNKNOWN: "unknown",
        EffortStatus.SKIPPED: "skipped",
    }
)

COMPENSATION_WORDS: Mapping[EffortStatus, str] = MappingProxyType(
    {
        **STEP_WORDS,
        EffortStatus.DONE: "compensated",
        # An undo that spent its attempts is stuck; whether one of them had an effect doesn't change that.
        EffortStatus.UNKNOWN: "failed",
    }
)


def step_word(node: StepNode, state: ProcessState) -> str:
    """Give the word for where a step stands, one that runs once per item included."""
    step = state.step(node.name)
    status = step.action.status
    if node.kind is StepKind.SIGNAL and status is EffortStatus.RUNNING:
        return "waiting"
    if step.items is None or status is not EffortStatus.RUNNING:
        return STEP_WORDS[status]
    of_items = {state.step(instance_name(node.name, index)).action.status for index in range(len(step.items))}
    for found in (EffortStatus.FAILED, EffortStatus.UNKNOWN):
        if found in of_items:
            return STEP_WORDS[found]
    is_over = state.is_going_back and not any(found.is_open for found in of_items)
    return "skipped" if is_over else "running"
