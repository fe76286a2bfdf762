"""GET /service: the participants, put together from the queues and from what those who call them report."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from api.schemas.service import ServiceDocument
from api.settings import SCOPES, ApiToken
from saga.calling.report import AddressReport, ServiceReport, write_reports
from saga.ports.service_reports import StoredReport
from saga.usecases.services import REPORT_AGE_MAX_MS
from tests.http_api.service import Service, running_service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _address(url: str, state: str = "well", *, calls: int = 10, succeeded: int = 10) -> AddressReport:
    returns_in_s = 4.0 if state == "ejected" else None
    return AddressReport(url, state, returns_in_s, 2, 20, calls, succeeded, 0.1 * calls, 0.5 * calls)


async def _report(service: Service, reporter: str, *reports: ServiceReport, age_ms: int = 0) -> None:
    at = service.store.clock.now() - age_ms
    await service.store.service_reports.save(StoredReport(reporter, at, write_reports(reports)))


async def _services(service: Service) -> dict[str, ServiceDocument]:
    answer = await service.http.get("/service")
    assert answer.status_code == httpx.codes.OK, answer.text
    found = [ServiceDocument.model_validate(one) for one in answer.json()]
    return {one.service: one for one in found}


async def test_a_participant_of_the_broker_is_seen_by_its_queue(service: Service) -> None:
    """Nobody sees its calls: success rate and breaker are null, and it has no addresses."""
    found = await _services(service)

    assert list(found) == ["analysis", "indexing", "ingestion"]
    indexing = found["indexing"]
    assert (indexing.transport, indexing.consumers, indexing.waiting) == ("broker", 0, 0)
    assert (indexing.success_rate, indexing.breaker, indexing.addresses) == (None, None, [])


async def test_what_several_processes_see_is_added_up(service: Service) -> None:
    """Calls are summed, an address shows its worst state, the breaker is closed where anybody gets through."""
    x_out = _address("http://x", "ejected", succeeded=0)
    x_well, y_well = _address("http://x", calls=30, succeeded=30), _address("http://y")
    await _report(service, "a:1", ServiceReport("analysis", "open", 3, (x_out,)))
    await _report(service, "b:2", ServiceReport("analysis", "closed", 0, (x_well, y_well)))
    analysis = (await _services(service))["analysis"]

    assert (analysis.transport, analysis.breaker, analysis.held) == ("http", "closed", 3)
    assert (analysis.outstanding, analysis.success_rate) == (6, 0.8)
    x, y = analysis.addresses
    assert (x.url, x.state, x.outstanding, x.limit) == ("http://x", "ejected", 4, 40)
    assert (x.calls, x.success_rate) == (40, 0.75)
    assert x.latency is not None
    assert (x.latency.median, x.latency.p95) == (3.0, 15.0)
    assert x.returns_at is not None
    assert (y.state, y.returns_at) == ("well", None)
    for reporter in ("a:1", "b:2"):
        await service.store.service_reports.withdraw(reporter)


async def test_a_process_that_is_silent_is_forgotten(service: Service) -> None:
    """What was told too long ago is no news of anybody."""
    reported = ServiceReport("analysis", "closed", 0, (_address("http://x"),))
    await _report(service, "a:1", reported, age_ms=REPORT_AGE_MAX_MS + 1000)

    assert (await _services(service))["analysis"].transport == "broker"
    await service.store.service_reports.withdraw("a:1")


async def test_a_report_of_another_version_hides_nothing_else(service: Service) -> None:
    """While servers are being replaced one of them may say what this one can't read."""
    at = service.store.clock.now()
    await service.store.service_reports.save(StoredReport("a:1", at, '[{"unheard": "of"}]'))
    await _report(service, "b:2", ServiceReport("analysis", "closed", 0, (_address("http://x"),)))

    assert (await _services(service))["analysis"].transport == "http"
    for reporter in ("a:1", "b:2"):
        await service.store.service_reports.withdraw(reporter)


async def test_reading_them_needs_the_scope_read(tmp_path: Path) -> None:
    """Without a token nobody reads addresses."""
    tokens = tuple(
        ApiToken(scope, frozenset({scope}), hashlib.sha256(scope.encode()).digest()) for scope in SCOPES
    )
    statuses = {}
    async with running_service(tmp_path, tokens=tokens) as guarded:
        for scope in (*SCOPES, "stranger"):
            answer = await guarded.http.get("/service", headers={"authorization": f"Bearer {scope}"})
            statuses[scope] = answer.status_code
    assert statuses["read"] == httpx.codes.OK
    assert statuses["operate"] == httpx.codes.FORBIDDEN
    assert statuses["stranger"] == httpx.codes.UNAUTHORIZED


async def test_it_is_described(service: Service) -> None:
    """The description has the operation with its answer."""
    description = (await service.http.get("/openapi.json")).json()
    operation = description["paths"]["/service"]["get"]

    assert operation["operationId"] == "list_services"
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["items"] == {"$ref": "#/components/schemas/ServiceDocument"}
