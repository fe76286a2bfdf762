"""The bodies that act on processes, and their answers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from api.problems import Problem
from api.query import point_in_time
from saga.messages.control import REASON_MAX


def _time(text: str) -> str:
    try:
        point_in_time("time", text)
    except Problem as problem:
        raise ValueError(problem.errors[0][1]) from None
    return text


Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX, pattern=r"\S")]
StepName = Annotated[str, Field(max_length=60, pattern=r"^[a-z][a-z0-9_]{0,39}(\[(0|[1-9][0-9]{0,5})\])?$")]
Status = Literal["started", "compensating", "suspended", "paused", "completed", "compensated", "failed"]
Time = Annotated[str, AfterValidator(_time), Field(json_schema_extra={"format": "date-time"})]
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


class RerunBody(ReasonBody):
    """Begin the process anew from a whole step; `parameters` replace old ones, those `without` are left out.

    The new process calls back only where a `callback_url` is given: the old one's is not kept.
    """

    step: StepName
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    without: Annotated[list[str], Field(max_length=1_000)] = Field(default_factory=list)
    callback_url: str | None = None


class ResolveBody(StepBody):
    """State what became of a step that nobody else can tell of."""

    outcome: Literal["completed", "failed"]
    output: JsonValue = None


class ProcessFilter(_Body):
    """Choose processes; all that is given must hold."""

    status: Annotated[list[Status], Field(max_length=20)] | None = None
    process_type: Annotated[str, Field(min_length=1)] | None = None
    label: Annotated[dict[str, str], Field(max_length=20)] | None = None
    attention: bool | None = None
    started_after: Time | None = None
    started_before: Time | None = None

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


class ReplyBody(_Body):
    """The same bodies as on the broker: `command_id` may be repeated, if it is that of the address."""

    command_id: str | None = None


class CompletedBody(ReplyBody):
    """A command took effect."""

    output: JsonValue = None


class FailedBody(ReplyBody):
    """A command had no effect, or with `effect_unknown` nobody can tell; `error` may hold anything."""

    error: dict[str, JsonValue] = Field(default_factory=dict)


class ProgressBody(ReplyBody):
    """A command is being worked on."""

    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    message: str | None = None


class Taken(BaseModel):
    """The broker has it."""

    command_id: str
    status: Literal["taken"]
