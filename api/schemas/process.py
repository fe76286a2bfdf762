"""A process and its log as they are read."""

from pydantic import BaseModel, ConfigDict, JsonValue


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CompensationOfStep(_Answer):
    """The undo of a step that stands in the undo plan."""

    action: str | None
    status: str
    command_id: str | None
    attempt: int
    error: JsonValue


class ItemsOfStep(_Answer):
    """The items of a step that runs once for each."""

    total: int
    completed: int
    failed: int
    unknown: int


class StepOfProcess(_Answer):
    """One step: its latest attempt, what came of it, and its undo."""

    name: str
    service: str
    action: str
    status: str
    command_id: str | None
    attempt: int
    max_attempts: int
    started_at: str | None
    ended_at: str | None
    next_attempt_at: str | None
    output: JsonValue
    error: JsonValue
    compensation: CompensationOfStep | None
    items: ItemsOfStep | None


class WaitingFor(_Answer):
    """One thing that the process waits for."""

    kind: str
    step: str | None
    command_id: str | None
    since: str | None
    until: str | None
    reason: str | None


class ProcessSummary(_Answer):
    """One line of a listing."""

    process_id: str
    process_type: str
    definition: str
    status: str
    attention: bool
    labels: dict[str, str]
    started_at: str
    updated_at: str
    ended_at: str | None
    version: int


class ProcessDocument(ProcessSummary):
    """Everything that is known of a process."""

    reason: str | None
    parameters: dict[str, JsonValue]
    result: JsonValue
    steps: list[StepOfProcess]
    waiting_for: list[WaitingFor]
    allowed_actions: list[str]
    estimated_completion: str
    forked_from: str | None


class EventEntry(_Answer):
    """One entry of the log."""

    sequence: int
    type: str
    at: str
    step: str | None
    attempt: int | None
    actor: str
    data: dict[str, JsonValue]


class Counts(_Answer):
    """How many processes there are."""

    total: int
    by_status: dict[str, int]
    by_type: dict[str, dict[str, int]]
