"""Turn everything that can go wrong behind a route into a problem document; nothing internal is named."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api import problems as kinds
from api.problems import Problem, retry_later
from api.responses import ProblemAnswer
from saga import errors
from saga.messages.json_text import Json
from saga.messages.strict_json import pointer_to
from saga.replay.past import UnknownEvent
from saga.webhooks.policy import CallbackRefused

_E = TypeVar("_E", bound=Exception)
_BY_STATUS = {
    400: kinds.BAD_REQUEST,
    404: kinds.NOT_FOUND,
    405: kinds.METHOD_NOT_ALLOWED,
    413: kinds.CONTENT_TOO_LARGE,
}


def install(app: FastAPI) -> None:
    """Register a handler for each family of errors."""
    _handle(app, Problem, lambda problem: problem)
    _handle(app, errors.SagaError, _of_the_domain)
    _handle(app, RequestValidationError, _of_validation)
    _handle(app, HTTPException, _of_the_framework)
    _handle(app, Exception, lambda _: Problem(kinds.INTERNAL, "The request could not be handled."))


def _handle(app: FastAPI, family: type[_E], translate: Callable[[_E], Problem]) -> None:
    async def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, family)  # noqa: S101 - the framework looked the handler up by this class
        problem = translate(error)
        if problem.kind is kinds.METHOD_NOT_ALLOWED:
            # The framework names the methods of the first route only, and each of ours has one.
            problem.headers["allow"] = ", ".join(_methods(request))
        return ProblemAnswer(problem)

    typed: Callable[[Request, Exception], Awaitable[Response]] = handler
    app.add_exception_handler(family, typed)


def _methods(request: Request) -> Iterator[str]:
    for method in ("DELETE", "GET", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            yield method


def _of_the_domain(error: errors.SagaError) -> Problem:
    match error:
        case errors.UnknownProcessType():
            known: list[Json] = list(error.known)
            return Problem(
                kinds.UNKNOWN_PROCESS_TYPE, "No such process type is defined here.", members={"known": known}
            )
        case errors.InvalidParameters():
            pairs = [(f"/parameters{pointer}", detail) for pointer, detail in error.problems]
            return Problem(
                kinds.INVALID_PARAMETERS,
                "The parameters don't fit the schema of the process type.",
                errors=pairs,
            )
        case errors.NotAllowedNow():
            allowed: list[Json] = list(error.allowed)
            return Problem(
                kinds.NOT_ALLOWED_NOW,
                "The process can't do this where it stands.",
                members={"process_status": error.status, "allowed_actions": allowed},
            )
        case errors.IdempotencyConflict():
            return Problem(kinds.KEY_REUSED, "An earlier request with this key had another body.")
        case errors.UnreadableLog():
            place: dict[str, Json] = {"sequence": error.number, "field": error.field}
            return Problem(kinds.UNREADABLE_LOG, f"{error}.", members=place)
        case CallbackRefused():
            return Problem(
                kinds.CALLBACK_REFUSED,
                "The callback address would not be called.",
                errors=[("/callback_url", error.problem)],
            )
        case errors.UnknownDefinition():
            return Problem(kinds.UNKNOWN_DEFINITION, f"{str(error)[:1].upper()}{str(error)[1:]}.")
        case UnknownEvent():
            return Problem(kinds.NOT_FOUND, f"The log has no event {error.number}: its last is {error.last}.")
        case errors.Unstorable():
            return Problem(kinds.UNSTORABLE, "The request is too large for the store.")
        case _:
            return _of_the_outside(error)


def _of_the_outside(error: errors.SagaError) -> Problem:
    """Translate what the store or the broker could not do."""
    match error:
        case errors.OutcomeUnknown():
            process_id = getattr(error, "process_id", None)
            return retry_later(
                kinds.OUTCOME_UNKNOWN,
                "The store did not answer in time; repeating the request is safe.",
                members={"process_id": process_id} if process_id else None,
            )
        case errors.StoreUnavailable():
            return retry_later(kinds.STORE_UNAVAILABLE, "The store could not be asked.")
        case errors.NotReady() | errors.BusUnavailable():
            return retry_later(kinds.NOT_READY, "The service can't take this just now.")
        case _:
            return Problem(kinds.INTERNAL, f"The request could not be handled ({error.code}).")


def _of_validation(error: RequestValidationError) -> Problem:
    """Translate what the framework refused itself: only queries and headers are declared to it."""
    places = {str(one["loc"][0]) for one in error.errors()}
    if "path" in places:
        return Problem(kinds.NOT_FOUND, "Nothing is known under this address.")
    pairs = [(pointer_to(tuple(one["loc"][1:])), str(one["msg"])) for one in error.errors()]
    if "header" in places:
        return Problem(kinds.BAD_HEADER, "A header has no valid value.", errors=pairs)
    return Problem(kinds.BAD_QUERY, "A query parameter has no valid value.", errors=pairs)


def _of_the_framework(error: HTTPException) -> Problem:
    kind = _BY_STATUS.get(error.status_code, kinds.BAD_REQUEST if error.status_code < 500 else kinds.INTERNAL)  # noqa: PLR2004
    return Problem(kind, kind.explanation, headers=error.headers)
