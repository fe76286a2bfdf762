"""What every route gets at: the services, the word that the server stops, the time that it may take."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from api import problems as kinds
from api.admission import Admission
from api.app_state import stopping_of
from api.problems import MEDIA_TYPE, ProblemType, retry_later
from api.schemas.problem import ProblemDocument
from api.services import Services

# Whoever reads hears within two seconds that the store is away, whatever its driver's patience.
READ_SECONDS_MAX = 1.8


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


def _stopping(request: Request) -> asyncio.Event:
    return stopping_of(request.app)


def _admission(request: Request) -> Admission:
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


def refusals(*problems: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of an operation for the API description."""
    every = (kinds.BAD_QUERY, kinds.UNAUTHENTICATED, kinds.FORBIDDEN, kinds.STORE_UNAVAILABLE, *problems)
    titles: dict[int, list[str]] = {}
    for problem in every:
        titles.setdefault(problem.status, []).append(f"{problem.title} (`{problem.slug}`)")
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    content = {MEDIA_TYPE: {"schema": schema}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": "; ".join(names), "content": content} for status, names in titles.items()
    }
    # With a default the framework does not add a 422 of its own form, which never appears.
    return {**described, "default": {"description": "Any other refusal", "content": content}}
