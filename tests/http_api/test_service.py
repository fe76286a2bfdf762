"""The service itself: health, readiness, problems, the API description, tokens, and a store that is away."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest

from api.admission import Admission
from api.problems import REGISTRY, Problem
from api.settings import ApiToken
from tests.http_api.service import BODY, running_service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _token(name: str, *scopes: str) -> ApiToken:
    return ApiToken(name, frozenset(scopes), hashlib.sha256(f"token-of-{name}".encode()).digest())


def _bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer token-of-{name}"}


async def test_a_server_that_is_not_ready_says_what_is_missing(service: Service) -> None:
    """/readyz is 503 with the names while something is missing; /healthz answers all the time."""
    assert (await service.http.get("/readyz")).status_code == 200
    service.not_ready = ("a coordinator that consumes",)
    answer = await service.http.get("/readyz")
    service.not_ready = ()
    assert answer.status_code == 503
    assert answer.json()["not_ready"] == ["a coordinator that consumes"]
    assert answer.headers["retry-after"] == "1"
    assert (await service.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("slug", sorted(REGISTRY))
async def test_every_kind_of_problem_has_its_page(service: Service, slug: str) -> None:
    """The type of a problem document leads to a page of this service that loads nothing from elsewhere."""
    answer = await service.http.get(f"/problems/{slug}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "http://" not in answer.text
    assert "https://" not in answer.text


async def test_the_api_is_described(service: Service) -> None:
    """Every operation has an id of its own, and no stock 422 of the framework is promised."""
    description = (await service.http.get("/openapi.json")).json()
    operations = [
        operation
        for path in description["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) >= 12
    assert {"start_process", "read_process", "list_processes", "read_events", "follow_events"} <= set(ids)
    assert "HTTPValidationError" not in str(description)
    start = description["paths"]["/process"]["post"]
    assert {"200", "202", "400", "413", "415", "422", "503"} <= set(start["responses"])
    assert "StartedProcess" in str(start["responses"]["202"])


async def test_no_page_loads_anything_from_another_site(service: Service) -> None:
    """The framework's own pages, which do, are not served."""
    for path in ("/docs", "/redoc"):
        assert (await service.http.get(path)).status_code == 404


async def test_the_index_and_the_version_are_served(service: Service) -> None:
    """The root names where to begin."""
    assert (await service.http.get("/")).json()["name"] == "batuta"
    assert (await service.http.get("/version")).json()["version"]
    assert (await service.http.get("/metrics")).status_code == 200


async def test_tokens_and_their_scopes_decide(tmp_path: Path) -> None:
    """Without a token 401, without the scope 403; health, readiness and metrics need none."""
    tokens = (_token("reader", "read"), _token("starter", "operate", "read"))
    async with running_service(tmp_path, tokens=tokens) as own:
        for headers in ({}, _bearer("nobody"), {"authorization": "Basic cmVhZGVyOng="}):
            answer = await own.http.post("/process", json=BODY, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.json()["type"] == "/problems/unauthenticated"
            assert (await own.http.get("/process", headers=headers)).status_code == 401
        assert (await own.http.get("/process", headers=_bearer("reader"))).status_code == 200
        forbidden = await own.http.post("/process", json=BODY, headers=_bearer("reader"))
        assert (forbidden.status_code, forbidden.json()["type"]) == (403, "/problems/forbidden")
        assert await own.processes() == 0
        assert (await own.http.post("/process", json=BODY, headers=_bearer("starter"))).status_code == 202
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await own.http.get(path)).status_code == 200


async def test_two_principals_have_keys_of_their_own(tmp_path: Path) -> None:
    """The same key of two tokens is two processes, and the log names who started each."""
    tokens = (_token("one", "operate", "read"), _token("two", "operate"))
    async with running_service(tmp_path, tokens=tokens) as own:
        first = await own.start(headers={**_bearer("one"), "idempotency-key": "k"})
        second = await own.start(headers={**_bearer("two"), "idempotency-key": "k"})
        assert first != second
        events = (await own.http.get(f"/process/{second}/events", headers=_bearer("one"))).json()
        assert events[0]["actor"] == "two"


async def test_a_store_that_is_away_is_a_503_within_two_seconds(tmp_path: Path) -> None:
    """Reading and starting say that the store is away and when to try again; nothing internal is named."""
    async with running_service(tmp_path) as own:
        process_id = await own.start()
        await own.store.close()
        began = time.monotonic()
        for answer in (
            await own.http.get(f"/process/{process_id}"),
            await own.http.get("/process"),
            await own.http.post("/process", json=BODY),
        ):
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"] in {"/problems/store-unavailable", "/problems/outcome-unknown"}
            assert answer.headers["retry-after"] == "1"
            assert "sqlite" not in answer.text.lower()
        assert time.monotonic() - began < 6


async def test_too_many_starts_at_once_are_told_to_come_again() -> None:
    """Beyond the limit a start is refused with Retry-After, and there is room again when one is done."""
    admission = Admission(most=1)
    with admission.one():
        with pytest.raises(Problem) as refused, admission.one():
            pass
        assert (refused.value.kind.status, refused.value.headers["retry-after"]) == (429, "1")
    with admission.one():
        pass
