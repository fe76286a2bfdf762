"""The bodies that act on processes, and their answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from saga.messages.control import REASON_MAX

Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX)]
StepName = Annotated[str, Field(max_length=60, pattern=r"^[a-z][a-z0-9_]{0,39}(\[(0|[1-9][0-9]{0,5})\])?$")]
Action = Literal["cancel", "pause", "resume", "retry", "skip", "resolve", "compensate", "fail"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ReasonBody(_Body):
    """Say why."""

    reason: Reason


class StepBody(ReasonBody):
    """Say why, and which step is meant: `name`, or `name[3]` for one of its items."""

    step: StepName | None = None


class CurrentBody(ReasonBody):
    """Name the definition that new processes of a type start with."""

    definition: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SkipBody(StepBody):
    """Say that a step was not done and needs no undo; `output` is what the steps after it see."""

    output: JsonValue = None


class ResolveBody(StepBody):
    """State what became of a step that nobody else can tell of."""

    outcome: Literal["completed", "failed"]
    output: JsonValue = None


class ProcessFilter(_Body):
    """Choose processes; all that is given must hold."""

    status: Annotated[list[str], Field(max_length=20)] | None = None
    process_type: str | None = None
    label: dict[str, str] | None = None
    attention: bool | None = None
    started_after: str | None = None
    started_before: str | None = None

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is asked for."""
        return not any(value not in (None, [], {}) for value in self.model_dump().values())


class BulkBody(ReasonBody):
    """Ask all processes that match for an action; `dry_run` only counts them."""

    action: Action
    filter: ProcessFilter
    dry_run: bool = False
    step: StepName | None = None
    output: JsonValue = None
    outcome: Literal["completed", "failed"] | None = None


class BulkAnswer(BaseModel):
    """How many processes match, and how many were asked."""

    matching: int
    requested: int


class CompletedBody(_Body):
    """A command took effect."""

    output: JsonValue = None


class FailedBody(_Body):
    """A command had no effect, or with `effect_unknown` nobody can tell."""

    error: dict[str, JsonValue] = Field(default_factory=dict)


class ProgressBody(_Body):
    """A command is being worked on."""

    percent: float | int | None = None
    message: str | None = None


class Taken(BaseModel):
    """The broker has it."""

    command_id: str
    status: Literal["taken"]
