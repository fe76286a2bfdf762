"""POST /process/{id}/{action}, /process/bulk, /process-type/{name}/pause and resume: what a person can do."""

import logging
from typing import Any

from fastapi import APIRouter, Request

from api import problems as kinds
from api.auth import MayOperate
from api.context import TheServices, promptly, refusals
from api.door import read_body
from api.headers import etag, idempotency_key, matches_version
from api.problems import Problem
from api.query import ProcessId, point_in_time
from api.responses import JsonAnswer
from api.routes.processes import STATUSES
from api.schemas.operate import (
    BulkAnswer,
    BulkBody,
    CurrentBody,
    ProcessFilter,
    ReasonBody,
    ResolveBody,
    SkipBody,
    StepBody,
)
from api.schemas.process import ProcessDocument
from api.schemas.process_type import ProcessTypeDocument
from api.services import Services
from saga.messages.control import ControlCommand
from saga.messages.json_text import to_text
from saga.ports.projections import ProjectionFilter
from saga.usecases.operate import Bulk

router = APIRouter(tags=["acting"])
log = logging.getLogger("saga.server")

_REFUSED = (
    kinds.MALFORMED_JSON, kinds.BAD_HEADER, kinds.CONTENT_TOO_LARGE, kinds.UNSUPPORTED_MEDIA_TYPE,
    kinds.REQUEST_TIMEOUT, kinds.INVALID_BODY, kinds.UNSTORABLE, kinds.NOT_READY,
)  # fmt: skip
# What each action takes beside the reason, and what it is for.
_ACTIONS: dict[str, tuple[type[ReasonBody], str]] = {
    "cancel": (ReasonBody, "Turn the process back"),
    "pause": (ReasonBody, "Send nothing more until it is resumed"),
    "resume": (ReasonBody, "Go on after a pause"),
    "retry": (StepBody, "Give what is stuck a whole new budget of attempts"),
    "skip": (SkipBody, "Go on without a step that is stuck"),
    "resolve": (ResolveBody, "State what became of a step of which nobody knows"),
    "compensate": (ReasonBody, "Undo the process, also after it completed"),
    "fail": (ReasonBody, "Give the process up as it stands"),
}


def _takes(model: type[ReasonBody]) -> dict[str, Any]:
    schema = model.model_json_schema()
    headers = [
        ("Idempotency-Key", "Makes repeating the request safe: the same key is the same request."),
        ("If-Match", "The version, from ETag, on which this was decided: any other is refused with 412."),
    ]
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "parameters": [
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in headers
        ],
    }


def _add(action: str, model: type[ReasonBody], summary: str) -> None:
    async def act(
        request: Request, process_id: ProcessId, principal: MayOperate, services: TheServices
    ) -> JsonAnswer:
        key = idempotency_key(request.headers)
        body = await read_body(request, model)
        command = _command(action, body, process_id=process_id, principal=principal, key=key)
        return await _act(request, services, command)

    router.add_api_route(
        f"/process/{{process_id}}/{action}",
        act,
        methods=["POST"],
        operation_id=f"{action}_process",
        summary=summary,
        description="The answer is the process as it stood when the broker confirmed the request.",
        status_code=202,
        response_model=ProcessDocument,
        responses=refusals(kinds.NOT_FOUND, kinds.NOT_ALLOWED_NOW, kinds.PRECONDITION_FAILED, *_REFUSED),
        openapi_extra=_takes(model),
    )


for _action, (_model, _summary) in _ACTIONS.items():
    _add(_action, _model, _summary)


def _command(
    action: str, body: ReasonBody, *, process_id: str, principal: str, key: str | None
) -> ControlCommand:
    has_output = isinstance(body, SkipBody | ResolveBody | BulkBody) and body.output is not None
    return ControlCommand(
        action=action,
        process_id=process_id,
        reason=body.reason,
        # Keys of different people, and for different processes, never meet.
        request_id=None if key is None else f"{principal}:{process_id}:{action}:{key}"[-200:],
        step=getattr(body, "step", None),
        output=to_text(getattr(body, "output", None)) if has_output else None,
        outcome=getattr(body, "outcome", None),
        actor=principal or "anybody",
    )


