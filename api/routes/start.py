"""POST /process: start a process."""

import asyncio

from fastapi import APIRouter, Request

from api import problems as kinds
from api.auth import MayOperate
from api.context import Stopping, TheAdmission, TheServices, refusals, takes
from api.door import read_body
from api.headers import Wait, idempotency_key, preferred_wait, traceparent
from api.problems import Problem
from api.responses import JsonAnswer
from api.schemas.start import StartBody, StartedProcess
from api.services import Services
from saga.errors import SagaError
from saga.process.state import ProcessState
from saga.usecases.start import StartedProcess as Started
from saga.usecases.start import StartRequest

router = APIRouter(tags=["processes"])

_HEADERS = {
    "Idempotency-Key": "Makes repeating the request safe: the same key is the same process.",
    "Prefer": "`wait=N`: answer 200 with the ended process if it ends within N seconds, 60 at most.",
    "traceparent": "The trace that the process belongs to (W3C).",
}


@router.post(
    "/process",
    operation_id="start_process",
    summary="Start a process",
    status_code=202,
    response_model=StartedProcess,
    responses={
        200: {"model": StartedProcess, "description": "The process has ended within the wait of Prefer"},
        **refusals(
            kinds.MALFORMED_JSON, kinds.BAD_HEADER, kinds.CONTENT_TOO_LARGE, kinds.UNSUPPORTED_MEDIA_TYPE,
            kinds.REQUEST_TIMEOUT, kinds.INVALID_BODY, kinds.UNSTORABLE, kinds.UNKNOWN_PROCESS_TYPE,
            kinds.INVALID_PARAMETERS, kinds.KEY_REUSED, kinds.CALLBACK_REFUSED, kinds.TOO_MANY_REQUESTS,
            kinds.OUTCOME_UNKNOWN,
        ),
    },
    openapi_extra=takes(StartBody, _HEADERS),
)  # fmt: skip
async def start_process(
    request: Request,
    principal: MayOperate,
    services: TheServices,
    admission: TheAdmission,
    stopping: Stopping,
) -> JsonAnswer:
    """Accept a process: the answer comes once the start is durable, the work follows."""
    wait = preferred_wait(request.headers)
    key = idempotency_key(request.headers)
    body = await read_body(request, StartBody)
    asked = _request(request, body, key=key, principal=principal)
    with admission.one():  # after the body: those who send slowly must not keep the others out
        started = await services.start(asked)
    return await _answer(services, started, wait, stopping)


def _request(request: Request, body: StartBody, *, key: str | None, principal: str) -> StartRequest:
    if body.process_id is not None and key is not None:
        raise Problem(
            kinds.INVALID_BODY,
            "A process_id and an Idempotency-Key say the same in two ways.",
            errors=[("/process_id", "must not stand beside an Idempotency-Key")],
        )
    return StartRequest(
        process_type=body.process_type,
        parameters=body.parameters,
        labels=body.labels,
        callback_url=body.callback_url,
        process_id=body.process_id,
        idempotency_key=key,
        principal=principal,
        traceparent=traceparent(request.headers),
    )


async def _answer(
    services: Services, started: Started, wait: Wait | None, stopping: asyncio.Event
) -> JsonAnswer:
    headers = {"location": f"/process/{started.process_id}"}
    if started.is_replayed:
        headers["idempotent-replayed"] = "true"
    graph = started.known.graph
    ended = None if wait is None else await _ended(services, started, wait, stopping)
    if wait is None or ended is None:
        return JsonAnswer(await services.read.accepted(graph, started.state), 202, headers)
    return JsonAnswer(await services.read.started(graph, ended), 200, {**headers, **wait.applied})


async def _ended(
    services: Services, started: Started, wait: Wait, stopping: asyncio.Event
) -> ProcessState | None:
    try:
        state = await services.read.wait_for_end(started.process_id, seconds=wait.seconds, stopping=stopping)
    except SagaError:
        return None  # the start is durable; that nobody can look now must not make it an error
    return state if state is not None and state.status.is_ended else None
