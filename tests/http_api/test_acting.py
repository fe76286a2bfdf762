"""Acting over HTTP: what is asked for, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.settings import ApiToken
from saga.definition.sources import parse_definition
from saga.messages.json_text import JsonText
from saga.process.events import AttemptCompleted, AttemptStarted, Compensated, Started, TurnedBack
from saga.process.status import Direction
from tests.http_api.service import BODY, DEFINITION, running_service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = {"reason": "a person said so"}
ACTIONS = ("cancel", "pause", "resume", "retry", "skip", "resolve", "compensate", "fail")


async def _running(service: Service) -> str:
    process_id = await service.start()
    await service.play(
        process_id, Started(), AttemptStarted(Direction.ACTION, "ingestion", 1, 2_000_000_000_000)
    )
    return process_id


async def test_an_action_that_applies_is_answered_with_the_process(service: Service) -> None:
    """202 with the whole document, its Location and its version; the log grows only when somebody takes it."""
    process_id = await _running(service)
    answer = await service.http.post(f"/process/{process_id}/cancel", json=WHY)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/process/{process_id}"
    document = answer.json()
    assert document["process_id"] == process_id
    assert document["allowed_actions"] == ["cancel", "pause", "compensate"]
    assert answer.headers["etag"] == f'"{document["version"]}"'


async def test_an_action_that_does_not_apply_names_what_does(service: Service) -> None:
    """409 with the status of the process and its allowed actions."""
    process_id = await _running(service)
    await service.play(process_id, TurnedBack("cancelled", None, ()), Compensated())
    for action in ("cancel", "pause", "resume", "retry", "skip", "compensate", "fail"):
        answer = await service.http.post(f"/process/{process_id}/{action}", json=WHY)
        assert answer.status_code == 409, action
        assert answer.json()["type"] == "/problems/not-allowed-now"
        assert answer.json()["process_status"] == "compensated"
        assert answer.json()["allowed_actions"] == []


async def test_a_version_that_is_not_the_current_one_is_refused(service: Service) -> None:
    """If-Match says on what somebody decided; the process has moved on since."""
    process_id = await _running(service)
    path = f"/process/{process_id}/pause"
    assert (await service.http.post(path, json=WHY, headers={"If-Match": '"1"'})).status_code == 412
    assert (await service.http.post(path, json=WHY, headers={"If-Match": '"3"'})).status_code == 202


@pytest.mark.parametrize("action", ACTIONS)
async def test_no_action_on_a_process_that_is_not_there(service: Service, action: str) -> None:
    """404, for an id of the right form and for one that can't be."""
    body: dict[str, Any] = {**WHY, "outcome": "failed"} if action == "resolve" else WHY
    for process_id in (str(uuid.uuid4()), "a..b", "x" * 300):
        assert (await service.http.post(f"/process/{process_id}/{action}", json=body)).status_code == 404


