"""Definitions written in Python: the words of the YAML spelling as classes, with the name first.

trip = Saga("trip_booking", parameters=Trip, steps=[Step("hotel", service="hotel", action="book", ...)])
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any  # noqa: TID251 - the model judges the type of each word

from pydantic import BaseModel, JsonValue, ValidationError

from saga.definition.model import (
    CompensationDefinition,
    RetryPolicy,
    SagaDefinition,
    StepDefinition,
    VerifyDefinition,
)
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
        self,
        action: str,
        *,
        input: Mapping[str, str] | None = None,  # noqa: A002 - the word of the language
        timeout: float | str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        try:
            super().__init__(**_given(action=action, input=input, timeout=timeout, retry=retry))
        except ValidationError as error:
            raise InvalidDefinition(f"compensation {action!r}", problems_of(error)) from None


class Verify(VerifyDefinition):
    """Name the action that tells whether an attempt that was not answered took effect."""

    def __init__(
        self,
        action: str,
        *,
        fences: bool = False,
        timeout: float | str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        try:
            super().__init__(**_given(action=action, fences=fences or None, timeout=timeout, retry=retry))
        except ValidationError as error:
            raise InvalidDefinition(f"verify {action!r}", problems_of(error)) from None


class Step(StepDefinition):
    """Declare one step."""

    def __init__(  # noqa: PLR0913 - the words of the language, each with its type
        self,
        name: str,
        *,
        service: str | None = None,
        action: str | None = None,
        process: str | None = None,
        signal: bool = False,
        compensation: CompensationDefinition | str | None = None,
        verify: VerifyDefinition | str | None = None,
        after: Sequence[str] | None = None,
        join: str | int | None = None,
        when: str | None = None,
        for_each: str | None = None,
        at_once: int | None = None,
        input: Mapping[str, str] | None = None,  # noqa: A002 - the word of the language
        timeout: float | str | None = None,
        expected: float | str | None = None,
        retry: RetryPolicy | None = None,
        pivot: bool = False,
    ) -> None:
        given = _given(
            name=name, service=service, action=action, process=process, signal=signal or None,
            compensation=compensation, verify=verify, after=after, join=join, when=when, for_each=for_each,
            at_once=at_once, input=input, timeout=timeout, expected=expected, retry=retry, pivot=pivot or None,
        )  # fmt: skip
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidDefinition(f"step {name!r}", problems_of(error)) from None


class Saga(SagaDefinition):
    """Declare a process type. Raises InvalidDefinition that names the step and what to do."""

    def __init__(  # noqa: PLR0913 - the words of the language, each with its type
        self,
        process_type: str,
        *,
        steps: Sequence[StepDefinition],
        parameters: type[BaseModel] | Mapping[str, JsonValue] | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | str | None = None,
        deadline: float | str | None = None,
        locks: Sequence[str] | None = None,
        on_locked: str | None = None,
        result: Mapping[str, str] | None = None,
    ) -> None:
        given = _given(
            process_type=process_type, steps=steps, parameters=parameters, retry=retry, timeout=timeout,
            deadline=deadline, locks=locks, on_locked=on_locked, result=result,
        )  # fmt: skip
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidDefinition(f"saga {process_type!r}", problems_of(error)) from None


def _given(**words: object) -> dict[str, Any]:
    # What was left out stays left out, so that both spellings give the same canonical text.
    return {word: value for word, value in words.items() if value is not None}
