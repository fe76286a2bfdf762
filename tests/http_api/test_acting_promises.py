"""What acting over HTTP promises beyond the answer: repeating is safe, and what is taken will be read."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from adapters.system.ids import SystemIds
from saga.coordinator.coordinator import Coordinator
from saga.messages.json_text import JsonText
from saga.messages.strict_json import DEFAULT_LIMITS
from saga.ports.bus import PublishResult
from saga.process.events import (
    AttemptCompleted,
    AttemptStarted,
    AttemptTimedOut,
    CompensationPlanned,
    Suspended,
    TurnedBack,
)
from saga.process.status import Direction, EffortStatus
from tests.http_api.acting import FAR, WHY, pointers_of, running_process, started
from tests.http_api.service import BODY, SilentObserver, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.ports.bus import OutgoingMessage
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _unknown(service: Service) -> str:
    """Bring a process to where nobody knows what became of two of its steps."""
    process_id = await running_process(service)
    lost = [
        AttemptTimedOut(Direction.ACTION, step, 1, EffortStatus.UNKNOWN) for step in ("ingestion", "analysis")
    ]
    await service.play(
        process_id, started("analysis"), *lost, TurnedBack("step_unknown", "ingestion", ()),
        CompensationPlanned(("ingestion", "analysis")),
    )  # fmt: skip
    return process_id


@asynccontextmanager
async def _coordinated(service: Service) -> AsyncIterator[None]:
    """Let a real coordinator take what is asked for, as long as the block lasts."""
    store = service.store
    coordinator = Coordinator(
        log=store.log, projections=store.projections, catalog=service.catalog, locks=store.locks,
        bus=store.bus, clock=store.clock, ids=SystemIds(), observer=SilentObserver(), name="c0",
        prefetch=10, with_step_events=False,
    )  # fmt: skip
    stopping = asyncio.Event()
    running = asyncio.create_task(coordinator.run(stopping, grace_s=2))
    try:
        yield
    finally:
        stopping.set()
        await running


async def _logs(service: Service, process_id: str, kind: str) -> list[dict[str, Any]]:
    """Wait until the log has an entry of a kind, and give all of them."""

    async def look() -> list[dict[str, Any]]:
        entries = (await service.http.get(f"/process/{process_id}/events")).json()
        return [entry for entry in entries if entry["type"] == kind]

    return await eventually(look, what=f"{kind} in the log of {process_id}")


async def test_a_repeated_key_is_one_request_and_its_first_body_counts(tmp_path: Path) -> None:
    """202 again although the process moved on, also with an old If-Match; another body is refused."""
    async with running_service(tmp_path) as own, _coordinated(own):
        process_id = await own.start()
        await _logs(own, process_id, "step_started")
        path, headers = f"/process/{process_id}/pause", {"Idempotency-Key": "k", "If-Match": '"3"'}
        assert (await own.http.post(path, json=WHY, headers=headers)).status_code == 202
        await _logs(own, process_id, "paused")
        assert (await own.http.post(path, json=WHY)).status_code == 409
        assert (await own.http.post(path, json=WHY, headers=headers)).status_code == 202
        other = await own.http.post(path, json={"reason": "another"}, headers=headers)
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
        assert len(await _logs(own, process_id, "operator_pause")) == 1


async def test_a_key_whose_request_was_rejected_is_answered_again_too(tmp_path: Path) -> None:
    """It was taken, and judged when it arrived: asking again is the same request, which stays rejected."""
    async with running_service(tmp_path) as own, _coordinated(own):
        process_id = await own.start({**BODY, "labels": {"lot": "a"}})
        await _logs(own, process_id, "step_started")
        key = {"Idempotency-Key": "k"}
        body = {**WHY, "action": "resume", "filter": {"label": {"lot": "a"}}}
        answer = await own.http.post("/process/bulk", json=body, headers=key)
        assert answer.json() == {"matching": 1, "requested": 1}
        (entry,) = await _logs(own, process_id, "operator_rejected")
        assert entry["data"]["reason"] == WHY["reason"]
        assert (await own.http.post(f"/process/{process_id}/resume", json=WHY)).status_code == 409
        again = await own.http.post(f"/process/{process_id}/resume", json=WHY, headers=key)
        assert again.status_code == 202
        assert len(await _logs(own, process_id, "operator_rejected")) == 1


async def test_the_same_request_twice_at_once_is_obeyed_once_also_without_a_key(tmp_path: Path) -> None:
    """Somebody who heard nothing asks again; both are about the same version of the process."""
    async with running_service(tmp_path) as own:
        process_id = await running_process(own)
        path = f"/process/{process_id}/pause"
        for _ in range(2):
            assert (await own.http.post(path, json=WHY)).status_code == 202
        async with _coordinated(own):
            await _logs(own, process_id, "operator_pause")
            assert (await own.http.post(f"/process/{process_id}/cancel", json=WHY)).status_code == 202
            entries = await _logs(own, process_id, "operator_cancel")
            assert len(entries) == 1
            names = [one["type"] for one in (await own.http.get(f"/process/{process_id}/events")).json()]
            assert names.count("operator_pause") == 1
            assert "operator_rejected" not in names


async def test_the_reason_for_pausing_a_type_stands_in_each_log(tmp_path: Path) -> None:
    """Who reads one process learns why, and who said so."""
    async with running_service(tmp_path) as own, _coordinated(own):
        process_id = await own.start()
        await _logs(own, process_id, "step_started")
        answer = await own.http.post("/process-type/document_analysis/pause", json={"reason": "maintenance"})
        assert answer.json() == {"matching": 1, "requested": 1}
        (entry,) = await _logs(own, process_id, "operator_pause")
        assert entry["data"]["reason"] == "process type is paused: maintenance"
        assert entry["actor"] == "anybody"


@pytest.mark.parametrize("tag", ['"1"', 'W/"3"', "3", '"4"', ""])
async def test_only_the_current_version_is_matched(service: Service, tag: str) -> None:
    """A weak tag, one without quotes and one of another version are 412, and say what to do."""
    process_id = await running_process(service)
    answer = await service.http.post(f"/process/{process_id}/cancel", json=WHY, headers={"If-Match": tag})
    assert answer.status_code == 412
    assert answer.json()["type"] == "/problems/precondition-failed"


async def test_the_version_is_that_of_the_log(service: Service) -> None:
    """The projection is a moment late: what was decided on it is refused, and what it hides is allowed."""
    process_id = await running_process(service)
    await service.play(
        process_id, AttemptCompleted(Direction.ACTION, "ingestion", 1, JsonText("1")), is_projected=False
    )
    path = f"/process/{process_id}/cancel"
    assert (await service.http.post(path, json=WHY, headers={"If-Match": '"3"'})).status_code == 412
    answer = await service.http.post(path, json=WHY, headers={"If-Match": '"4", "9"'})
    assert (answer.status_code, answer.headers["etag"]) == (202, '"4"')


@pytest.mark.parametrize("step", ["shipping", "ingestion[0]", "ingestion[7]"])
@pytest.mark.parametrize("action", ["retry", "skip", "resolve"])
async def test_a_step_that_is_none_of_the_process_is_refused(
    service: Service, action: str, step: str
) -> None:
    """422 with a pointer to it, wherever the process stands; the name is not repeated."""
    process_id = await running_process(service)
    body = {**WHY, "step": step, **({"outcome": "failed"} if action == "resolve" else {})}
    answer = await service.http.post(f"/process/{process_id}/{action}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-body")
    assert pointers_of(answer) == ["/step"]
    assert step not in answer.text


async def test_the_step_must_be_one_that_can_be_meant(service: Service) -> None:
    """Of two that are unknown one must be named; one whose outcome is known is a 409 that points to it."""
    process_id = await _unknown(service)
    path = f"/process/{process_id}/resolve"
    unnamed = await service.http.post(path, json={**WHY, "outcome": "failed"})
    assert (unnamed.status_code, pointers_of(unnamed)) == (422, ["/step"])
    known = await service.http.post(path, json={**WHY, "outcome": "failed", "step": "indexing"})
    assert (known.status_code, pointers_of(known)) == (409, ["/step"])
    assert known.json()["process_status"] == "compensating"
    assert "resolve" in known.json()["allowed_actions"]
    named = await service.http.post(path, json={**WHY, "outcome": "failed", "step": "analysis"})
    assert named.status_code == 202


async def test_what_is_stuck_may_be_left_unnamed(service: Service) -> None:
    """One undo spent its attempts: retry and skip mean it, and no other step."""
    process_id = await _unknown(service)
    undo = AttemptStarted(Direction.COMPENSATION, "analysis", 1, FAR)
    lost = AttemptTimedOut(Direction.COMPENSATION, "analysis", 1, EffortStatus.FAILED)
    await service.play(process_id, undo, lost, Suspended("undo_failed", "analysis", "it is stuck"))
    for action in ("retry", "skip"):
        path = f"/process/{process_id}/{action}"
        assert (await service.http.post(path, json={**WHY, "step": "ingestion"})).status_code == 409
        assert (await service.http.post(path, json={**WHY, "step": "analysis"})).status_code == 202
        assert (await service.http.post(path, json=WHY)).status_code == 202


async def test_a_bulk_reaches_more_than_a_page(service: Service) -> None:
    """All that match are asked, and each of them once."""
    lot = uuid.uuid4().hex
    await asyncio.gather(*(service.start({**BODY, "labels": {"lot": lot}}) for _ in range(205)))
    body = {**WHY, "action": "cancel", "filter": {"label": {"lot": lot}, "status": ["started"]}}
    answer = await service.http.post("/process/bulk", json=body)
    assert (answer.status_code, answer.json()) == (202, {"matching": 205, "requested": 205})


async def test_a_broker_that_is_away_is_a_503_that_says_that_repeating_is_safe(tmp_path: Path) -> None:
    """Every way to act says so within two seconds, with Retry-After, and does not speak of the store."""
    async with running_service(tmp_path) as own:
        process_id = await running_process(own)
        await own.store.bus.close()
        bulk = {**WHY, "action": "cancel", "filter": {"process_type": "document_analysis"}}
        for path, body in (
            (f"/process/{process_id}/cancel", WHY),
            ("/process-type/document_analysis/pause", WHY),
            ("/process/bulk", bulk),
            (f"/step/{process_id}.ingestion.a1/completed", {"output": 1}),
        ):
            began = time.monotonic()
            answer = await own.http.post(path, json=body)
            assert time.monotonic() - began < 2, path
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
            assert answer.json()["type"] == "/problems/not-ready"
            assert answer.json()["not_ready"] == ["the broker"]
            assert "repeating it is safe" in answer.json()["detail"]
            assert "store" not in answer.text


async def test_a_request_that_no_queue_takes_is_not_said_to_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinators' queue was deleted: the broker gives the message back, and 202 would be a lie."""

    async def give_back(message: OutgoingMessage) -> PublishResult:
        return PublishResult.RETURNED if message.mandatory else PublishResult.CONFIRMED

    async with running_service(tmp_path) as own:
        process_id = await running_process(own)
        monkeypatch.setattr(own.store.bus, "publish", give_back)
        for path, body in (
            (f"/process/{process_id}/cancel", WHY),
            (f"/step/{process_id}.ingestion.a1/completed", {"output": 1}),
        ):
            answer = await own.http.post(path, json=body)
            assert (answer.status_code, answer.json()["not_ready"]) == (503, ["the broker"])


