"""POST /process: what it answers, and what makes repeating it safe."""

from __future__ import annotations

import asyncio
import re
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from saga.messages.json_text import JsonText
from saga.process.events import AttemptCompleted, AttemptStarted, Completed, Started
from saga.process.status import Direction
from tests.http_api.service import BODY, initial

if TYPE_CHECKING:
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_answer_has_exactly_the_four_keys_of_the_contract(service: Service) -> None:
    """202 with the Location, the id, the status, the estimate and the pending steps in order."""
    answer = await service.http.post("/process", json=BODY)
    assert answer.status_code == 202
    document = answer.json()
    assert list(document) == ["process_id", "status", "estimated_completion", "steps"]
    assert answer.headers["location"] == f"/process/{document['process_id']}"
    assert document["status"] == "started"
    assert document["steps"] == [
        {"service": "ingestion", "status": "pending"},
        {"service": "analysis", "status": "pending"},
        {"service": "indexing", "status": "pending"},
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["estimated_completion"])


async def test_the_estimate_is_the_longest_path_of_what_is_expected(service: Service) -> None:
    """Declared 2 s and 5 s, then the time-out of 10 s where nothing is declared."""
    process_id = await service.start()
    document = (await service.http.get(f"/process/{process_id}")).json()
    started = datetime.fromisoformat(document["started_at"])
    estimated = datetime.fromisoformat(document["estimated_completion"])
    assert 17 <= (estimated - started).total_seconds() < 18


async def test_a_process_is_readable_as_soon_as_it_is_accepted(service: Service) -> None:
    """The Location never answers 404 after a 202, and reads as started with all steps pending."""
    process_id = await service.start()
    answer = await service.http.get(f"/process/{process_id}")
    assert answer.status_code == 200
    document = answer.json()
    assert document["status"] == "started"
    assert {step["status"] for step in document["steps"]} == {"pending"}
    assert [wait["kind"] for wait in document["waiting_for"]] == ["timer"]


async def test_a_process_that_is_only_in_the_log_is_read_from_there(service: Service) -> None:
    """A lost projection hides nothing: the log is the truth."""
    state = initial("p-only-in-the-log", service.catalog)
    await service.store.log.append(state)
    document = (await service.http.get("/process/p-only-in-the-log")).json()
    assert (document["version"], document["status"]) == (1, "started")


async def test_a_repeated_key_gives_the_first_answer(service: Service) -> None:
    """The same key and body: the same process, the same document, and a header that says so."""
    headers = {"idempotency-key": "order-1"}
    first = await service.http.post("/process", json=BODY, headers=headers)
    assert "idempotent-replayed" not in first.headers
    await service.play(first.json()["process_id"], Started(), *_work())
    again = await service.http.post("/process", json=BODY, headers=headers)
    assert again.status_code == 202
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


async def test_a_key_reused_with_another_body_is_refused(service: Service) -> None:
    """Neither a key nor a process id names two different requests."""
    other = {"process_type": "document_analysis", "parameters": {"document_id": "other"}}
    for chosen, headers in (({}, {"idempotency-key": "order-2"}), ({"process_id": str(uuid.uuid4())}, {})):
        assert (
            await service.http.post("/process", json={**BODY, **chosen}, headers=headers)
        ).status_code == 202
        answer = await service.http.post("/process", json={**other, **chosen}, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/idempotency-key-reused"


async def test_the_same_key_at_once_is_one_process(service: Service) -> None:
    """Twenty at the same time: one process, and every answer names it."""
    before = await service.processes()
    headers = {"idempotency-key": "order-3"}
    answers = await asyncio.gather(
        *(service.http.post("/process", json=BODY, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["process_id"] for answer in answers if answer.status_code == 202}) == 1
    assert await service.processes() == before + 1


async def test_a_process_id_of_the_caller_is_kept(service: Service) -> None:
    """A UUID chosen by the caller is the id, in lower case."""
    chosen = str(uuid.uuid4())
    assert await service.start({**BODY, "process_id": chosen.upper()}) == chosen


async def test_a_process_id_beside_a_key_is_refused(service: Service) -> None:
    """Both say the same in two ways, and could contradict each other."""
    body = {**BODY, "process_id": str(uuid.uuid4())}
    answer = await service.http.post("/process", json=body, headers={"idempotency-key": "order-4"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/process_id"


async def test_a_wait_ends_with_the_process(service: Service) -> None:
    """`Prefer: wait` answers 200 as soon as the process ended, and says that it was heeded."""
    body = {**BODY, "process_id": str(uuid.uuid4())}
    await service.start(body)
    waiting = asyncio.create_task(
        service.http.post("/process", json=body, headers={"prefer": "respond-async, wait=20"})
    )
    state = await service.play(str(body["process_id"]), Started(), *_work(), Completed())
    answer = await waiting
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    document = answer.json()
    assert document["status"] == "completed"
    assert {step["status"] for step in document["steps"]} == {"completed"}
    ended_at = datetime.fromisoformat(document["estimated_completion"])
    assert round(ended_at.timestamp() * 1000) == state.ended_at


async def test_a_wait_that_is_too_short_answers_that_it_is_accepted(service: Service) -> None:
    """The process did not end within the wait: 202 without Preference-Applied."""
    answer = await service.http.post("/process", json=BODY, headers={"prefer": "wait=0"})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_labels_are_kept_and_bounded(service: Service) -> None:
    """Labels come back; too many and those with a colon in the key are refused."""
    process_id = await service.start({**BODY, "labels": {"team": "blue", "region": "eu:west"}})
    document = (await service.http.get(f"/process/{process_id}")).json()
    assert document["labels"] == {"team": "blue", "region": "eu:west"}
    for labels in ({f"k{n}": "" for n in range(33)}, {"a:b": "c"}, {"": "x"}, {"a": "x" * 257}, {"a": "\n"}):
        answer = await service.http.post("/process", json={**BODY, "labels": labels})
        assert answer.status_code == 422, labels


def _work() -> list[AttemptStarted | AttemptCompleted]:
    return [
        event
        for name in ("ingestion", "analysis", "indexing")
        for event in (
            AttemptStarted(Direction.ACTION, name, 1, 2**40),
            AttemptCompleted(Direction.ACTION, name, 1, JsonText("{}")),
        )
    ]
