"""The bodies that act: what belongs to them and what does not, each with a pointer; and their description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from saga.process.events import Started
from tests.http_api.acting import WHY, pointers_of, running_process, started

if TYPE_CHECKING:
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("action", "body", "pointers"),
    [
        ("cancel", {"reason": " \t\n"}, ["/reason"]),
        ("cancel", {"reason": None}, ["/reason"]),
        ("cancel", {**WHY, "colour": "red"}, ["/colour"]),
        ("cancel", {**WHY, "output": None}, ["/output"]),
        ("pause", {**WHY, "outcome": "failed"}, ["/outcome"]),
        ("resolve", {**WHY, "outcome": "failed", "output": {"a": 1}}, ["/output"]),
    ],
)
async def test_what_does_not_belong_to_an_action_is_refused(
    service: Service, action: str, body: dict[str, Any], pointers: list[str]
) -> None:
    """422 that points to it, and nothing is asked."""
    process_id = await running_process(service)
    answer = await service.http.post(f"/process/{process_id}/{action}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-body")
    assert pointers_of(answer) == pointers


@pytest.mark.parametrize(
    ("more", "pointers"),
    [
        ({"action": "cancel", "step": "ingestion"}, ["/step"]),
        ({"action": "cancel", "output": None, "outcome": None}, ["/outcome", "/output"]),
        ({"action": "retry", "outcome": "failed"}, ["/outcome"]),
        ({"action": "resolve"}, ["/outcome"]),
        ({"action": "resolve", "outcome": "failed", "output": 1}, ["/output"]),
        ({"action": "delete"}, ["/action"]),
        ({"filter": {"status": ["started", "lost"]}}, ["/filter/status/1"]),
        ({"filter": {"status": "started"}}, ["/filter/status"]),
        ({"filter": {"started_after": "yesterday"}}, ["/filter/started_after"]),
        ({"filter": {"started_before": "2026-11-24T12:00:00"}}, ["/filter/started_before"]),
        ({"filter": {"started_before": 1_800_000_000}}, ["/filter/started_before"]),
        ({"filter": {"process_type": ""}}, ["/filter/process_type"]),
        ({"filter": {"process_type": {"$ne": None}}}, ["/filter/process_type"]),
        ({"filter": {"colour": "red"}}, ["/filter/colour"]),
        ({"filter": None}, ["/filter"]),
    ],
)
async def test_a_bulk_that_is_not_well_formed_asks_nobody(
    service: Service, more: dict[str, Any], pointers: list[str]
) -> None:
    """422 that points to what is wrong, the times of the filter among it."""
    body: dict[str, Any] = {**WHY, "action": "cancel", "filter": {"label": {"lot": "none"}}, **more}
    answer = await service.http.post("/process/bulk", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-body")
    assert sorted(pointers_of(answer)) == pointers


async def test_a_reply_has_the_same_body_as_on_the_broker(service: Service) -> None:
    """`command_id` may stand in it too, if it is the one of the address; an error may hold anything."""
    process_id = await running_process(service)
    command = f"{process_id}.ingestion.a1"
    error = {"code": "x", "message": "m", "retryable": False, "retry_after": 5, "trace": {"of": ["theirs"]}}
    bodies: dict[str, dict[str, Any]] = {
        "completed": {}, "failed": {"error": error}, "progress": {"percent": 100, "message": "done"},
    }  # fmt: skip
    for word, body in bodies.items():
        for own in ({}, {"command_id": command}):
            answer = await service.http.post(f"/step/{command}/{word}", json={**body, **own})
            assert answer.status_code == 202, answer.text
        other = {**body, "command_id": f"{process_id}.ingestion.a2"}
        answer = await service.http.post(f"/step/{command}/{word}", json=other)
        assert (answer.status_code, pointers_of(answer)) == (422, ["/command_id"])


@pytest.mark.parametrize(
    ("word", "body", "pointer"),
    [
        ("progress", {"percent": 100.5}, "/percent"),
        ("progress", {"percent": -1}, "/percent"),
        ("progress", {"percent": True}, "/percent"),
        ("progress", {"message": 7}, "/message"),
        ("failed", {"error": None}, "/error"),
        ("failed", {"error": ["x"]}, "/error"),
        ("failed", {"code": "x"}, "/code"),
        ("completed", {"error": {}}, "/error"),
    ],
)
async def test_a_reply_of_another_form_is_refused(
    service: Service, word: str, body: dict[str, Any], pointer: str
) -> None:
    """422 that points to it."""
    process_id = await running_process(service)
    answer = await service.http.post(f"/step/{process_id}.ingestion.a1/{word}", json=body)
    assert (answer.status_code, pointers_of(answer)) == (422, [pointer])


async def test_a_command_may_be_answered_before_the_projection_knows_of_it(service: Service) -> None:
    """A participant is quick: the command went out as soon as it stood in the log."""
    process_id = await service.start()
    await service.play(process_id, Started(), started("ingestion"), is_projected=False)
    answer = await service.http.post(f"/step/{process_id}.ingestion.a1/completed", json={"output": 1})
    assert answer.status_code == 202


@pytest.mark.parametrize("command_id", ["x" * 300, "a.b.c1", "%00.ingestion.a1", "..a1", "p.ingestion.a0"])
async def test_an_id_that_no_command_has_is_not_found(service: Service, command_id: str) -> None:
    """404, whatever it is."""
    answer = await service.http.post(f"/step/{command_id}/completed", json={})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_every_way_to_act_is_described(service: Service) -> None:
    """Each has an id, a body, its headers and its refusals, and every reference leads somewhere."""
    description = (await service.http.get("/openapi.json")).json()
    acting = {
        path: methods["post"]
        for path, methods in description["paths"].items()
        if "post" in methods and path != "/process" and not path.startswith("/dead-letter")
        if not path.endswith("/replay")  # it asks, and takes no body
    }
    ids = {operation["operationId"] for operation in acting.values()}
    words = {"cancel", "pause", "resume", "retry", "skip", "resolve", "compensate", "fail"}
    assert {f"{word}_process" for word in words} <= ids
    assert {"act_on_processes", "pause_process_type", "resume_process_type"} <= ids
    assert {"answer_completed", "answer_failed", "answer_progress"} <= ids
    for path, operation in acting.items():
        assert operation["requestBody"]["required"], path
        assert {"400", "401", "403", "413", "415", "422", "503"} <= set(operation["responses"]), path
    cancel = acting["/process/{process_id}/cancel"]
    assert {"404", "409", "412"} <= set(cancel["responses"])
    assert {"Idempotency-Key", "If-Match"} <= {one["name"] for one in cancel["parameters"]}
    for reference in _references(list(acting.values())):
        found: Any = description
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [one for part in value.values() for one in _references(part)]
    return [one for part in value for one in _references(part)] if isinstance(value, list) else []
