"""POST /process/{id}/rerun: a new process, once, and what is refused."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from saga.messages.json_text import JsonText
from saga.process.events import AttemptCompleted, Compensated, OperatorReran, Paused, TurnedBack
from saga.process.status import Direction
from tests.http_api.acting import WHY, pointers_of, running_process, started

if TYPE_CHECKING:
    import httpx

    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

FROM = {**WHY, "step": "analysis"}


async def _ended(service: Service, **more: Any) -> str:
    process_id = await running_process(service, **more)
    completed = AttemptCompleted(Direction.ACTION, "ingestion", 1, JsonText('{"pages":3}'))
    await service.play(
        process_id, completed, started("analysis"), TurnedBack("cancelled", None, ()), Compensated()
    )
    return process_id


async def _rerun(
    service: Service,
    process_id: str,
    body: dict[str, Any] | None = None,
    *,
    key: str | None = None,
    version: int | None = None,
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    return await service.http.post(f"/process/{process_id}/rerun", json=body or FROM, headers=headers)


async def test_the_answer_is_the_new_process_with_what_it_keeps(service: Service) -> None:
    """It is there at once, pinned to the same definition, and names the old one; the labels go along."""
    process_id = await _ended(service, labels={"team": "a"})
    old = (await service.http.get(f"/process/{process_id}")).json()
    answer = await _rerun(service, process_id)
    assert answer.status_code == 202
    new = (await service.http.get(answer.headers["location"])).json()
    assert answer.json() == {**new, "estimated_completion": answer.json()["estimated_completion"]}
    assert new["forked_from"] == process_id
    assert (new["definition"], new["parameters"], new["labels"]) == (
        old["definition"], old["parameters"], {"team": "a"}
    )  # fmt: skip
    assert [(step["status"], step["output"], step["attempt"]) for step in new["steps"]] == [
        ("completed", {"pages": 3}, 0), ("pending", None, 0), ("pending", None, 0)
    ]  # fmt: skip
    entries = (await service.http.get(f"/process/{new['process_id']}/events")).json()
    assert [entry["type"] for entry in entries] == ["accepted", "step_kept"]
    assert entries[0]["data"]["fork_reason"] == WHY["reason"]


async def test_the_same_request_gives_the_same_process(service: Service) -> None:
    """By its key, or by its words; also when the log of the old one names the new one already."""
    process_id = await _ended(service)
    for key in (None, "once"):
        first = await _rerun(service, process_id, key=key)
        new_id = first.json()["process_id"]
        assert "idempotent-replayed" not in first.headers
        await service.play(process_id, OperatorReran(new_id, "analysis", "why", "ada", f"rerun:{new_id}"))
        again = await _rerun(service, process_id, key=key, version=2)
        assert (again.status_code, again.json()["process_id"]) == (202, new_id)
        assert again.headers["idempotent-replayed"] == "true"
        other = await _rerun(service, process_id, {**FROM, "step": "indexing"})
        assert other.json()["process_id"] != new_id


async def test_a_key_with_other_words_is_refused(service: Service) -> None:
    """The step, the reason and the parameters are the request."""
    process_id = await _ended(service)
    assert (await _rerun(service, process_id, key="k")).status_code == 202
    for change in ({"step": "indexing"}, {"reason": "other"}, {"parameters": {"document_id": "other"}}):
        answer = await _rerun(service, process_id, {**FROM, **change}, key="k")
        assert answer.json()["type"] == "/problems/idempotency-key-reused", change


async def test_parameters_are_changed_and_judged_by_the_schema(service: Service) -> None:
    """What is given takes the place of the old one, what is named is left out; the rest stays."""
    process_id = await _ended(service, parameters={"document_id": "d", "more": 1, "less": 2})
    body = {**FROM, "parameters": {"document_id": "e"}, "without": ["less", "unheard"]}
    answer = await _rerun(service, process_id, body)
    assert answer.json()["parameters"] == {"document_id": "e", "more": 1}
    refused = await _rerun(service, process_id, {**FROM, "parameters": {"document_id": 1}})
    assert (refused.status_code, pointers_of(refused)) == (422, ["/parameters/document_id"])
    refused = await _rerun(service, process_id, {**FROM, "without": ["document_id"]})
    assert (refused.status_code, pointers_of(refused)) == (422, ["/parameters/document_id"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (WHY, "/step"),
        ({"step": "analysis"}, "/reason"),
        ({**WHY, "step": "unheard"}, "/step"),
        ({**WHY, "step": "analysis[0]"}, "/step"),
        ({**FROM, "parameters": 1}, "/parameters"),
        ({**FROM, "without": "a"}, "/without"),
        ({**FROM, "output": 1}, "/output"),
    ],
)
async def test_a_body_that_is_no_request_is_refused(
    service: Service, body: dict[str, Any], pointer: str
) -> None:
    """422 with a pointer, and nothing is begun."""
    process_id = await _ended(service)
    before = await service.processes()
    answer = await _rerun(service, process_id, body)
    assert (answer.status_code, pointers_of(answer)) == (422, [pointer])
    assert await service.processes() == before


async def test_a_process_that_moves_is_refused_and_one_that_stands_still_is_not(service: Service) -> None:
    """Its results may still change; 409 says what may be done."""
    process_id = await running_process(service)
    answer = await _rerun(service, process_id)
    assert (answer.status_code, answer.json()["process_status"]) == (409, "started")
    assert "pause" in answer.json()["allowed_actions"]
    state = await service.play(process_id, Paused("wait"))
    assert (await _rerun(service, process_id, version=1)).status_code == 412
    assert (await _rerun(service, process_id, version=state.version)).status_code == 202


async def test_nothing_is_begun_from_a_process_that_is_not_there(service: Service) -> None:
    """404."""
    for process_id in (str(uuid.uuid4()), "a..b"):
        assert (await _rerun(service, process_id)).status_code == 404
