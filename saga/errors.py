"""The one family of errors that Batuta raises; each class is something a caller can do differently.

A participant's business failure is data (see `saga.messages.reply`), never one of these.
"""

from typing import ClassVar


class SagaError(Exception):
    """Stand above every error of Batuta; `code` is stable and safe to show."""

    code: ClassVar[str] = "error"


class VersionConflict(SagaError):  # noqa: N818 - the field's word, and no fault of anybody
    """Say that another writer appended this number first: read the log again and decide anew."""

    code = "version-conflict"

    def __init__(self, process_id: str, number: int) -> None:
        super().__init__(f"event {number} of process {process_id} is already in the log")
        self.process_id = process_id
        self.number = number


class OutcomeUnknown(SagaError):  # noqa: N818 - says what is the case, like VersionConflict
    """Say that a write may or may not have happened: repeat the same write, which is safe."""

    code = "outcome-unknown"

    def __init__(self, message: str, process_id: str | None = None) -> None:
        super().__init__(message)
        self.process_id = process_id


class StoreUnavailable(SagaError):  # noqa: N818
    """Say that the store could not be asked; nothing was written. Try again with backoff."""

    code = "store-unavailable"


class Unstorable(SagaError):  # noqa: N818
    """Say that the store can't hold this at all (too large, say): nothing was written, repeating won't help."""

    code = "unstorable"


class BusUnavailable(SagaError):  # noqa: N818
    """Say that a message was not confirmed; it may still arrive. Publish it again, the same bytes."""

    code = "bus-unavailable"


class UnreadableLog(SagaError):  # noqa: N818
    """Say that a stored log has a gap or an event that this version can't read; never guess past it."""

    code = "unreadable-log"

    def __init__(self, process_id: str, number: int, problem: str, *, field: str | None = None) -> None:
        where = f"event {number}" if field is None else f"event {number}, field {field}"
        super().__init__(f"the log of process {process_id} can't be read at {where}: {problem}")
        self.process_id = process_id
        self.number = number
        self.problem = problem
        self.field = field


class InvalidDefinition(SagaError):  # noqa: N818
    """Say why a definition is refused; each problem names the step and what to do."""

    code = "invalid-definition"

    def __init__(self, source: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source = source
        self.problems = problems


class UnknownDefinition(SagaError):  # noqa: N818
    """Say that a process type or a definition hash is not registered."""

    code = "unknown-definition"


class NotReady(SagaError):  # noqa: N818
    """Say that this server can't work yet (its clock is unsure, say); the reason is in the message."""

    code = "not-ready"


class UnknownProcessType(SagaError):  # noqa: N818
    """Say that no definition of this type is loaded, and which are."""

    code = "unknown-process-type"

    def __init__(self, process_type: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no definition of this type is loaded; known are: {', '.join(known) or 'none'}")
        self.process_type = process_type
        self.known = known


class InvalidParameters(SagaError):  # noqa: N818
    """Say where the parameters break the type's schema: JSON pointers with a sentence each."""

    code = "invalid-parameters"

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{pointer or '/'}: {sentence}" for pointer, sentence in problems))
        self.problems = problems


class NotAllowedNow(SagaError):  # noqa: N818
    """Say that an action does not apply to a process where it stands, and which do."""

    code = "not-allowed-now"

    def __init__(self, status: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"the process is {status}; allowed now: {', '.join(allowed) or 'nothing'}")
        self.status = status
        self.allowed = allowed


class IdempotencyConflict(SagaError):  # noqa: N818
    """Say that this process id or key was used already, for another request."""

    code = "idempotency-conflict"

    def __init__(self, process_id: str) -> None:
        super().__init__("this process id or idempotency key belongs to another request")
        self.process_id = process_id
