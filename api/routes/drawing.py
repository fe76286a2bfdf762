"""GET /process/{id}/timeline and /graph: what a process did when, and where its steps stand."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from api import problems as kinds
from api.auth import MayRead
from api.context import TheServices, promptly, refusals
from api.headers import etag
from api.problems import Problem
from api.query import ProcessId, bad_query
from api.responses import JsonAnswer
from api.schemas.drawing import ProcessGraph, Timeline
from saga.views.drawing import dot, mermaid

router = APIRouter(tags=["processes"])

_DRAWINGS = {"mermaid": mermaid, "dot": dot}


@router.get(
    "/process/{process_id}/timeline",
    operation_id="read_timeline",
    summary="Read what a process did when",
    response_model=Timeline,
    responses=refusals(kinds.NOT_FOUND),
)
async def read_timeline(process_id: ProcessId, _: MayRead, services: TheServices) -> JsonAnswer:
    """Give one span per attempt of an action, an undo or a question, and per time of waiting."""
    async with promptly():
        document = await services.read.timeline(process_id)
    if document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return JsonAnswer(document)


@router.get(
    "/process/{process_id}/graph",
    operation_id="read_graph",
    summary="Read the steps of a process as a graph",
    response_model=ProcessGraph,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Nodes and edges, or a drawing as text",
        },
        **refusals(kinds.NOT_FOUND),
    },
)
async def read_graph(
    process_id: ProcessId,
    _: MayRead,
    services: TheServices,
    format: Annotated[str | None, Query(description="`mermaid` or `dot` for text.")] = None,  # noqa: A002 - its name in the address
) -> Response:
    """Give nodes and edges with where each step stands, or a drawing as text for Mermaid or Graphviz."""
    if format is not None and format not in _DRAWINGS:
        raise bad_query("format", "must be mermaid or dot")
    async with promptly():
        state = await services.read.get(process_id)
        if state is None:
            raise Problem(kinds.NOT_FOUND, "There is no such process.")
        headers = {"etag": etag(state.version)}
        if format is None:
            return JsonAnswer(await services.read.graph(state), headers=headers)
        return PlainTextResponse(await services.read.drawing(state, _DRAWINGS[format]), headers=headers)
