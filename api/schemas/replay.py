"""What the log answers, as it is read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PatchOperation(_Answer):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str
    value: JsonValue = None
    origin: str | None = Field(default=None, alias="from")


class FieldDifference(_Answer):
    """One field that differs after an event: what follows from the log, and what was found."""

    sequence: int
    field: str
    log: JsonValue
    found: JsonValue


class LogProblem(_Answer):
    """Where a log can't be read, and why."""

    sequence: int
    field: str | None
    detail: str


class ReplayReport(_Answer):
    """What the replay of one process found."""

    process_id: str
    outcome: Literal["same", "different", "repaired", "unreadable", "no_log"]
    events: int
    differences: list[FieldDifference]
    behind: int
    unsent: int
    problem: LogProblem | None


class ReplayAnswer(_Answer):
    """What the replay of many found: only those that differ are reported."""

    processes: int
    events: int
    reports: list[ReplayReport]
    next: str | None
