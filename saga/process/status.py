"""The words for where a process, a step and an undo stand, and the table of legal moves of a process."""

from enum import StrEnum
from types import MappingProxyType


class Direction(StrEnum):
    """Tell what an attempt is for; the value is the `kind` of its command."""

    ACTION = "action"
    COMPENSATION = "compensation"
    VERIFY = "verify"


class ProcessStatus(StrEnum):
    """Name where a process stands."""

    STARTED = "started"
    COMPENSATING = "compensating"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    FAILED = "failed"

    def __init__(self, word: str) -> None:
        # Whether no more commands are due (a late completion may still reopen `compensated`).
        self.is_ended = word in {"completed", "compensated", "failed"}


# Every move that an event may make; `evolve` refuses any other as an unreadable log.
LEGAL_MOVES = MappingProxyType(
    {
        ProcessStatus.STARTED: frozenset(
            {
                ProcessStatus.COMPENSATING, ProcessStatus.SUSPENDED, ProcessStatus.PAUSED,
                ProcessStatus.COMPLETED,
            }
        ),
        ProcessStatus.COMPENSATING: frozenset(
            {ProcessStatus.SUSPENDED, ProcessStatus.PAUSED, ProcessStatus.COMPENSATED}
        ),
        ProcessStatus.SUSPENDED: frozenset(
            {ProcessStatus.STARTED, ProcessStatus.COMPENSATING, ProcessStatus.FAILED}
        ),
        ProcessStatus.PAUSED: frozenset(
            {ProcessStatus.STARTED, ProcessStatus.COMPENSATING, ProcessStatus.FAILED}
        ),
        ProcessStatus.COMPENSATED: frozenset({ProcessStatus.COMPENSATING}),
        ProcessStatus.COMPLETED: frozenset({ProcessStatus.COMPENSATING}),
        ProcessStatus.FAILED: frozenset[ProcessStatus](),
    }
)  # fmt: skip


class EffortStatus(StrEnum):
    """Name where one effort (the action of a step, or its undo) stands.

    `verifying` is an action that was not answered and whose participant is asked what became of it.
    """

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"

    def __init__(self, word: str) -> None:
        # Whether an answer is still awaited or another attempt is due; every event asks for it several times.
        self.is_open = word in {"running", "retrying", "verifying"}


class AttemptOutcome(StrEnum):
    """Name what is known of one sending of a command."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNANSWERED = "unanswered"


class OperatorAction(StrEnum):
    """Name what a person, or the parent of a process, can ask of it."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    SKIP = "skip"
    RESOLVE = "resolve"
    COMPENSATE = "compensate"
    FAIL = "fail"
