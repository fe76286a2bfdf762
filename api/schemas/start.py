"""The body that starts a process, and its answer."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator

LABELS_MAX = 32
_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


LabelKey = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^:]*$"), AfterValidator(_printable)]
LabelValue = Annotated[str, Field(max_length=256), AfterValidator(_printable)]


class StartBody(BaseModel):
    """Ask for a process. Unknown members are refused and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    process_type: str
    parameters: dict[str, JsonValue]
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=LABELS_MAX)] = Field(default_factory=dict)
    process_id: Annotated[str, Field(pattern=_UUID)] | None = None
    callback_url: str | None = None

    @field_validator("process_id")
    @classmethod
    def _in_lower_case(cls, value: str | None) -> str | None:
        return None if value is None else value.lower()


class StartedStep(BaseModel):
    """Where one step stands."""

    service: str
    status: str


class StartedProcess(BaseModel):
    """The answer to a start; it has exactly these members."""

    model_config = ConfigDict(extra="forbid")

    process_id: str
    status: str
    estimated_completion: str
    steps: list[StartedStep]
