"""The model behind both spellings of a definition, Python and YAML: data, frozen, each part checked alone.

What concerns several steps at once (cycles, what stands before the pivot) is judged in `checks`.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from saga.definition.duration import PositiveSeconds, Seconds
from saga.definition.expressions import Expression
from saga.definition.parameters import broken_references, foreign_references
from saga.messages.command import NAME_PATTERN
from saga.messages.json_text import to_text

Name = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]


def _in_order(value: object) -> object:
    # The order of a set changes from run to run, and with it the hash of the definition.
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character: a lone surrogate") from None
    return text


Words = Annotated[
    tuple[Annotated[str, AfterValidator(_storable)], ...], BeforeValidator(_in_order), Field(strict=False)
]

STEPS_MAX = 1_000
# As many instances of one step fit a log beside their undoing.
ITEMS_MAX = 1_000
ATTEMPTS_MAX = 1_000
LOCKS_MAX = 10


def _expression(text: str) -> str:
    Expression(text)  # raises InvalidExpression, a ValueError
    return text


def _without_nul(name: str) -> str:
    if "\x00" in name:
        raise ValueError("holds a NUL character, which no process takes in its parameters")
    return name


ExpressionText = Annotated[str, AfterValidator(_storable), AfterValidator(_expression)]
MemberName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_nul)]
# What a mapping builds: an object whose members are each given by an expression.
Mapped = Annotated[dict[MemberName, ExpressionText], Field(max_length=100)]


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
    """Name the action that undoes a step; the same service carries it out.

    It is sent the parameters of the step, or what `input` makes of them and of the results so far.
    """

    action: Name
    input: Mapped | None = None
    timeout: PositiveSeconds | None = None
    retry: RetryPolicy | None = None


class VerifyDefinition(DefinitionModel):
    """Name the action that tells whether an attempt that was not answered took effect.

    `fences` says that the participant, once it answered `not_found`, refuses that attempt should it still come;
    without that promise the attempt may yet take effect, and its step is undone whatever was answered.
    """

    action: Name
    fences: bool = False
    timeout: PositiveSeconds | None = None
    retry: RetryPolicy | None = None


NOTHING_TO_UNDO: Literal["none"] = "none"


class StepDefinition(DefinitionModel):
    """Declare one step: who carries it out, what undoes it, and when it starts.

    It is carried out by a `service`, by another `process`, or it is a `signal` that somebody must give. `after`
    left out means: after the step above. `compensation: none` says that there is nothing to undo.
    """

    name: Name
    service: Name | None = None
    action: Name | None = None
    process: Name | None = None
    signal: bool = False
    compensation: CompensationDefinition | Literal["none"] | None = None
    verify: VerifyDefinition | None = None
    after: Words | None = None
    join: Literal["all", "any"] | Annotated[int, Field(ge=1, le=STEPS_MAX)] | None = None
    when: ExpressionText | None = None
    for_each: ExpressionText | None = None
    at_once: Annotated[int, Field(ge=1, le=ITEMS_MAX)] | None = None
    input: Mapped | None = None
    timeout: PositiveSeconds | None = None
    expected: Seconds | None = None
    retry: RetryPolicy | None = None
    pivot: bool = False

    @field_validator("compensation", "verify", mode="before")
    @classmethod
    def _action_alone(cls, value: object, info: ValidationInfo) -> object:
        if value is None or isinstance(value, dict | BaseModel):
            return value
        if value == NOTHING_TO_UNDO and info.field_name == "compensation":
            return value
        if isinstance(value, str) and value != NOTHING_TO_UNDO:
            return {"action": value}
        others = ", none," if info.field_name == "compensation" else ""
        raise ValueError(f"give the name of an action{others} or an object with it, or leave it out")

    @field_validator("join", mode="before")
    @classmethod
    def _all_any_or_number(cls, value: object) -> object:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value in (None, "all", "any") or (is_number and 1 <= cast("int", value) <= STEPS_MAX):
            return value
        raise ValueError(
            f"give all, any, or how many of 'after' it waits for: a number from 1 to {STEPS_MAX}"
        )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        for problem in _misused_words(self):
            raise ValueError(problem)
        return self

    @property
    def undo(self) -> CompensationDefinition | None:
        """Give the compensation where there is something to undo."""
        return self.compensation if isinstance(self.compensation, CompensationDefinition) else None


def _misused_words(step: StepDefinition) -> Iterator[str]:
    """Give what can't stand together in one step."""
    kinds = (step.service is not None or step.action is not None, step.signal, step.process is not None)
    if sum(kinds) != 1:
        yield "a step has a service and its action, or a process, or it is a signal: one of the three"
    elif kinds[0] and (step.service is None or step.action is None):
        yield "a step that a service carries out names both 'service' and 'action'"
    if step.signal and (step.for_each is not None or step.input is not None):
        yield "nothing is sent for a signal: it has no 'for_each' and no 'input'"
    if step.signal and (step.undo is not None or step.retry is not None):
        yield "a signal has nothing to undo and is not tried again: it has no 'compensation' and no 'retry'"
    if step.process is not None and step.undo is not None:
        yield "what undoes a process are its own compensations: leave 'compensation' out, or say none"
    if step.verify is not None and step.service is None:
        yield "only a service can be asked: 'verify' stands beside 'service'"
    if step.at_once is not None and step.for_each is None:
        yield "'at_once' bounds a 'for_each', and there is none"
    if step.pivot and step.for_each is not None:
        yield "the pivot is one step: it has no 'for_each'"


class SagaDefinition(DefinitionModel):
    """Declare a process type: its parameters' JSON Schema and its steps. `retry` and `timeout` are defaults.

    `locks` are expressions over the parameters that give business keys; `on_locked` says what a process does
    that finds one of them taken. `result` makes what a completed process gives, from its steps' outputs.
    """

    process_type: Name
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: PositiveSeconds | None = None
    deadline: PositiveSeconds | None = None
    locks: Annotated[tuple[ExpressionText, ...], Field(max_length=LOCKS_MAX, strict=False)] | None = None
    on_locked: Literal["wait", "refuse", "join"] | None = None
    result: Mapped | None = None
    steps: Annotated[tuple[StepDefinition, ...], Field(min_length=1, max_length=STEPS_MAX, strict=False)]

    @field_validator("on_locked")
    @classmethod
    def _locks_beside(cls, value: str | None, info: ValidationInfo) -> str | None:
        # Locks that were refused themselves are not there at all.
        if value is not None and not info.data.get("locks", True):
            raise ValueError("says what to do about a lock that is taken, and there are no 'locks'")
        return value

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
