"""GET /service: the participants, and how they are."""

from fastapi import APIRouter

from api import problems as kinds
from api.auth import MayRead
from api.context import TheServices, promptly, refusals
from api.problems import retry_later
from api.responses import JsonAnswer
from api.schemas.service import ServiceDocument
from saga.errors import BusUnavailable
from saga.messages.json_text import Json

router = APIRouter(tags=["operations"])


@router.get(
    "/service",
    operation_id="list_services",
    summary="List participants",
    response_model=list[ServiceDocument],
    responses=refusals(kinds.NOT_READY),
)
async def list_services(_: MayRead, services: TheServices) -> JsonAnswer:
    """Give the participants: transport, addresses without their secrets, consumers, what waits, how calls go."""
    try:
        async with promptly():
            found = await services.participants.list()
    except BusUnavailable:
        members: dict[str, Json] = {"not_ready": ["the broker"]}
        raise retry_later(kinds.NOT_READY, "The broker did not answer.", members=members) from None
    return JsonAnswer(list[Json](found))
