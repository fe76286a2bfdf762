"""POST /process/{id}/rerun: a new process that keeps what an old one did before a step."""

from fastapi import APIRouter, Request

from api import problems as kinds
from api.auth import MayOperate
from api.context import TheAdmission, TheServices, promptly, refusals, takes
from api.door import read_body
from api.headers import etag, idempotency_key, matches_version, traceparent
from api.problems import Problem
from api.query import ProcessId
from api.responses import JsonAnswer
from api.schemas.operate import RerunBody
from api.schemas.process import ProcessDocument
from saga.usecases.requests import WrongStep
from saga.usecases.rerun import RerunRequest

router = APIRouter(tags=["acting"])

_HEADERS = {
    "Idempotency-Key": "Makes repeating the request safe: the same key is the same new process.",
    "If-Match": "The version of the old process on which this was decided: any other is refused with 412.",
    "traceparent": "The trace that the new process belongs to (W3C).",
}


@router.post(
    "/process/{process_id}/rerun",
    operation_id="rerun_process",
    summary="Begin a process anew from one of its steps",
    status_code=202,
    response_model=ProcessDocument,
    responses=refusals(
        kinds.NOT_FOUND, kinds.NOT_ALLOWED_NOW, kinds.PRECONDITION_FAILED, kinds.KEY_REUSED,
        kinds.INVALID_PARAMETERS, kinds.MALFORMED_JSON, kinds.BAD_HEADER, kinds.CONTENT_TOO_LARGE,
        kinds.UNSUPPORTED_MEDIA_TYPE, kinds.REQUEST_TIMEOUT, kinds.INVALID_BODY, kinds.UNSTORABLE,
        kinds.CALLBACK_REFUSED,
        kinds.NOT_READY, kinds.TOO_MANY_REQUESTS, kinds.OUTCOME_UNKNOWN,
    ),
    openapi_extra=takes(RerunBody, _HEADERS),
)  # fmt: skip
async def rerun_process(
    request: Request,
    process_id: ProcessId,
    principal: MayOperate,
    services: TheServices,
    admission: TheAdmission,
) -> JsonAnswer:
    """Accept a new process; the answer is that process, and comes once it is durable."""
    key = idempotency_key(request.headers)
    body = await read_body(request, RerunBody)
    asked = RerunRequest(
        process_id=process_id,
        step=body.step,
        reason=body.reason,
        changes=body.parameters,
        without=frozenset(body.without),
        idempotency_key=key,
        principal=principal,
        traceparent=traceparent(request.headers),
        callback_url=body.callback_url,
    )
    with admission.one():
        async with promptly():
            rerun = await services.rerun.look(asked)
        if rerun is None:
            raise Problem(kinds.NOT_FOUND, "There is no such process.")
        if rerun.earlier is None and not matches_version(request.headers, rerun.old.version):
            raise Problem(kinds.PRECONDITION_FAILED, "The process has moved on since that version.")
        try:
            begun = await services.rerun.begin(rerun)
        except WrongStep as error:
            errors = [("/step", str(error))]
            raise Problem(kinds.INVALID_BODY, "The step is not one to begin at.", errors=errors) from None
    headers = {"location": f"/process/{begun.process_id}", "etag": etag(begun.state.version)}
    if begun.is_replayed:
        headers["idempotent-replayed"] = "true"
    return JsonAnswer(await services.read.document(begun.state), 202, headers)
