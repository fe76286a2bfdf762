"""What every route gets at: the services, the word that the server stops, the time that it may take."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from pydantic import BaseModel

from api import problems as kinds
from api.admission import Admission
from api.app_state import stopping_of
from api.problems import MEDIA_TYPE, ProblemType, retry_later
from api.schemas.problem import ProblemDocument
from api.services import Services
from saga.errors import BusUnavailable
from saga.messages.json_text import Json

# Whoever reads hears within two seconds that the store is away, whatever its driver's patience.
READ_SECONDS_MAX = 1.8


# Dependencies are coroutines: for a plain function the framework would go through a thread each time.
async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


async def _stopping(request: Request) -> asyncio.Event:
    return stopping_of(request.app)


async def _admission(request: Request) -> Admission:
    return cast("Admission", request.app.state.admission)


TheAdmission = Annotated[Admission, Depends(_admission)]
TheServices = Annotated[Services, Depends(_services)]
Stopping = Annotated[asyncio.Event, Depends(_stopping)]


@contextlib.asynccontextmanager
async def promptly() -> AsyncIterator[None]:
    """Bound a read of the store. Raises Problem when it does not answer in time."""
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            yield
    except TimeoutError:
        raise retry_later(kinds.STORE_UNAVAILABLE, "The store did not answer in time.") from None


@contextlib.asynccontextmanager
async def confirmed() -> AsyncIterator[None]:
    """Say what it means where the broker did not confirm a request. Raises Problem."""
    try:
        yield
    except BusUnavailable as error:
        members: dict[str, Json] = {"not_ready": ["the broker"]}
        requested = getattr(error, "requested", None)
        if requested is not None:
            members["requested"] = requested
        detail = "The broker did not confirm it in time, and may have it all the same: repeating it is safe."
        raise retry_later(kinds.NOT_READY, detail, members=members) from None


def takes(model: type[BaseModel], headers: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Describe the body, and the headers, that a route reads itself."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": _schema(model)}}},
        "parameters": [
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        ],
    }


def refusals(*problems: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of an operation for the API description."""
    every = (kinds.BAD_QUERY, kinds.UNAUTHENTICATED, kinds.FORBIDDEN, kinds.STORE_UNAVAILABLE, *problems)
    titles: dict[int, list[str]] = {}
    for problem in every:
        titles.setdefault(problem.status, []).append(f"{problem.title} (`{problem.slug}`)")
    content = {MEDIA_TYPE: {"schema": _schema(ProblemDocument)}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": "; ".join(names), "content": content} for status, names in titles.items()
    }
    # With a default the framework does not add a 422 of its own form, which never appears.
    return {**described, "default": {"description": "Any other refusal", "content": content}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def whole(value: Any) -> Any:  # noqa: ANN401 - any part of a schema
        """Put what is referred to in its place: a reference would point into the whole description."""
        match value:
            case {"$ref": str(reference), **rest}:
                return {**whole(parts[reference.rpartition("/")[2]]), **rest}
            case dict():
                return {name: whole(part) for name, part in value.items()}
            case list():
                return [whole(part) for part in value]
            case _:
                return value

    return cast("dict[str, Any]", whole(schema))
