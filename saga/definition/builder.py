"""Definitions written in Python: the words of the YAML spelling as classes, with the name first.

trip = Saga("trip_booking", parameters=Trip, steps=[Step("hotel", service="hotel", action="book", ...)])
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any  # noqa: TID251 - the model judges the type of each word

from pydantic import BaseModel, JsonValue, ValidationError

from saga.definition.model import CompensationDefinition, RetryPolicy, SagaDefinition, StepDefinition
from saga.definition.problems import problems_of
from saga.errors import InvalidDefinition


class Retry(RetryPolicy):
    """Say how often and how patiently to try; see `RetryPolicy`. Durations are seconds or ISO 8601."""

    def __init__(
        self,
        *,
        attempts: int | None = None,
        backoff: float | str | None = None,
        factor: float | None = None,
        max_backoff: float | str | None = None,
        jitter: float | None = None,
        retry_on: Collection[str] | None = None,
    ) -> None:
        given = _given(
            attempts=attempts, backoff=backoff, factor=factor, max_backoff=max_backoff, jitter=jitter,
            retry_on=retry_on,
        )  # fmt: skip
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidDefinition("retry", problems_of(error)) from None


class Compensation(CompensationDefinition):
    """Name the action that undoes a step."""

    def __init__(
        self, action: str, *, timeout: float | str | None = None, retry: RetryPolicy | None = None
    ) -> None:
        try:
            super().__init__(**_given(action=action, timeout=timeout, retry=retry))
        except ValidationError as error:
            raise InvalidDefinition(f"compensation {action!r}", problems_of(error)) from None


class Step(StepDefinition):
    """Declare one step."""

    def __init__(  # noqa: PLR0913 - the words of the language, each with its type
        self,
        name: str,
        *,
        service: str,
        action: str,
        compensation: CompensationDefinition | str | None = None,
        after: Sequence[str] | None = None,
        timeout: float | str | None = None,
        expected: float | str | None = None,
        retry: RetryPolicy | None = None,
        pivot: bool = False,
        **unsupported: object,
    ) -> None:
        given = _given(
            name=name, service=service, action=action, compensation=compensation, after=after,
            timeout=timeout, expected=expected, retry=retry, pivot=pivot or None, **unsupported,
        )  # fmt: skip
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidDefinition(f"step {name!r}", problems_of(error)) from None


class Saga(SagaDefinition):
    """Declare a process type. Raises InvalidDefinition that names the step and what to do."""

    def __init__(
        self,
        process_type: str,
        *,
        steps: Sequence[StepDefinition],
        parameters: type[BaseModel] | Mapping[str, JsonValue] | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | str | None = None,
        **unsupported: object,
    ) -> None:
        given = _given(
            process_type=process_type, steps=steps, parameters=parameters, retry=retry, timeout=timeout,
            **unsupported,
        )  # fmt: skip
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidDefinition(f"saga {process_type!r}", problems_of(error)) from None


def _given(**words: object) -> dict[str, Any]:
    # What was left out stays left out, so that both spellings give the same canonical text.
    return {word: value for word, value in words.items() if value is not None}
