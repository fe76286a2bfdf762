"""What happened to a process: facts in the past tense, never changed once they are in the log.

An event of an attempt carries its direction, so that a step's action and its undo share one set of rules;
its name in the log comes from both (`step_failed`, `compensation_failed`): see `codec`.
Points in time are milliseconds since 1970 UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from saga.messages.json_text import JsonText
from saga.process.status import Direction, EffortStatus, ProcessStatus


@dataclass(frozen=True, slots=True)
class Accepted:
    """A start request was taken; from here on the process exists and will end."""

    process_type: str
    definition_hash: str
    parameters: JsonText
    labels: Mapping[str, str]
    request_hash: str
    principal: str
    callback_url: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Started:
    """A coordinator took the process."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A command was decided; unanswered at `due_at`, the attempt times out."""

    direction: Direction
    step: str
    attempt: int
    due_at: int


@dataclass(frozen=True, slots=True)
class AttemptCompleted:
    """An attempt was answered by success; the first one settles the effort."""

    direction: Direction
    step: str
    attempt: int
    output: JsonText


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class AttemptTimedOut:
    """An attempt was not answered in time; whether it had an effect is unknown."""

    direction: Direction
    step: str
    attempt: int
    becomes: EffortStatus


@dataclass(frozen=True, slots=True)
class AttemptProgressed:
    """A participant said that it is still at work; the time-out moved to `due_at`."""

    direction: Direction
    step: str
    attempt: int
    due_at: int
    percent: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """The next attempt is due at `at`."""

    direction: Direction
    step: str
    attempt: int
    at: int


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class TurnedBack:
    """The process goes backward from here; steps in backoff were closed as `closes` says."""

    reason: str
    step: str | None
    closes: tuple[tuple[str, EffortStatus], ...]


@dataclass(frozen=True, slots=True)
class CompensationPlanned:
    """The undo plan was frozen: these steps completed, or may have, and have an undo.

    Again, it names a step that completed late, and those whose next attempt now waits for its undo.
    """

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suspended:
    """The process waits for a person; `detail` says what stands still and why."""

    reason: str
    step: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """What stood still was settled; the process goes on in its direction."""

    reason: str
    status: ProcessStatus


@dataclass(frozen=True, slots=True)
class Completed:
    """Every step is completed or skipped."""


@dataclass(frozen=True, slots=True)
class Compensated:
    """Everything that may have happened is undone."""


AttemptEvent: TypeAlias = (
    AttemptStarted | AttemptCompleted | AttemptFailed | AttemptTimedOut | AttemptProgressed | RetryScheduled
)
Event: TypeAlias = (
    Accepted
    | Started
    | AttemptEvent
    | Observed
    | TurnedBack
    | CompensationPlanned
    | Suspended
    | Resumed
    | Completed
    | Compensated
)
