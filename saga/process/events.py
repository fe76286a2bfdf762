"""What happened to a process: facts in the past tense, never changed once they are in the log.

An event of an attempt carries its direction, so that a step's action and its undo share one set of rules;
its name in the log comes from both (`step_failed`, `compensation_failed`): see `codec`.
Points in time are milliseconds since 1970 UTC.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from saga.messages.json_text import JsonText
from saga.process.status import Direction, EffortStatus, OperatorAction, ProcessStatus
from saga.values import value


@value
class Accepted:
    """A start request was taken; from here on the process exists and will end.

    `parent` is the command of another process's step that this one carries out. `children` pins the definitions
    of the processes that this one will start, by type. `forked_from` is the process that this one was rerun
    from, `from_step` the first step that is done again, `fork_reason` what the person said who asked for it.
    """

    process_type: str
    definition_hash: str
    parameters: JsonText
    labels: Mapping[str, str]
    request_hash: str
    principal: str
    callback_url: str | None
    traceparent: str | None
    parent: str | None = None
    root_id: str = ""
    children: Mapping[str, str] = field(default_factory=dict)
    forked_from: str | None = None
    from_step: str | None = None
    fork_reason: str | None = None


@value
class ResultKept:
    """The result of a step was taken over from another process: here it is not done, nor undone.

    `becomes` is done or skipped. `was_undone` says that it was undone there, or is about to be.
    """

    step: str
    becomes: EffortStatus
    output: JsonText | None = None
    was_undone: bool = False


@value
class Started:
    """A coordinator took the process."""


@value
class AttemptStarted:
    """A command was decided; unanswered at `due_at`, the attempt times out.

    `input` is what the definition's mapping gave, said once, with the first attempt.
    """

    direction: Direction
    step: str
    attempt: int
    due_at: int
    input: JsonText | None = None


@value
class SignalAwaited:
    """A step waits for somebody's word until `due_at`."""

    step: str
    attempt: int
    due_at: int


@value
class AttemptCompleted:
    """An attempt was answered by success; the first one settles the effort."""

    direction: Direction
    step: str
    attempt: int
    output: JsonText


@value
class AttemptFailed:
    """An attempt was answered by a failure; `becomes` is where that leaves the effort.

    `effect_unknown` says that the answer leaves open whether something happened. Attempt 0 was never sent.
    """

    direction: Direction
    step: str
    attempt: int
    becomes: EffortStatus
    error: JsonText
    effect_unknown: bool = False


@value
class AttemptTimedOut:
    """An attempt was not answered in time; whether it had an effect is unknown."""

    direction: Direction
    step: str
    attempt: int
    becomes: EffortStatus


@value
class AttemptProgressed:
    """A participant said that it is still at work; the time-out moved to `due_at`."""

    direction: Direction
    step: str
    attempt: int
    due_at: int
    percent: float | None
    message: str | None


@value
class RetryScheduled:
    """The next attempt is due at `at`."""

    direction: Direction
    step: str
    attempt: int
    at: int


@value
class VerifyConcluded:
    """What was asked about an attempt is settled, without its success: it had no effect, or nobody knows."""

    step: str
    attempt: int
    had_no_effect: bool
    becomes: EffortStatus


@value
class Skipped:
    """A step is not done, or not undone, and nothing waits for it: by its condition, its join, or a person."""

    direction: Direction
    step: str
    reason: str
    output: JsonText | None = None


@value
class Expanded:
    """The list of a step that runs once per item is known; each item is an instance, `step[index]`."""

    step: str
    items: JsonText


@value
class Gathered:
    """All instances of a step are done; its output is the list of theirs, in order."""

    step: str


@value
class ChildCancelled:
    """The process that carries out a step was told to end; how it ends is awaited."""

    step: str
    attempt: int
    reason: str


@value
class LocksWanted:
    """These business keys are taken, in this order, before the first step."""

    keys: tuple[str, ...]


@value
class LockAcquired:
    """A business key is held until the process at the top has ended."""

    key: str


@value
class LockAwaited:
    """A business key is held by another process; this one waits for its turn."""

    key: str
    holder: str


