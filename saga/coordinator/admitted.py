"""What the coordinators' door lets in: messages with the identity that makes a second delivery a duplicate."""

from typing import TypeAlias

from saga.messages.migrate import MigrateCommand
from saga.messages.start import StartCommand
from saga.process.inputs import (
    ForkReported,
    LockReceived,
    OperatorRequested,
    ProgressReceived,
    ReplyReceived,
    WokenUp,
)
from saga.values import value


class Rejected(Exception):  # noqa: N818 - what happened to the message
    """Say why a message can never be processed: the reason is a stable word, the detail a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@value
class AdmittedStart:
    """A start command under the id that its process has or gets."""

    process_id: str
    command: StartCommand
    principal: str
    traceparent: str | None
    body: str

    @property
    def identity(self) -> str:
        """Give what makes a second delivery a duplicate: the process itself."""
        return f"start:{self.process_id}"

    kind = "start"


@value
class AdmittedReply:
    """A reply to a command; `unusable` says why its output can't be kept, where that is so."""

    process_id: str
    command_id: str
    word: str
    received: ReplyReceived
    body: str
    unusable: str | None = None

    @property
    def identity(self) -> str:
        """Give what makes a second delivery a duplicate: the command and the kind of answer."""
        return f"{self.command_id}:{self.word}"

    kind = "reply"


@value
class AdmittedWake:
    """A timer that went off."""

    process_id: str
    identity: str
    received: WokenUp
    body: str

    kind = "wake"


@value
class AdmittedControl:
    """What somebody asks of a process."""

    process_id: str
    received: OperatorRequested
    body: str

    @property
    def identity(self) -> str:
        """Give what makes a second delivery a duplicate."""
        return f"control:{self.received.request_id}"

    kind = "control"


@value
class AdmittedMigration:
    """The request that a process goes on by another version of its definition; its id and actor are known."""

    process_id: str
    command: MigrateCommand
    request_id: str
    actor: str
    body: str

    @property
    def identity(self) -> str:
        """Give what makes a second delivery a duplicate."""
        return f"control:{self.request_id}"

    kind = "migrate"


@value
class AdmittedLockNews:
    """What the keeper of the locks found."""

    process_id: str
    identity: str
    received: LockReceived
    body: str

    kind = "lock"


@value
class AdmittedFork:
    """The word of a process that it was rerun from this one."""

    process_id: str
    received: ForkReported
    body: str

    @property
    def identity(self) -> str:
        """Give what makes a second delivery a duplicate: the new process itself."""
        return f"fork:{self.received.fork}"

    kind = "fork"


Admitted: TypeAlias = (
    AdmittedStart
    | AdmittedReply
    | AdmittedWake
    | AdmittedControl
    | AdmittedFork
    | AdmittedMigration
    | AdmittedLockNews
)


def is_progress(message: Admitted) -> bool:
    """Say whether a message only tells that a participant is still at work: losing one is no loss."""
    return isinstance(message, AdmittedReply) and isinstance(message.received, ProgressReceived)
