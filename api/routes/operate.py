"""POST /process/{id}/{action}, /process/bulk, /process-type/{name}/pause and resume: what a person can do."""

import logging

from fastapi import APIRouter, Request

from api import problems as kinds
from api.auth import MayOperate
from api.context import TheServices, confirmed, promptly, refusals, takes
from api.door import read_body
from api.headers import etag, idempotency_key, matches_version
from api.problems import Problem
from api.query import ProcessId, point_in_time
from api.responses import JsonAnswer
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
from saga.errors import NotAllowedNow
from saga.messages.control import ControlCommand
from saga.messages.json_text import Json, to_text
from saga.ports.projections import ProjectionFilter
from saga.process.state import ProcessState
from saga.usecases.operate import Bulk
from saga.usecases.requests import StepNotAllowedNow, WrongStep, is_repeated

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


_KEY = {"Idempotency-Key": "Makes repeating the request safe: the same key is the same request."}
_HEADERS = {
    **_KEY,
    "If-Match": "The version, from ETag, on which this was decided: any other is refused with 412.",
}


def _add(action: str, model: type[ReasonBody], summary: str) -> None:
    async def act(
        request: Request, process_id: ProcessId, principal: MayOperate, services: TheServices
    ) -> JsonAnswer:
        key = idempotency_key(request.headers)
        body = await read_body(request, model)
        command = _command(action, body, process_id=process_id, principal=principal)
        return await _act(request, services, command, key)

    router.add_api_route(
        f"/process/{{process_id}}/{action}",
        act,
        methods=["POST"],
        operation_id=f"{action}_process",
        summary=summary,
        description="The answer is the process as it stood when the broker confirmed the request.",
        status_code=202,
        response_model=ProcessDocument,
        responses=refusals(
            kinds.NOT_FOUND, kinds.NOT_ALLOWED_NOW, kinds.PRECONDITION_FAILED, kinds.KEY_REUSED, *_REFUSED
        ),
        openapi_extra=takes(model, _HEADERS),
    )


for _action, (_model, _summary) in _ACTIONS.items():
    _add(_action, _model, _summary)


def _command(action: str, body: ReasonBody, *, process_id: str, principal: str) -> ControlCommand:
    output = getattr(body, "output", None)
    outcome = getattr(body, "outcome", None)
    if outcome == "failed" and output is not None:
        errors = [("/output", "does not belong to the outcome failed")]
        raise Problem(kinds.INVALID_BODY, "What failed has no output.", errors=errors)
    return ControlCommand(
        action=action,
        process_id=process_id,
        reason=body.reason,
        step=getattr(body, "step", None),
        output=None if output is None else to_text(output),
        outcome=outcome,
        actor=principal or "anybody",
    )


async def _act(request: Request, services: Services, command: ControlCommand, key: str | None) -> JsonAnswer:
    operate = services.operate
    # All that the answer needs is read before anything is asked: afterwards nothing of it may fail.
    async with promptly():
        looked = await operate.look(command.process_id)
        if looked is None:
            raise Problem(kinds.NOT_FOUND, "There is no such process.")
        state = looked.state
        is_new = key is None or not is_repeated(command, looked, key=key)
        if is_new:
            if not matches_version(request.headers, state.version):
                raise Problem(kinds.PRECONDITION_FAILED, "The process has moved on since that version.")
            await _judge(services, command, state)
        document = await services.read.document(state)
    if is_new:
        async with confirmed():
            await operate.ask(command, state, key=key)
    location = {"location": f"/process/{state.process_id}", "etag": etag(state.version)}
    return JsonAnswer(document, 202, location)


async def _judge(services: Services, command: ControlCommand, state: ProcessState) -> None:
    try:
        await services.operate.judge(command, state)
    except WrongStep as error:
        errors = [("/step", str(error))]
        raise Problem(kinds.INVALID_BODY, "The step is not one that can be meant.", errors=errors) from None
    except NotAllowedNow as error:
        is_about_step = isinstance(error, StepNotAllowedNow)
        who = "The step that is named" if is_about_step else "The process"
        raise Problem(
            kinds.NOT_ALLOWED_NOW,
            f"{who} can't do this where it stands.",
            errors=[("/step", "is not stuck, or its outcome is known")] if is_about_step else (),
            members={"process_status": error.status, "allowed_actions": list[Json](error.allowed)},
        ) from None


