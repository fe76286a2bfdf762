"""Process types as they are read."""

from pydantic import BaseModel, ConfigDict, JsonValue


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProcessTypeSummary(_Answer):
    """One line of the list of process types."""

    process_type: str
    definition: str
    steps: list[str]


class DefinitionVersion(_Answer):
    """One definition of a type that was ever registered."""

    definition: str
    registered_at: str
    is_current: bool


class Retry(_Answer):
    """How often something is tried; times in seconds."""

    attempts: int
    backoff: float
    factor: float
    max_backoff: float
    jitter: float
    retry_on: list[str] | None


class CompensationOfType(_Answer):
    """What undoes a step."""

    action: str
    timeout: float
    retry: Retry


class VerifyOfType(CompensationOfType):
    """What asks about an attempt that was not answered."""

    fences: bool


class StepOfType(_Answer):
    """One step, with every default resolved; times in seconds."""

    name: str
    service: str
    action: str
    after: list[str]
    join: str | int
    pivot: bool
    when: str | None
    for_each: str | None
    at_once: int | None
    input: dict[str, str] | None
    expected: float | None
    timeout: float
    retry: Retry
    compensation: CompensationOfType | None
    verify: VerifyOfType | None


class Graph(_Answer):
    """The steps and which follows which."""

    nodes: list[str]
    edges: list[tuple[str, str]]


class ProcessTypeDocument(_Answer):
    """Everything about a process type; `durations` are seconds, medians of what was seen lately."""

    process_type: str
    definition: str
    versions: list[DefinitionVersion]
    parameters: dict[str, JsonValue]
    deadline: float | None
    locks: list[str]
    on_locked: str | None
    result: dict[str, str] | None
    is_paused: bool
    steps: list[StepOfType]
    graph: Graph
    durations: dict[str, float]
