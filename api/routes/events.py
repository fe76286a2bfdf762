"""GET /process/{id}/events: the log of one process, whole or as it grows."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api import problems as kinds
from api.auth import MayRead
from api.context import Stopping, TheServices, promptly, refusals
from api.problems import Problem
from api.query import ProcessId, number
from api.responses import JsonAnswer
from api.schemas.process import EventEntry
from saga.messages.json_text import Json, JsonObject, to_text

router = APIRouter(tags=["processes"])

NDJSON = "application/x-ndjson"
SEQUENCE_MAX = 2**31


@router.get(
    "/process/{process_id}/events",
    operation_id="read_events",
    summary="Read the log of a process",
    response_model=list[EventEntry],
    responses={
        200: {
            "content": {NDJSON: {"schema": {"type": "string"}}},
            "description": "The entries in ascending order",
        },
        **refusals(kinds.NOT_FOUND),
    },
)
async def read_events(
    request: Request,
    process_id: ProcessId,
    _: MayRead,
    services: TheServices,
    after: Annotated[str | None, Query(description="Only entries with a greater number.")] = None,
) -> Response:
    """Give the entries of the log, also one a line with `Accept: application/x-ndjson`."""
    behind = number("after", after, default=0, least=0, most=SEQUENCE_MAX)
    async with promptly():
        entries = await services.read.events(process_id, after=behind)
    if entries is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    if NDJSON in request.headers.get("accept", ""):
        return Response(_lines(entries), media_type=NDJSON)
    return JsonAnswer(list[Json](entries))


async def _existing(process_id: ProcessId, services: TheServices) -> str:
    """Look before the stream begins: after that it is too late to answer 404."""
    async with promptly():
        state = await services.read.get(process_id)
    if state is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return process_id


async def _resumed_from(
    last_event_id: Annotated[str | None, Header(description="Where an earlier stream broke off.")] = None,
) -> int:
    text = last_event_id or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= SEQUENCE_MAX):  # noqa: PLR2004
        raise Problem(kinds.BAD_HEADER, "Last-Event-ID must be the number of an event.")
    return int(text)


@router.get(
    "/process/{process_id}/events/stream",
    operation_id="follow_events",
    summary="Follow the log of a process",
    response_class=EventSourceResponse,
    responses=refusals(kinds.NOT_FOUND, kinds.BAD_HEADER),
)
async def follow_events(
    _: MayRead,
    process_id: Annotated[str, Depends(_existing)],
    behind: Annotated[int, Depends(_resumed_from)],
    services: TheServices,
    stopping: Stopping,
) -> AsyncIterator[ServerSentEvent]:
    """Send each entry as it comes; the id is its number, and `event: end` says that the process ended."""
    async for state, entries in services.read.follow(process_id, after=behind, stopping=stopping):
        for entry in entries:
            yield ServerSentEvent(raw_data=to_text(entry), id=str(entry["sequence"]))
        if state.status.is_ended:
            end: JsonObject = {"process_id": state.process_id, "status": str(state.status)}
            yield ServerSentEvent(raw_data=to_text(end), event="end")


def _lines(entries: list[JsonObject]) -> str:
    return "".join(f"{to_text(entry)}\n" for entry in entries)
