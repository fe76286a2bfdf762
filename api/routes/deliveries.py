"""GET /process/{id}/deliveries, and POST …/{sequence}/retry: what the callback address of a process was told."""

import logging
import re
from typing import Annotated

from fastapi import APIRouter, Path, Request

from api import problems as kinds
from api.auth import MayOperate, MayRead
from api.context import TheServices, promptly, refusals, takes
from api.door import read_body
from api.problems import Problem
from api.query import ProcessId
from api.responses import JsonAnswer
from api.schemas.deliveries import DeliveryLog, WebhookDelivery
from api.schemas.operate import ReasonBody

router = APIRouter(tags=["processes"])
log = logging.getLogger("saga.server")

_NUMBER = re.compile(r"[1-9][0-9]{0,7}", re.ASCII)


@router.get(
    "/process/{process_id}/deliveries",
    operation_id="read_deliveries",
    summary="Read what the callback address of a process was told",
    response_model=DeliveryLog,
    responses=refusals(kinds.NOT_FOUND),
)
async def read_deliveries(process_id: ProcessId, _: MayRead, services: TheServices) -> JsonAnswer:
    """Give one delivery per event that is told, with its last attempts. Ended ones are kept for 30 days."""
    async with promptly():
        document = await services.deliveries.log(process_id)
    if document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return JsonAnswer(document)


@router.post(
    "/process/{process_id}/deliveries/{sequence}/retry",
    operation_id="retry_delivery",
    summary="Send a delivery again",
    status_code=202,
    response_model=WebhookDelivery,
    responses=refusals(
        kinds.NOT_FOUND, kinds.MALFORMED_JSON, kinds.CONTENT_TOO_LARGE, kinds.UNSUPPORTED_MEDIA_TYPE,
        kinds.REQUEST_TIMEOUT, kinds.INVALID_BODY, kinds.UNSTORABLE, kinds.NOT_READY,
    ),
    openapi_extra=takes(ReasonBody),
)  # fmt: skip
async def retry_delivery(
    request: Request,
    process_id: ProcessId,
    sequence: Annotated[str, Path(description="The number of the event.")],
    principal: MayOperate,
    services: TheServices,
) -> JsonAnswer:
    """Have it sent now and with a whole new budget of attempts, whether it was given up, waits or was taken."""
    if not _NUMBER.fullmatch(sequence):
        raise Problem(kinds.NOT_FOUND, "There is no such delivery.")
    body = await read_body(request, ReasonBody)
    async with promptly():
        document = await services.deliveries.send_again(process_id, int(sequence))
    if document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such delivery.")
    log.info("%s had webhook %s:%s sent again: %s", principal or "anybody", process_id, sequence, body.reason)
    return JsonAnswer(document, 202)
