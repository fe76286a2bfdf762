"""Callback addresses over HTTP: which are taken, and the delivery log."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from api.settings import ApiToken
from saga.coordinator.callbacks import delivery_of
from saga.messages.json_text import JsonText
from saga.ports.deliveries import CallOutcome
from saga.process.events import Completed, Started
from saga.webhooks.deciding import after_call
from saga.webhooks.policy import CallbackPolicy
from tests.http_api.acting import WHY, pointers_of, running_process
from tests.http_api.service import BODY, running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from saga.ports.deliveries import WebhookDelivery
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "https://hooks.example.com/done?of=trip"
POLICY = CallbackPolicy(hosts=("hooks.example.com",))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calling(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a service that may call one host."""
    async with running_service(tmp_path_factory.mktemp("calling"), may_call_back=POLICY) as running:
        yield running


async def kept(service: Service, process_id: str) -> WebhookDelivery:
    """Let the process end, and keep what its callback address is told, as a coordinator would."""
    state = await service.play(process_id, Started(), Completed(JsonText('{"price":5}')))
    transition = (await service.store.log.read(process_id))[-1]
    delivery = delivery_of(state, transition, transition.events[-1], transition.last)
    await service.store.deliveries.add(delivery)
    return delivery


async def deliveries(service: Service, process_id: str) -> list[dict[str, Any]]:
    """Read the delivery log."""
    document = (await service.http.get(f"/process/{process_id}/deliveries")).raise_for_status().json()
    assert document["process_id"] == process_id
    listed: list[dict[str, Any]] = document["deliveries"]
    return listed


async def test_an_address_that_may_be_called_stands_in_the_log(calling: Service) -> None:
    """It is part of what was asked for, and of the first event."""
    process_id = await calling.start({**BODY, "callback_url": URL})
    (accepted,) = (await calling.http.get(f"/process/{process_id}/events")).json()
    assert accepted["data"]["callback_url"] == URL
    document = (await calling.http.get(f"/process/{process_id}/deliveries")).json()
    assert document == {"process_id": process_id, "callback_url": URL, "deliveries": []}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "https://other.example.com/", "https://127.0.0.1/", "https://[::1]/",
        "https://2130706433/", "https://0x7f.1/", "https://169.254.169.254/", "https://u:p@hooks.example.com/",
        "https://hooks.example.com/#canary", "canary", "", "https://hooks.example.com/" + "canary" * 400,
    ],
)  # fmt: skip
async def test_an_address_that_would_not_be_called_is_refused_with_no_effect(
    calling: Service, url: str
) -> None:
    """422 with the pointer and the reason, and not a byte of the address."""
    before = await calling.processes()
    answer = await calling.http.post("/process", json={**BODY, "callback_url": url})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/callback-refused"
    assert pointers_of(answer) == ["/callback_url"]
    assert "canary" not in answer.text
    assert await calling.processes() == before


async def test_a_service_that_calls_nobody_back_says_so(service: Service) -> None:
    """Taken and never called would be a promise that nobody keeps."""
    answer = await service.http.post("/process", json={**BODY, "callback_url": URL})
    assert answer.status_code == 422
    assert "SAGA_WEBHOOK_HOSTS" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("value", [5, ["https://hooks.example.com/"], {"$ne": None}, True])
async def test_an_address_of_the_wrong_type_is_refused(calling: Service, value: Any) -> None:
    """Nothing is converted."""
    answer = await calling.http.post("/process", json={**BODY, "callback_url": value})
    assert answer.status_code == 422
    assert pointers_of(answer) == ["/callback_url"]


