"""For those who run the service: is it alive, is it ready, what does it count. Every role answers this."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api import problems as kinds
from api.context import TheServices
from api.problems import retry_later
from api.responses import JsonAnswer
from saga.messages.json_text import Json

router = APIRouter(tags=["operations"])


@router.get("/healthz", operation_id="check_health", summary="Is the server alive?")
async def check_health() -> JsonAnswer:
    """Answer as long as the server runs at all."""
    return JsonAnswer({"status": "alive"})


@router.get("/readyz", operation_id="check_readiness", summary="Is the server ready?")
async def check_readiness(services: TheServices) -> JsonAnswer:
    """Answer 200 only when everything that work needs is there."""
    missing = await services.readiness()
    if missing:
        names: list[Json] = list(missing)
        raise retry_later(kinds.NOT_READY, "Something is missing.", members={"not_ready": names})
    return JsonAnswer({"status": "ready"})


@router.get("/metrics", operation_id="read_metrics", summary="Metrics for Prometheus")
async def read_metrics(services: TheServices) -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(generate_latest(services.metrics), media_type=CONTENT_TYPE_LATEST)
