"""What a running saga is, as far as its log says: frozen values that only `evolve` makes.

Points in time are milliseconds since 1970 UTC. Payloads are JSON text.
"""

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from saga.messages.json_text import JsonText
from saga.process.status import AttemptOutcome, Direction, EffortStatus, ProcessStatus
from saga.values import value


@value
class Attempt:
    """One sending of a command: what is known of it, and which replies to it are in the log.

    `cancelled` says that a process that carries out the step was told to end; its end is awaited without limit.
    """

    number: int
    started_at: int
    due_at: int
    outcome: AttemptOutcome = AttemptOutcome.RUNNING
    replies: frozenset[str] = frozenset()
    progressed_at: int | None = None
    cancelled: bool = False


@value
class Effort:
    """One direction of a step: its action, its undo, or the question about it, over all its attempts.

    `granted` attempts don't count against the retry policy: they were made before a new budget was given.
    `input` is what its commands carry where the definition maps it, the same for all attempts.
    """

    status: EffortStatus = EffortStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: int | None = None
    output: JsonText | None = None
    error: JsonText | None = None
    settled_at: int | None = None
    granted: int = 0
    input: JsonText | None = None

    @property
    def attempts_used(self) -> int:
        """Count the attempts that the retry policy looks at."""
        return len(self.attempts) - self.granted

    def attempt(self, number: int) -> Attempt | None:
        """Give an attempt by its number; numbers run from 1 without a gap."""
        return self.attempts[number - 1] if 1 <= number <= len(self.attempts) else None

    @property
    def current(self) -> Attempt | None:
        """Give the latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def is_unanswered(self) -> bool:
        """Say whether any attempt may have had an effect that nobody reported."""
        return any(attempt.outcome is AttemptOutcome.UNANSWERED for attempt in self.attempts)


PENDING = Effort()


@value
class StepState:
    """One step, or one instance of a step that runs once per item.

    `undo` is there once it stands in the undo plan, `verify` once a question was asked about the action,
    `items` once the list of a step with instances is known: each instance then has a state of its own.
    `is_kept` says that its result is that of another process, which answers for what it did.
    """

    action: Effort = PENDING
    undo: Effort | None = None
    verify: Effort | None = None
    items: tuple[JsonText, ...] | None = None
    is_kept: bool = False


UNTOUCHED = StepState()


def instance_name(step: str, index: int) -> str:
    """Name one instance of a step that runs once per item."""
    return f"{step}[{index}]"


def split_instance(name: str) -> tuple[str, int | None]:
    """Give the step of a name, and which of its instances it is, where it is one."""
    step, bracket, index = name.partition("[")
    return step, int(index[:-1]) if bracket else None


@value
class Lock:
    """One business key that a process takes before its first step; `holder` is the root that has it now."""

    key: str
    holder: str | None = None
    is_held: bool = False


@value
class Origin:
    """What a process was started with. Only another version of its definition changes it: its hash, and pins.

    `parent` is the command of another process's step that this one carries out, `root_id` the process at the
    top; `children` are the definitions, by type, that its own steps' processes are started with. `forked_from`
    is the process that this one was rerun from, `from_step` and `fork_reason` where and why.
    """

    process_id: str
    process_type: str
    definition_hash: str
    parameters: JsonText
    labels: Mapping[str, str]
    request_hash: str
    principal: str
    callback_url: str | None
    traceparent: str | None
    accepted_at: int
    parent: str | None = None
    root_id: str = ""
    children: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    forked_from: str | None = None
    from_step: str | None = None
    fork_reason: str | None = None


@value
class ProcessState:
    """One running saga. `steps` holds only those that something happened to.

    `noted` is a reason to turn back that waits for the pivot's outcome. `stopped_at` is since when it is paused
    or suspended, `stood_still_ms` for how long it was before: the deadline doesn't run then. `reply_to` is the
    command of the parent that is answered when it ends. `requests` are the operator's requests that were obeyed.
    """

    origin: Origin
    updated_at: int
    version: int = 1
    status: ProcessStatus = ProcessStatus.STARTED
    is_taken: bool = False
    is_going_back: bool = False
    reason: str | None = None
    suspended_for: str | None = None
    attention: bool = False
    observations: int = 0
    payload_bytes: int = 0
    undo_plan: frozenset[str] | None = None
    ended_at: int | None = None
    noted: str | None = None
    deadline_passed: bool = False
    stopped_at: int | None = None
    stood_still_ms: int = 0
    result: JsonText | None = None
    reply_to: str | None = None
    rejections: int = 0
    joined_to: str | None = None
    locks: tuple[Lock, ...] | None = None
    requests: frozenset[str] = frozenset()
    steps: MappingProxyType[str, StepState] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def process_id(self) -> str:
        """Give the id of the process."""
        return self.origin.process_id

    @property
    def parameters(self) -> JsonText:
        """Give what the process was started with."""
        return self.origin.parameters

    @property
    def is_stopped(self) -> bool:
        """Say whether a person stopped it, or it waits for one: no deadline runs then."""
        return self.stopped_at is not None

    def step(self, name: str) -> StepState:
        """Give where a step stands."""
        return self.steps.get(name, UNTOUCHED)

    def effort(self, direction: Direction, step: str) -> Effort | None:
        """Give one direction of a step; None for an undo that is not in the plan, or a question never asked."""
        state = self.step(step)
        match direction:
            case Direction.ACTION:
                return state.action
            case Direction.COMPENSATION:
                return state.undo
            case Direction.VERIFY:
                return state.verify
