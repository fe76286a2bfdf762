"""What the service publishes for programs of other languages: AsyncAPI, its page, and the schemas."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from api.settings import ApiToken, Settings
from saga.contract.schemas import SCHEMAS
from tests.http_api.service import running_service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_document_is_of_the_loaded_definitions(service: Service) -> None:
    """Each service of them has its channel."""
    answer = await service.http.get("/asyncapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["asyncapi"].startswith("3.")
    assert {"saga.step.ingestion", "saga.step.analysis", "saga.step.indexing"} <= set(document["channels"])


async def test_the_broker_is_named_without_who_connects(tmp_path: Path) -> None:
    """The address stands there; user and password nowhere."""
    settings = Settings(
        amqp_url=SecretStr("amqps://batuta:s3cret@mq.example:5671/prod"),
        mongodb_url=SecretStr("mongodb://127.0.0.1"),
        amqp_prefix="shop",
        http_port=0,
    )
    async with running_service(tmp_path, settings=settings) as service:
        text = (await service.http.get("/asyncapi.json")).text
        page = (await service.http.get("/asyncapi")).text
    assert json.loads(text)["servers"]["broker"] == {"host": "mq.example:5671", "protocol": "amqps"}
    assert "shop.step.ingestion" in page
    assert "s3cret" not in text + page


async def test_the_page_loads_nothing_from_elsewhere(service: Service) -> None:
    """No script, and no address of another site; each channel is there with its messages."""

    class Found(HTMLParser):
        tags: list[tuple[str, dict[str, str | None]]]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append((tag, dict(attrs)))

    answer = await service.http.get("/asyncapi")
    parser = Found()
    parser.tags = []
    parser.feed(answer.text)
    loading = {"script", "link", "img", "iframe", "object", "embed"}
    assert not [tag for tag, _ in parser.tags if tag in loading]
    assert [attrs["href"] for tag, attrs in parser.tags if tag == "a"] == ["asyncapi.json"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "document_analysis.analysis.compensation" in answer.text
    assert "saga.dead-letter" in answer.text


@pytest.mark.parametrize("name", SCHEMAS)
async def test_each_schema_is_served_where_it_says(service: Service, name: str) -> None:
    """Its `$id` is its address."""
    schema: Any = SCHEMAS[name]
    answer = await service.http.get(schema["$id"])
    assert answer.json() == schema


async def test_an_unknown_schema_is_not_found(service: Service) -> None:
    """The problem lists those that there are."""
    answer = await service.http.get("/schemas/nothing.json")
    assert answer.status_code == 404
    assert set(answer.json()["known"]) == set(SCHEMAS)


async def test_reading_needs_a_token_where_there_are_any(tmp_path: Path) -> None:
    """The definitions of a company are nobody else's business."""
    async with running_service(
        tmp_path, tokens=(ApiToken("reader", frozenset({"read"}), bytes(32)),)
    ) as closed:
        for path in ("/asyncapi.json", "/asyncapi", "/schemas/completed_reply.json"):
            assert (await closed.http.get(path)).status_code == 401
