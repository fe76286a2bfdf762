"""The words in which people read where a step and its undo stand; some differ from the machine's."""

from collections.abc import Mapping
from types import MappingProxyType

from saga.process.status import EffortStatus

STEP_WORDS: Mapping[EffortStatus, str] = MappingProxyType(
    {
        EffortStatus.PENDING: "pending",
        EffortStatus.RUNNING: "running",
        EffortStatus.RETRYING: "retrying",
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
