"""What a running saga is, as far as its log says: frozen values that only `evolve` makes.

Points in time are milliseconds since 1970 UTC. Payloads are JSON text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from saga.messages.json_text import JsonText
from saga.process.status import AttemptOutcome, Direction, EffortStatus, ProcessStatus


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a command: what is known of it, and which replies to it are in the log."""

    number: int
    started_at: int
    due_at: int
    outcome: AttemptOutcome = AttemptOutcome.RUNNING
    replies: frozenset[str] = frozenset()
    progressed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """One direction of a step: its action, or its undo, over all its attempts."""

    status: EffortStatus = EffortStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: int | None = None
    output: JsonText | None = None
    error: JsonText | None = None
    settled_at: int | None = None

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


@dataclass(frozen=True, slots=True)
class StepState:
    """One step: its action, and its undo once it stands in the undo plan."""

    action: Effort = PENDING
    undo: Effort | None = None


UNTOUCHED = StepState()


@dataclass(frozen=True, slots=True)
class Origin:
    """What a process was started with; it never changes."""

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


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One running saga. `steps` holds only those that something happened to."""

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
    steps: Mapping[str, StepState] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def process_id(self) -> str:
        """Give the id of the process."""
        return self.origin.process_id

    @property
    def parameters(self) -> JsonText:
        """Give what the process was started with."""
        return self.origin.parameters

    def step(self, name: str) -> StepState:
        """Give where a step stands."""
        return self.steps.get(name, UNTOUCHED)

    def effort(self, direction: Direction, step: str) -> Effort | None:
        """Give one direction of a step; None for an undo that is not in the plan."""
        state = self.step(step)
        return state.action if direction is Direction.ACTION else state.undo
