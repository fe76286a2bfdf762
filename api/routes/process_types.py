"""GET /process-type…: the definitions that are loaded."""

from fastapi import APIRouter

from api import problems as kinds
from api.auth import MayRead
from api.context import TheServices, promptly, refusals
from api.problems import Problem
from api.responses import JsonAnswer
from api.schemas.process_type import ProcessTypeDocument, ProcessTypeSummary
from saga.messages.json_text import Json

router = APIRouter(prefix="/process-type", tags=["process types"])


@router.get(
    "",
    operation_id="list_process_types",
    summary="List process types",
    response_model=list[ProcessTypeSummary],
    responses=refusals(),
)
async def list_process_types(_: MayRead, services: TheServices) -> JsonAnswer:
    """List the process types that can be started."""
    return JsonAnswer(list[Json](services.read.process_types()))


@router.get(
    "/{name}",
    operation_id="read_process_type",
    summary="Read a process type",
    response_model=ProcessTypeDocument,
    responses=refusals(kinds.NOT_FOUND),
)
async def read_process_type(name: str, _: MayRead, services: TheServices) -> JsonAnswer:
    """Give a process type: versions, steps, the schema of its parameters, graph, durations."""
    async with promptly():
        document = await services.read.process_type(name)
    if document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process type.")
    return JsonAnswer(document)