async def test_another_address_is_another_request(calling: Service) -> None:
    """A repeated key means the same process only with the same address."""
    headers = {"Idempotency-Key": "with-address"}
    body = {**BODY, "callback_url": URL}
    first = await calling.http.post("/process", json=body, headers=headers)
    again = await calling.http.post("/process", json=body, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    for other in (BODY, {**BODY, "callback_url": f"{URL}1"}):
        refused = await calling.http.post("/process", json=other, headers=headers)
        assert refused.json()["type"] == "/problems/idempotency-key-reused"


async def test_a_rerun_calls_back_only_where_it_is_given_an_address(calling: Service) -> None:
    """Whoever waited for the old process did not ask for the new one."""
    old = await running_process(calling, callback_url=URL)
    await calling.play(old, Completed(JsonText("null")))
    body: dict[str, Any] = {"reason": "again", "step": "ingestion"}
    path = f"/process/{old}/rerun"
    plain = (await calling.http.post(path, json=body)).json()["process_id"]
    given = (await calling.http.post(path, json={**body, "callback_url": f"{URL}2"})).json()["process_id"]
    addresses = [
        (await calling.http.get(f"/process/{process_id}/deliveries")).json()["callback_url"]
        for process_id in (old, plain, given)
    ]
    assert addresses == [URL, None, f"{URL}2"]
    refused = await calling.http.post(path, json={**body, "callback_url": "https://other.example.com/"})
    assert refused.json()["type"] == "/problems/callback-refused"


async def test_the_log_shows_each_attempt(calling: Service) -> None:
    """Status and reason, when, how long, and when the next one is due."""
    process_id = await calling.start({**BODY, "callback_url": URL})
    delivery = await kept(calling, process_id)
    failed = after_call(
        delivery,
        CallOutcome(error="no connection"),
        began_at=delivery.created_at,
        now=delivery.created_at + 30,
    )
    assert await calling.store.deliveries.replace(failed)
    (shown,) = await deliveries(calling, process_id)
    assert shown["webhook_id"] == f"{process_id}:3"
    assert (shown["sequence"], shown["type"]) == (3, "process.document_analysis.completed")
    assert (shown["status"], shown["attempts_made"]) == ("pending", 1)
    assert shown["next_attempt_at"] > shown["created_at"]
    assert shown["attempts"] == [
        {"number": 1, "at": shown["created_at"], "took_ms": 30, "status_code": None, "error": "no connection"}
    ]


async def test_a_delivery_is_sent_again_when_a_person_says_so(calling: Service) -> None:
    """Whether it was given up or taken; it is due at once."""
    process_id = await calling.start({**BODY, "callback_url": URL})
    delivery = await kept(calling, process_id)
    for status in (410, 200):
        stored = await calling.store.deliveries.get(process_id, delivery.sequence)
        assert stored is not None
        ended = after_call(stored, CallOutcome(status), began_at=stored.created_at, now=stored.created_at)
        assert await calling.store.deliveries.replace(ended)
        answer = await calling.http.post(f"/process/{process_id}/deliveries/3/retry", json=WHY)
        assert answer.status_code == 202
        assert answer.json()["status"] == "pending"
    (shown,) = await deliveries(calling, process_id)
    assert [one["status_code"] for one in shown["attempts"]] == [410, 200]


async def test_what_a_receiver_is_told_is_the_entry_of_the_log_and_whose_it_is(calling: Service) -> None:
    """Without the name of the server that wrote it."""
    process_id = await calling.start({**BODY, "callback_url": URL, "labels": {"team": "a"}})
    delivery = await kept(calling, process_id)
    entry = (await calling.http.get(f"/process/{process_id}/events")).json()[-1]
    del entry["actor"]
    assert _parsed(delivery.body) == {
        **entry,
        "process_id": process_id,
        "process_type": "document_analysis",
        "status": "completed",
        "labels": {"team": "a"},
        "data_left_out": False,
    }
    assert entry["data"] == {"result": {"price": 5}}


async def test_a_result_that_is_too_large_is_left_out(calling: Service) -> None:
    """A receiver reads it from the process."""
    process_id = await calling.start({**BODY, "callback_url": URL})
    state = await calling.play(process_id, Completed(JsonText('"' + "x" * 600_000 + '"')))
    transition = (await calling.store.log.read(process_id))[-1]
    delivery = delivery_of(state, transition, transition.events[-1], transition.last)
    assert len(delivery.body) < 1_000
    assert (_parsed(delivery.body)["data"], _parsed(delivery.body)["data_left_out"]) == ({}, True)


@pytest.mark.parametrize("sequence", ["1", "999999999", "0", "-1", "x", "3.0", "%00", "3%20"])
async def test_what_is_not_there_is_not_found(calling: Service, sequence: str) -> None:
    """A process, or a number, that is none."""
    process_id = await calling.start({**BODY, "callback_url": URL})
    await kept(calling, process_id)
    again = await calling.http.post(f"/process/{process_id}/deliveries/{sequence}/retry", json=WHY)
    assert again.status_code == 404
    for path in ("unknown/deliveries", "$ne/deliveries"):
        assert (await calling.http.get(f"/process/{path}")).status_code == 404
    assert (await calling.http.post("/process/unknown/deliveries/3/retry", json=WHY)).status_code == 404


async def test_reading_and_sending_again_need_their_scopes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Who may only read may not have anything sent."""
    token = ApiToken("reader", frozenset({"read"}), hashlib.sha256(b"t").digest())
    folder = tmp_path_factory.mktemp("scopes")
    async with running_service(folder, tokens=(token,), may_call_back=POLICY) as guarded:
        path = "/process/p/deliveries"
        bearer = {"Authorization": "Bearer t"}
        assert (await guarded.http.get(path)).status_code == 401
        assert (await guarded.http.get(path, headers=bearer)).status_code == 404
        assert (await guarded.http.post(f"{path}/1/retry", json=WHY, headers=bearer)).status_code == 403


def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed
