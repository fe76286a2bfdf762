"""GET /process/{id}/undo-preview: what a compensation would send."""

from fastapi import APIRouter

from api import problems as kinds
from api.auth import MayRead
from api.context import TheServices, promptly, refusals
from api.headers import etag
from api.problems import Problem
from api.query import ProcessId
from api.responses import JsonAnswer
from api.schemas.undo_preview import UndoPreviewDocument

router = APIRouter(tags=["processes"])


@router.get(
    "/process/{process_id}/undo-preview",
    operation_id="preview_undo",
    summary="See what a compensation would send",
    response_model=UndoPreviewDocument,
    responses=refusals(kinds.NOT_FOUND),
)
async def preview_undo(process_id: ProcessId, _: MayRead, services: TheServices) -> JsonAnswer:
    """Give the commands that `compensate` would send now, and what would not be undone; nothing is sent."""
    async with promptly():
        state = await services.read.get(process_id)
        if state is None:
            raise Problem(kinds.NOT_FOUND, "There is no such process.")
        document = await services.read.undo_preview(state)
    return JsonAnswer(document, headers={"etag": etag(state.version)})