async def _act(request: Request, services: Services, command: ControlCommand) -> JsonAnswer:
    async with promptly():
        state = await services.read.get(command.process_id)
    if state is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    if not matches_version(request.headers, state.version):
        raise Problem(kinds.PRECONDITION_FAILED, "The process has moved on since that version.")
    if command.request_id is None or command.request_id not in state.requests:
        async with promptly():
            await services.operate.act(command, state)
    async with promptly():
        document = await services.read.document(state)
    location = {"location": f"/process/{state.process_id}", "etag": etag(state.version)}
    return JsonAnswer(document, 202, location)


@router.post(
    "/process/bulk",
    operation_id="act_on_processes",
    summary="Do one of the actions to all that match",
    status_code=202,
    response_model=BulkAnswer,
    responses=refusals(kinds.EMPTY_FILTER, *_REFUSED),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": BulkBody.model_json_schema()}},
        }
    },
)
async def act_on_processes(request: Request, principal: MayOperate, services: TheServices) -> JsonAnswer:
    """Ask every process that matches; each judges by itself whether the action applies to it."""
    body = await read_body(request, BulkBody)
    if body.filter.is_empty:
        raise Problem(kinds.EMPTY_FILTER, "The filter is empty.", errors=[("/filter", "must not be empty")])
    command = _command(body.action, body, process_id="", principal=principal, key=None)
    chosen = _chosen(body.filter)
    bulk = await services.operate.act_on_all(command, chosen, dry_run=body.dry_run)
    return _bulk_answer(bulk)


@router.post(
    "/process-type/{name}/pause",
    operation_id="pause_process_type",
    summary="Pause all processes of a type, and those to come",
    status_code=202,
    response_model=BulkAnswer,
    responses=refusals(kinds.NOT_FOUND, *_REFUSED),
    openapi_extra={"requestBody": _takes(ReasonBody)["requestBody"]},
)
async def pause_process_type(
    request: Request, name: str, principal: MayOperate, services: TheServices
) -> JsonAnswer:
    """Pause a type; coordinators that run know it within two seconds."""
    command = await _of_type(request, services, name, principal, "pause")
    return _bulk_answer(await services.operate.pause_type(name, command))


@router.post(
    "/process-type/{name}/resume",
    operation_id="resume_process_type",
    summary="Resume a type, and all processes of it that are paused",
    status_code=202,
    response_model=BulkAnswer,
    responses=refusals(kinds.NOT_FOUND, *_REFUSED),
    openapi_extra={"requestBody": _takes(ReasonBody)["requestBody"]},
)
async def resume_process_type(
    request: Request, name: str, principal: MayOperate, services: TheServices
) -> JsonAnswer:
    """Resume a type."""
    command = await _of_type(request, services, name, principal, "resume")
    return _bulk_answer(await services.operate.resume_type(name, command))


@router.post(
    "/process-type/{name}/current",
    operation_id="make_definition_current",
    summary="Go back to an earlier definition of a type",
    response_model=ProcessTypeDocument,
    responses=refusals(kinds.NOT_FOUND, *_REFUSED),
    openapi_extra={"requestBody": _takes(CurrentBody)["requestBody"]},
)
async def make_definition_current(
    request: Request, name: str, principal: MayOperate, services: TheServices
) -> JsonAnswer:
    """Start new processes with this definition; those that run keep theirs."""
    body = await read_body(request, CurrentBody)
    async with promptly():
        is_known = await services.catalog.make_current(name, body.definition)
        document = await services.read.process_type(name)
    if not is_known or document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such definition of this process type.")
    log.info("%s made %s current for %s: %s", principal or "anybody", body.definition, name, body.reason)
    return JsonAnswer(document)


async def _of_type(
    request: Request, services: Services, name: str, principal: str, action: str
) -> ControlCommand:
    body = await read_body(request, ReasonBody)
    if services.catalog.current(name) is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process type.")
    return _command(action, body, process_id="", principal=principal, key=None)


def _bulk_answer(bulk: Bulk) -> JsonAnswer:
    return JsonAnswer({"matching": bulk.matching, "requested": bulk.requested}, 202)


def _chosen(asked: ProcessFilter) -> ProjectionFilter:
    statuses = tuple(asked.status or ())
    if not STATUSES.issuperset(statuses):
        errors = [("/filter/status", f"must be of {', '.join(sorted(STATUSES))}")]
        raise Problem(kinds.INVALID_BODY, "The filter has no valid value.", errors=errors)
    return ProjectionFilter(
        statuses=statuses,
        process_type=asked.process_type,
        labels=tuple((asked.label or {}).items()),
        attention=asked.attention,
        started_after=point_in_time("started_after", asked.started_after),
        started_before=point_in_time("started_before", asked.started_before),
    )
