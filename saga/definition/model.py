"""The model behind both spellings of a definition, Python and YAML: data, frozen, each part checked alone.

What concerns several steps at once (cycles, what stands before the pivot) is judged in `checks`.
"""

from typing import Annotated, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from saga.definition.duration import PositiveSeconds, Seconds
from saga.definition.parameters import broken_references, foreign_references
from saga.messages.command import NAME_PATTERN
from saga.messages.json_text import to_text

Name = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]


def _in_order(value: object) -> object:
    # The order of a set changes from run to run, and with it the hash of the definition.
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_in_order), Field(strict=False)]

STEPS_MAX = 1_000
ATTEMPTS_MAX = 1_000

# Words of the language that this version reads but can't carry out: refused by name, never ignored.
RESERVED_STEP_WORDS = ("when", "for_each", "at_once", "process", "join", "signal", "verify", "input")
RESERVED_SAGA_WORDS = ("deadline", "locks", "on_locked", "result")


class DefinitionModel(BaseModel):
    """Set what holds for every part: frozen, no unknown keys, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RetryPolicy(DefinitionModel):
    """Say how often an effort is tried, and how long to wait between the attempts.

    The wait before attempt n+1 is `backoff * factor**(n-1)` seconds, at most `max_backoff`, moved either way
    by up to `jitter` of itself. `retry_on` lists the error codes (and `timeout`) that are worth another
    attempt; where it is left out, all are. What is left out here is taken from the level above.
    """

    attempts: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)] | None = None
    backoff: Seconds | None = None
    factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] | None = None
    max_backoff: Seconds | None = None
    jitter: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    retry_on: Words | None = None


class CompensationDefinition(DefinitionModel):
    """Name the action that undoes a step; the same service carries it out."""

    action: Name
    timeout: PositiveSeconds | None = None
    retry: RetryPolicy | None = None


NOTHING_TO_UNDO: Literal["none"] = "none"


class StepDefinition(DefinitionModel):
    """Declare one step: who carries it out, what undoes it, and after which steps it starts.

    `after` left out means: after the step above. `compensation: none` says that there is nothing to undo.
    """

    name: Name
    service: Name
    action: Name
    compensation: CompensationDefinition | Literal["none"] | None = None
    after: Words | None = None
    timeout: PositiveSeconds | None = None
    expected: Seconds | None = None
    retry: RetryPolicy | None = None
    pivot: bool = False

    @model_validator(mode="before")
    @classmethod
    def _refuse_reserved_words(cls, value: object) -> object:
        return _without(value, RESERVED_STEP_WORDS)

    @field_validator("compensation", mode="before")
    @classmethod
    def _action_alone(cls, value: object) -> object:
        if isinstance(value, str) and value != NOTHING_TO_UNDO:
            return {"action": value}
        return value

    @property
    def undo(self) -> CompensationDefinition | None:
        """Give the compensation where there is something to undo."""
        return self.compensation if isinstance(self.compensation, CompensationDefinition) else None


class SagaDefinition(DefinitionModel):
    """Declare a process type: its parameters' JSON Schema and its steps. `retry` and `timeout` are defaults."""

    process_type: Name
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: PositiveSeconds | None = None
    steps: Annotated[tuple[StepDefinition, ...], Field(min_length=1, max_length=STEPS_MAX, strict=False)]

    @model_validator(mode="before")
    @classmethod
    def _refuse_reserved_words(cls, value: object) -> object:
        return _without(value, RESERVED_SAGA_WORDS)

    @field_validator("parameters", mode="before")
    @classmethod
    def _schema_of_a_model(cls, value: object) -> object:
        if isinstance(value, type) and issubclass(value, BaseModel):
            return value.model_json_schema()
        return value

    @field_validator("parameters")
    @classmethod
    def _check_schema(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            to_text(value).encode()
        except ValueError as error:
            raise ValueError("holds what JSON can't say: not a number, infinity, a lone surrogate") from error
        try:
            Draft202012Validator.check_schema(value)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema (draft 2020-12): {error.message}") from error
        for reference in foreign_references(value):
            raise ValueError(f"the reference {reference!r} leads out of the schema; put the part into $defs")
        for reference in broken_references(value):
            raise ValueError(f"the reference {reference!r} leads nowhere; put the part into $defs")
        return value


def _without(value: object, words: tuple[str, ...]) -> object:
    if isinstance(value, dict):
        for word in words:
            if word in value:
                raise ValueError(f"the word {word!r} is not supported by this version of Batuta")
    return value
