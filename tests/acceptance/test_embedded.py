"""The embedded default, end to end: `saga demo` is killed in the middle of its work and goes on."""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.deployment import SagaServer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

_CASES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("document_analysis", {"document_id": "doc123", "analysis_level": "full"}, "completed"),
    ("document_analysis", {"document_id": "doc123", "fail_at": "indexing"}, "compensated"),
    ("trip_booking", {"trip_id": "t1"}, "completed"),
    ("trip_booking", {"trip_id": "t1", "fail_at": "payment"}, "compensated"),
)
# The steps whose undo must be acknowledged in the cases that turn back.
_UNDONE = {"document_analysis": {"ingestion", "analysis"}, "trip_booking": {"hotel", "car", "flight"}}


@pytest.fixture
def demo() -> Iterator[SagaServer]:
    """Give `saga demo` on a folder of its own, not launched yet."""
    with tempfile.TemporaryDirectory(prefix="batuta-demo-") as data:
        server = SagaServer(["demo"], {"SAGA_DATA": data, "SAGA_LOG_FORMAT": "json"})
        yield server
        server.close()


async def test_the_demo_survives_kill_9_in_the_middle_of_its_processes(demo: SagaServer) -> None:
    """Forty processes, two kills: every one that was accepted ends as it must, judged over HTTP alone."""
    demo.begin()
    await demo.ready()
    expected: dict[str, str] = {}
    for _ in range(2):
        expected |= await _start_twenty(demo)
        await _work_begins_to_end(demo, len(expected) - 20)
        demo.kill()
        demo.begin()
        await demo.ready()
    await eventually(lambda: _all_ended(demo, expected), within_s=90, what="all processes end")
    async with _client(demo) as client:
        counts = (await client.get("/process/counts")).raise_for_status().json()
        assert counts["total"] == len(expected)
        for process_id, status in expected.items():
            await _judge(client, process_id, status)


async def _start_twenty(demo: SagaServer) -> dict[str, str]:
    async with _client(demo) as client:
        cases = [_CASES[number % len(_CASES)] for number in range(20)]
        answers = await asyncio.gather(
            *(
                client.post("/process", json={"process_type": process_type, "parameters": parameters})
                for process_type, parameters, _ in cases
            )
        )
    assert {answer.status_code for answer in answers} == {httpx.codes.ACCEPTED}
    return {answer.json()["process_id"]: end for answer, (_, _, end) in zip(answers, cases, strict=True)}


async def _ended(demo: SagaServer) -> int:
    async with _client(demo) as client:
        counts = (await client.get("/process/counts")).raise_for_status().json()
    return sum(counts["by_status"].get(status, 0) for status in ("completed", "compensated"))


async def _work_begins_to_end(demo: SagaServer, before: int) -> None:
    async def more_have_ended() -> bool:
        return await _ended(demo) > before

    await eventually(more_have_ended, within_s=60)


async def _all_ended(demo: SagaServer, expected: dict[str, str]) -> bool:
    return await _ended(demo) == len(expected)


async def _judge(client: httpx.AsyncClient, process_id: str, status: str) -> None:
    document = (await client.get(f"/process/{process_id}")).raise_for_status().json()
    events = (await client.get(f"/process/{process_id}/events")).raise_for_status().json()
    assert document["status"] == status, document
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "accepted"
    assert events[-1]["type"] == status
    undone = {event["step"] for event in events if event["type"] == "compensation_completed"}
    if status == "compensated":
        assert undone == _UNDONE[document["process_type"]]
    else:
        assert not undone
        assert {step["status"] for step in document["steps"]} == {"completed"}


def _client(demo: SagaServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=demo.url, timeout=30, trust_env=False)
