"""GET /process/{id}/deliveries, and POST …/{sequence}/retry: what the callback address of a process was told."""

import logging
from typing import Annotated

from fastapi import APIRouter, Path

from api import problems as kinds
from api.auth import MayOperate, MayRead
from api.context import TheServices, promptly, refusals
from api.problems import Problem
from api.query import ProcessId
from api.responses import JsonAnswer
from api.schemas.deliveries import DeliveryLog, WebhookDelivery

router = APIRouter(tags=["processes"])
log = logging.getLogger("saga.server")

_NUMBER_MAX = 99_999_999


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
    responses=refusals(kinds.NOT_FOUND, kinds.NOT_READY),
)
async def retry_delivery(
    process_id: ProcessId,
    sequence: Annotated[int, Path(ge=1, le=_NUMBER_MAX, description="The number of the event.")],
    principal: MayOperate,
    services: TheServices,
) -> JsonAnswer:
    """Have it sent now and with a whole new budget of attempts, whether it was given up, waits or was taken."""
    async with promptly():
        document = await services.deliveries.send_again(process_id, sequence)
    if document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such delivery.")
    log.info("%s had webhook %s:%d sent again", principal or "anybody", process_id, sequence)
    return JsonAnswer(document, 202)