@router.post(
    "/process/bulk",
    operation_id="act_on_processes",
    summary="Do one of the actions to all that match",
    status_code=202,
    response_model=BulkAnswer,
    responses=refusals(kinds.EMPTY_FILTER, *_REFUSED),
    openapi_extra=takes(BulkBody, _KEY),
)
async def act_on_processes(request: Request, principal: MayOperate, services: TheServices) -> JsonAnswer:
    """Ask every process that matches; each judges by itself whether the action applies to it."""
    key = idempotency_key(request.headers)
    body = await read_body(request, BulkBody)
    _refuse_misfits(body)
    if body.filter.is_empty:
        raise Problem(kinds.EMPTY_FILTER, "The filter is empty.", errors=[("/filter", "must not be empty")])
    command = _command(body.action, body, process_id="", principal=principal)
    async with confirmed():
        bulk = await services.operate.act_on_all(command, _chosen(body.filter), dry_run=body.dry_run, key=key)
    return _bulk_answer(bulk)


@router.post(
    "/process-type/{name}/pause",
    operation_id="pause_process_type",
    summary="Pause all processes of a type, and those to come",
    status_code=202,
    response_model=BulkAnswer,
    responses=refusals(kinds.NOT_FOUND, *_REFUSED),
    openapi_extra=takes(ReasonBody, _KEY),
)
async def pause_process_type(
    request: Request, name: str, principal: MayOperate, services: TheServices
) -> JsonAnswer:
    """Pause a type; coordinators that run know it within two seconds."""
    key = idempotency_key(request.headers)
    command = await _of_type(request, services, name, principal, "pause")
    async with confirmed():
        bulk = await services.operate.pause_type(name, command, key=key)
    return _bulk_answer(bulk)


@router.post(
    "/process-type/{name}/resume",
    operation_id="resume_process_type",
    summary="Resume a type, and all processes of it that are paused",
    status_code=202,
    response_model=BulkAnswer,
    responses=refusals(kinds.NOT_FOUND, *_REFUSED),
    openapi_extra=takes(ReasonBody, _KEY),
)
async def resume_process_type(
    request: Request, name: str, principal: MayOperate, services: TheServices
) -> JsonAnswer:
    """Resume a type."""
    key = idempotency_key(request.headers)
    command = await _of_type(request, services, name, principal, "resume")
    async with confirmed():
        bulk = await services.operate.resume_type(name, command, key=key)
    return _bulk_answer(bulk)


@router.post(
    "/process-type/{name}/current",
    operation_id="make_definition_current",
    summary="Go back to an earlier definition of a type",
    response_model=ProcessTypeDocument,
    responses=refusals(kinds.NOT_FOUND, *_REFUSED),
    openapi_extra=takes(CurrentBody),
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
    return _command(action, body, process_id="", principal=principal)


def _bulk_answer(bulk: Bulk) -> JsonAnswer:
    return JsonAnswer({"matching": bulk.matching, "requested": bulk.requested}, 202)


def _refuse_misfits(body: BulkBody) -> None:
    """Refuse what the action would not take by itself, and ask for what it needs."""
    members = _ACTIONS[body.action][0].model_fields
    given = body.model_fields_set & {"step", "output", "outcome"}
    errors = [(f"/{name}", f"does not belong to {body.action}") for name in sorted(given - members.keys())]
    if "outcome" in members and body.outcome is None:
        errors.append(("/outcome", "is missing"))
    if errors:
        raise Problem(kinds.INVALID_BODY, "The body does not fit its action.", errors=errors)


def _chosen(asked: ProcessFilter) -> ProjectionFilter:
    return ProjectionFilter(
        statuses=tuple(asked.status or ()),
        process_type=asked.process_type,
        labels=tuple((asked.label or {}).items()),
        attention=asked.attention,
        started_after=point_in_time("started_after", asked.started_after),
        started_before=point_in_time("started_before", asked.started_before),
    )