@pytest.mark.parametrize(
    ("action", "body", "pointer"),
    [
        ("cancel", {}, "/reason"),
        ("cancel", {"reason": ""}, "/reason"),
        ("cancel", {"reason": "x" * 1_001}, "/reason"),
        ("cancel", {"reason": 5}, "/reason"),
        ("cancel", {**WHY, "step": "hotel"}, "/step"),
        ("retry", {**WHY, "output": 1}, "/output"),
        ("retry", {**WHY, "step": "No Step"}, "/step"),
        ("skip", {**WHY, "outcome": "completed"}, "/outcome"),
        ("resolve", WHY, "/outcome"),
        ("resolve", {**WHY, "outcome": "maybe"}, "/outcome"),
    ],
)
async def test_a_body_that_does_not_suit_the_action_is_refused(
    service: Service, action: str, body: dict[str, Any], pointer: str
) -> None:
    """422 with a pointer to the member, and nothing of what was sent."""
    process_id = await _running(service)
    answer = await service.http.post(f"/process/{process_id}/{action}", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_an_action_on_all_needs_a_filter_and_counts_first(service: Service) -> None:
    """An empty filter is refused; a dry run only counts; a status that is no word is refused."""
    label = {"lot": uuid.uuid4().hex}
    for _ in range(3):
        await service.start({**BODY, "labels": dict(label)})
    body: dict[str, Any] = {"action": "cancel", **WHY, "filter": {"label": label}, "dry_run": True}
    assert (await service.http.post("/process/bulk", json=body)).json() == {"matching": 3, "requested": 0}
    body["dry_run"] = False
    assert (await service.http.post("/process/bulk", json=body)).json() == {"matching": 3, "requested": 3}
    nothing: list[dict[str, Any]] = [{}, {"label": {}}, {"status": []}]
    for chosen in nothing:
        answer = await service.http.post("/process/bulk", json={**body, "filter": chosen})
        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/empty-filter"
    answer = await service.http.post("/process/bulk", json={**body, "filter": {"status": ["lost"]}})
    assert answer.status_code == 422


async def test_a_type_that_nobody_defined_is_not_paused(service: Service) -> None:
    """404; a known one is 202, and shows that it is paused."""
    assert (await service.http.post("/process-type/nobody/pause", json=WHY)).status_code == 404
    assert (await service.http.post("/process-type/document_analysis/pause", json=WHY)).status_code == 202
    assert (await service.http.get("/process-type/document_analysis")).json()["is_paused"]
    assert (await service.http.post("/process-type/document_analysis/resume", json=WHY)).status_code == 202
    assert not (await service.http.get("/process-type/document_analysis")).json()["is_paused"]


async def test_a_reply_over_http_needs_a_command_that_was_sent(service: Service) -> None:
    """202 for the command that is out, 404 for any other; the body is judged."""
    process_id = await _running(service)
    command = f"{process_id}.ingestion.a1"
    good = {"completed": {"output": 1}, "failed": {"error": {"code": "x"}}, "progress": {"percent": 5}}
    for word, body in good.items():
        answer = await service.http.post(f"/step/{command}/{word}", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json() == {"command_id": command, "status": "taken"}
        for other in (f"{process_id}.analysis.a1", f"{uuid.uuid4()}.ingestion.a1", "nonsense"):
            assert (await service.http.post(f"/step/{other}/{word}", json=body)).status_code == 404
    for word, bad in (
        ("failed", {"error": "no"}),
        ("completed", {"value": 1}),
        ("progress", {"percent": "1"}),
    ):
        assert (await service.http.post(f"/step/{command}/{word}", json=bad)).status_code == 422


async def test_who_may_only_read_may_not_act(tmp_path: Path) -> None:
    """403 for every way to act; nothing is written."""
    reader = ApiToken("reader", frozenset({"read"}), hashlib.sha256(b"secret").digest())
    async with running_service(tmp_path, tokens=(reader,)) as service:
        service.http.headers["authorization"] = "Bearer secret"
        paths = [f"/process/{uuid.uuid4()}/{action}" for action in ACTIONS]
        paths += ["/process/bulk", "/process-type/document_analysis/pause", "/step/p.a.a1/completed"]
        for path in paths:
            assert (await service.http.post(path, json=WHY)).status_code == 403, path


async def test_a_request_that_was_obeyed_is_answered_again_by_its_key(service: Service) -> None:
    """The same key on a process that has moved on since is no new request, and no conflict."""
    process_id = await _running(service)
    path, key = f"/process/{process_id}/cancel", {"Idempotency-Key": "k1"}
    assert (await service.http.post(path, json=WHY, headers=key)).status_code == 202
    output = JsonText("{}")
    await service.play(process_id, AttemptCompleted(Direction.ACTION, "ingestion", 1, output))
    assert (await service.http.post(path, json=WHY, headers=key)).status_code == 202


async def test_going_back_to_an_earlier_definition_is_explicit(service: Service) -> None:
    """The hash must be one of this type; new processes start with it, running ones keep theirs."""
    old = (await service.http.get("/process-type/document_analysis")).json()["definition"]
    running = await service.start()
    newer = parse_definition(DEFINITION.replace("timeout: 10", "timeout: 11"), source="test")
    await service.catalog.register([newer], at=service.store.clock.now() + 1)
    new = (await service.http.get("/process-type/document_analysis")).json()["definition"]
    assert new != old
    path = "/process-type/document_analysis/current"
    for wrong in ("0" * 64, new[:63] + "g"):
        answer = await service.http.post(path, json={**WHY, "definition": wrong})
        assert answer.status_code in {404, 422}
    answer = await service.http.post(path, json={**WHY, "definition": old})
    assert answer.status_code == 200
    assert answer.json()["definition"] == old
    assert (await service.http.get(f"/process/{await service.start()}")).json()["definition"] == old
    assert (await service.http.get(f"/process/{running}")).json()["definition"] == old