async def test_a_store_that_is_away_is_a_503_before_anything_is_asked(tmp_path: Path) -> None:
    """Nothing is asked of whom nobody can look at."""
    async with running_service(tmp_path) as own:
        process_id = await running_process(own)
        await own.store.close()
        bulk = {**WHY, "action": "cancel", "filter": {"process_type": "document_analysis"}}
        for path, body in (
            (f"/process/{process_id}/cancel", WHY),
            ("/process/bulk", bulk),
            (f"/step/{process_id}.ingestion.a1/completed", {"output": 1}),
        ):
            answer = await own.http.post(path, json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
            assert answer.json()["type"] == "/problems/store-unavailable"


@pytest.mark.parametrize("room", [0, 40, 100])
async def test_what_a_coordinator_would_not_read_is_not_taken(service: Service, room: int) -> None:
    """A body that fits, and whose message does not, is refused; 202 would be a promise that nobody keeps."""
    process_id = await running_process(service)
    path = f"/step/{process_id}.ingestion.a1/completed"
    body = b'{"output":"' + b"x" * (DEFAULT_LIMITS.bytes_max - 13 - room) + b'"}'
    answer = await service.http.post(path, content=body, headers={"content-type": "application/json"})
    fits = len(body) + len(f',"command_id":"{process_id}.ingestion.a1"') <= DEFAULT_LIMITS.bytes_max
    assert answer.status_code == (202 if fits else 422), answer.text
    assert fits or answer.json()["type"] == "/problems/unstorable-value"