@value
class LockJoined:
    """A business key is held by another process; this one does nothing and ends as that one does."""

    key: str
    holder: str


@value
class Observed:
    """A reply was recorded that changes no outcome: late, superseded or contradictory.

    `effect_unknown` says that a failure leaves open whether its attempt had an effect.
    """

    direction: Direction
    step: str
    attempt: int
    kind: str
    reply: str
    content: JsonText
    attention: bool
    effect_unknown: bool = False


@value
class TurnedBack:
    """The process goes backward from here; steps in backoff were closed as `closes` says."""

    reason: str
    step: str | None
    closes: tuple[tuple[str, EffortStatus], ...]


@value
class CompensationPlanned:
    """The undo plan was frozen: these steps completed, or may have, and have an undo.

    Again, it names a step that completed late, those whose next attempt now waits for its undo, and those whose
    undo an operator has tried again.
    """

    steps: tuple[str, ...]


@value
class Suspended:
    """The process waits for a person; `detail` says what stands still and why."""

    reason: str
    step: str | None
    detail: str


@value
class Resumed:
    """What stood still was settled; the process goes on in its direction."""

    reason: str
    status: ProcessStatus


@value
class Paused:
    """Nothing is sent until somebody resumes the process; what comes in is recorded."""

    reason: str


@value
class DeadlinePassed:
    """The time of the whole process is over; `consequence` is turns_back, noted, or attention."""

    consequence: str


@value
class TurnNoted:
    """A reason to turn back came while the pivot was in flight; it is obeyed only if the pivot fails."""

    reason: str


@value
class OperatorActed:
    """Somebody asked for an action that was allowed; what follows from it comes after it.

    `reply_to` is the command of the parent process that asked, which is answered when this process ends.
    """

    action: OperatorAction
    reason: str
    actor: str
    request_id: str
    step: str | None = None
    output: JsonText | None = None
    outcome: str | None = None
    reply_to: str | None = None


@value
class OperatorRejected:
    """Somebody asked for an action that did not apply when it arrived; nothing follows."""

    action: OperatorAction
    reason: str
    actor: str
    request_id: str
    step: str | None
    why: str


@value
class OperatorReran:
    """Somebody began another process, `fork`, from what this one did before `step`; here nothing changes."""

    fork: str
    step: str
    reason: str
    actor: str
    request_id: str


@value
class Migrated:
    """Somebody moved the process to another version of its definition: from here on that one decides.

    `children` pins the definitions of the processes that only the new version starts, by type.
    """

    from_hash: str
    definition_hash: str
    reason: str
    actor: str
    request_id: str
    children: Mapping[str, str] = field(default_factory=dict)


@value
class MigrationRejected:
    """Somebody asked for another version that did not fit the process when the request arrived."""

    definition_hash: str
    reason: str
    actor: str
    request_id: str
    why: str


@value
class Completed:
    """Every step is completed or skipped. `problem` says why there is no result, where one was declared."""

    result: JsonText | None = None
    problem: str | None = None


@value
class Compensated:
    """Everything that may have happened is undone."""


@value
class Failed:
    """Somebody gave the process up as it stands."""

    reason: str


AttemptEvent: TypeAlias = (
    AttemptStarted | AttemptCompleted | AttemptFailed | AttemptTimedOut | AttemptProgressed | RetryScheduled
)
StepEvent: TypeAlias = (
    ResultKept | SignalAwaited | VerifyConcluded | Skipped | Expanded | Gathered | ChildCancelled
)
MigrationEvent: TypeAlias = Migrated | MigrationRejected
LockEvent: TypeAlias = LocksWanted | LockAcquired | LockAwaited | LockJoined
StandingEvent: TypeAlias = TurnedBack | Suspended | Resumed | Paused | Completed | Compensated | Failed
Event: TypeAlias = (
    Accepted
    | Started
    | AttemptEvent
    | StepEvent
    | LockEvent
    | StandingEvent
    | Observed
    | CompensationPlanned
    | DeadlinePassed
    | TurnNoted
    | OperatorActed
    | OperatorRejected
    | OperatorReran
    | MigrationEvent
)
