"""What asks the core to decide: messages that were received, already checked and typed."""

from dataclasses import dataclass
from typing import TypeAlias

from saga.messages.json_text import JsonText
from saga.process.status import Direction


@dataclass(frozen=True, slots=True)
class StartRequested:
    """The start message of an accepted process arrived."""


@dataclass(frozen=True, slots=True)
class SuccessReceived:
    """A participant says that an attempt is done."""

    direction: Direction
    step: str
    attempt: int
    output: JsonText


@dataclass(frozen=True, slots=True)
class FailureReceived:
    """A participant, or the broker for a command that no queue took, says that an attempt failed.

    `error` is the whole error object as text; the other fields are what the rules look at.
    """

    direction: Direction
    step: str
    attempt: int
    code: str
    error: JsonText
    retryable: bool = True
    retry_after_ms: int = 0
    effect_unknown: bool = False


@dataclass(frozen=True, slots=True)
class ProgressReceived:
    """A participant says that it is still at work."""

    direction: Direction
    step: str
    attempt: int
    percent: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class WokenUp:
    """A timer went off that was set at `version` for `due_at`."""

    version: int
    due_at: int


ReplyReceived: TypeAlias = SuccessReceived | FailureReceived | ProgressReceived
Input: TypeAlias = StartRequested | ReplyReceived | WokenUp
