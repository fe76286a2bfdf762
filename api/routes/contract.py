"""The contract for programs in other languages: the AsyncAPI document, its page, and the messages' schemas."""

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api import problems as kinds
from api.asyncapi_page import page
from api.auth import MayRead
from api.context import TheServices, refusals
from api.problems import Problem
from api.responses import JsonAnswer
from api.services import Services
from api.settings import Settings
from api.version import VERSION
from saga.contract.asyncapi import Server, asyncapi_document
from saga.contract.schemas import PATH, SCHEMAS
from saga.messages.json_text import JsonObject

router = APIRouter(tags=["operations"])

_NO_OTHER_SITE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get("/asyncapi.json", operation_id="read_asyncapi", summary="Describe the messages on the broker")
async def read_asyncapi(_: MayRead, services: TheServices) -> JsonAnswer:
    """Give the AsyncAPI 3 document, for the definitions that are loaded."""
    return JsonAnswer(_document(services))


@router.get(
    "/asyncapi",
    operation_id="read_asyncapi_page",
    summary="Show the messages on the broker",
    response_class=HTMLResponse,
)
async def read_asyncapi_page(_: MayRead, services: TheServices) -> HTMLResponse:
    """Show the AsyncAPI document to people; nothing is loaded from elsewhere."""
    return HTMLResponse(page(_document(services)), headers=_NO_OTHER_SITE)


@router.get(
    PATH + "/{name}.json",
    operation_id="read_schema",
    summary="Read the JSON Schema of a message",
    responses=refusals(kinds.NOT_FOUND),
)
async def read_schema(name: str, _: MayRead) -> JsonAnswer:
    """Give one schema (draft 2020-12) by the name that it has in the AsyncAPI document."""
    schema = SCHEMAS.get(name)
    if schema is None:
        raise Problem(kinds.NOT_FOUND, "There is no such schema.", members={"known": list(SCHEMAS)})
    return JsonAnswer(schema)


def _document(services: Services) -> JsonObject:
    catalog = services.catalog
    known = [found for name in catalog.types() if (found := catalog.current(name)) is not None]
    return asyncapi_document(
        [each.definition for each in known],
        prefix=services.settings.amqp_prefix,
        version=VERSION,
        server=_server(services.settings),
    )


def _server(settings: Settings) -> Server | None:
    """Name the broker of the settings: its address alone, nothing of who connects."""
    if settings.amqp_url is None:
        return None
    address = urlsplit(settings.amqp_url.get_secret_value())
    return Server(address.netloc.rpartition("@")[2] or "localhost", address.scheme)
