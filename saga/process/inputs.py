"""What asks the core to decide: messages that were received, already checked and typed."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TypeAlias

from saga.definition.graph import StepGraph
from saga.messages.json_text import JsonText
from saga.process.status import Direction, OperatorAction
from saga.values import value


@value
class StartRequested:
    """The start message of an accepted process arrived; `is_paused` says that its type is paused."""

    is_paused: bool = False


@value
class SuccessReceived:
    """A participant says that an attempt is done."""

    direction: Direction
    step: str
    attempt: int
    output: JsonText


@value
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


@value
class ProgressReceived:
    """A participant says that it is still at work."""

    direction: Direction
    step: str
    attempt: int
    percent: float | None
    message: str | None


@value
class WokenUp:
    """A timer went off that was set at `version` for `due_at`."""

    version: int
    due_at: int


@value
class OperatorRequested:
    """Somebody asks for an action; `reply_to` is the command of the parent process, where it asks."""

    action: OperatorAction
    reason: str
    actor: str
    request_id: str
    step: str | None = None
    output: JsonText | None = None
    outcome: str | None = None
    reply_to: str | None = None


@value
class MigrationRequested:
    """Somebody asks that the process goes on by another version of its definition, which is `graph`.

    `children` pins the definitions of the processes that it starts, by type. `problems` say what is wrong with
    the version whatever the state, as judged by the caller; the graph may be missing only beside one.
    """

    definition_hash: str
    graph: StepGraph | None
    reason: str
    actor: str
    request_id: str
    children: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class LockAnswer(StrEnum):
    """Tell what came of trying to take a business key."""

    HELD = "held"
    WAITING = "waiting"
    REFUSED = "refused"
    JOINED = "joined"
    DEADLOCK = "deadlock"


@value
class LockAnswered:
    """The keeper of the locks says whose a business key is now."""

    key: str
    answer: LockAnswer
    holder: str


@value
class HolderEnded:
    """The process that this one joined has ended."""

    holder: str
    status: str
    result: JsonText | None


@value
class ForkReported:
    """Another process, `fork`, says that it was rerun from this one; `request_id` is the same each time."""

    fork: str
    step: str
    reason: str
    actor: str
    request_id: str


ReplyReceived: TypeAlias = SuccessReceived | FailureReceived | ProgressReceived
LockReceived: TypeAlias = LockAnswered | HolderEnded
Input: TypeAlias = (
    StartRequested
    | ReplyReceived
    | WokenUp
    | OperatorRequested
    | ForkReported
    | MigrationRequested
    | LockReceived
)
