"""Services over HTTP, the roles in processes of their own: what hangs, fails, is killed, or answers later."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
from pymongo import MongoClient

from tests.support.amqp_names import delete_names
from tests.support.deployment import Deployment, SagaServer
from tests.support.http_service import HttpService, always, http_service
from tests.support.raw_http import hang, raw_server
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.acceptance, pytest.mark.servers, pytest.mark.timeout(180)]

WORKER = "http-participants"
# Two steps at one service, then one at another; the defaults for everything else, and short time-outs.
ORDER: dict[str, Any] = {
    "process_type": "order",
    "timeout": 4,
    "retry": {"attempts": 3, "backoff": 0.5},
    "steps": [
        {"name": "reserve", "service": "stock", "action": "reserve", "compensation": "release"},
        {"name": "charge", "service": "payment", "action": "charge", "compensation": "refund"},
    ],
}


@asynccontextmanager
async def deployment(amqp_url: str, mongodb_url: str, folder: Path) -> AsyncIterator[Deployment]:
    """Give names of its own on the servers, with the definition above."""
    name = secrets.token_hex(4)
    with Deployment(amqp_url, mongodb_url, f"t{name}", f"test_{name}", [ORDER], folder) as deployed:
        try:
            yield deployed
        finally:
            await asyncio.to_thread(deployed.stop)
            delete_names(amqp_url, deployed.prefix, services=["stock", "payment"])
            client: MongoClient[dict[str, Any]] = MongoClient(mongodb_url, timeoutMS=30_000)
            with client:
                client.drop_database(deployed.database)


class Front:
    """The API, as a caller sees it."""

    def __init__(self, server: SagaServer) -> None:
        """Talk to this server."""
        self.url = server.url
        self.http = httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False)

    async def __aenter__(self) -> Self:
        """Talk."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self.http.aclose()

    async def start(self) -> str:
        """Start a process."""
        answer = await self.http.post("/process", json={"process_type": "order", "parameters": {}})
        return str(answer.raise_for_status().json()["process_id"])

    async def statuses(self, processes: list[str]) -> Counter[str]:
        """Count the processes by status."""
        answers = await asyncio.gather(*(self.http.get(f"/process/{one}") for one in processes))
        return Counter(answer.json()["status"] for answer in answers)

    async def become(self, processes: list[str], status: str, *, within_s: float = 60) -> None:
        """Wait until all have this status."""

        async def have() -> bool:
            return await self.statuses(processes) == {status: len(processes)}

        await eventually(have, within_s=within_s)

    async def service(self, name: str) -> dict[str, Any]:
        """Read how a participant is."""
        services = (await self.http.get("/service")).raise_for_status().json()
        found: dict[str, Any] = next(one for one in services if one["service"] == name)
        return found


async def test_a_bad_address_fails_no_process_and_the_load_leaves_it(
    amqp_url: str, mongodb_url: str, tmp_path: Path
) -> None:
    """Three addresses, one hangs, one answers 500, one is well; every role is a process of its own."""
    async with AsyncExitStack() as stack:
        deployed = await stack.enter_async_context(deployment(amqp_url, mongodb_url, tmp_path))
        hanging = await stack.enter_async_context(raw_server(hang))
        failing = await stack.enter_async_context(http_service(always(500)))
        good = await stack.enter_async_context(http_service(always()))
        stock = await stack.enter_async_context(http_service(always()))
        urls = {
            "PAYMENT_SERVICE_URL": f"{hanging.url},{failing.url},{_with_secrets(good.url)}",
            "LOG_LEVEL": "DEBUG",
            "STOCK_SERVICE_URL": stock.url,
        }
        worker = deployed.add(WORKER, **urls)
        api, coordinator = deployed.add("api"), deployed.add("coordinator")
        for server in (worker, api, coordinator):
            server.begin()
        await asyncio.gather(*(server.ready() for server in (worker, api, coordinator)))
        front = await stack.enter_async_context(Front(api))
        processes = [await front.start() for _ in range(40)]
        began = time.monotonic()
        await front.become(processes, "completed")
        assert time.monotonic() - began < 20

        asked = len(good.received), len(failing.received), len(hanging.requests)
        more = [await front.start() for _ in range(40)]
        await front.become(more, "completed")
        assert len(good.received) - asked[0] >= 38
        assert len(failing.received) - asked[1] <= 2
        assert len(hanging.requests) - asked[2] <= 2
        assert len(good.done) == 80
        assert set(good.done.values()) == {1}
        assert all(command["service"] == "payment" for command in good.received)
        assert good.headers[0]["authorization"].startswith("Basic ")
        assert len(good.headers[0]["traceparent"]) == 55

        async def shows() -> bool:
            payment = await front.service("payment")
            states = [address["state"] for address in payment["addresses"]]
            return states[2:] == ["well"] and set(states[:2]) <= {"ejected", "probing"}

        await eventually(shows)
        payment = await front.service("payment")
        assert (payment["transport"], payment["consumers"], payment["other_consumers"]) == ("http", 1, 0)
        assert payment["breaker"] == "closed"
        assert payment["addresses"][2]["success_rate"] == 1.0
        assert "s3cret" not in json.dumps(payment)
        assert "s3cret" not in worker.output
        listed = await asyncio.to_thread(_saga, "service", "list", "--url", api.url)
        assert good.url in listed
        assert "breaker closed" in listed
        assert "s3cret" not in listed


async def test_a_role_that_is_killed_in_the_middle_of_calls_doubles_no_effect(
    amqp_url: str, mongodb_url: str, tmp_path: Path
) -> None:
    """Kill -9, then SIGTERM: the commands come again with the same key, and the service does each thing once."""
    async with AsyncExitStack() as stack:
        deployed = await stack.enter_async_context(deployment(amqp_url, mongodb_url, tmp_path))
        payment = await stack.enter_async_context(http_service(always(seconds=1)))
        stock = await stack.enter_async_context(http_service(always()))
        urls = {"PAYMENT_SERVICE_URL": payment.url, "STOCK_SERVICE_URL": stock.url}
        worker = deployed.add(WORKER, **urls)
        main = deployed.add("api,coordinator")
        for server in (worker, main):
            server.begin()
        await asyncio.gather(worker.ready(), main.ready())
        front = await stack.enter_async_context(Front(main))
        processes = [await front.start() for _ in range(10)]
        await eventually(lambda: len(payment.received) >= 10, within_s=30)
        worker.kill()
        worker.begin()
        await front.become(processes, "completed")
        assert len(payment.received) > 10
        _done_once(payment, processes)

        more = [await front.start() for _ in range(10)]
        await eventually(lambda: len(payment.done) >= 20, within_s=30)
        worker.terminate()
        assert await worker.ended() == 0
        asked = len(payment.received)
        await front.become(more, "completed")
        assert len(payment.received) == asked == len(payment.done) + (asked - 20)
        _done_once(payment, processes + more)

        async def is_told() -> bool:
            payment_now = await front.service("payment")
            return (payment_now["transport"], payment_now["consumers"]) == ("broker", 0)

        await eventually(is_told)


async def test_a_service_may_answer_later_and_may_say_no(
    amqp_url: str, mongodb_url: str, tmp_path: Path
) -> None:
    """202, then POST /step/…: progress, completed; then a 409 turns the process back, and the undo is called."""
    async with AsyncExitStack() as stack:
        deployed = await stack.enter_async_context(deployment(amqp_url, mongodb_url, tmp_path))
        stock = await stack.enter_async_context(http_service(always(202)))
        payment = await stack.enter_async_context(http_service(always(409)))
        urls = {"PAYMENT_SERVICE_URL": payment.url, "STOCK_SERVICE_URL": stock.url}
        main = await deployed.serve("api,coordinator,http-participants", **urls)
        front = await stack.enter_async_context(Front(main))
        process_id = await front.start()
        await eventually(lambda: stock.received, within_s=20)
        command_id = stock.received[0]["command_id"]
        await front.http.post(f"/step/{command_id}/progress", json={"percent": 50})
        stock.plan = always()
        answered = await front.http.post(f"/step/{command_id}/completed", json={"output": {"shelf": 3}})
        assert answered.status_code == httpx.codes.ACCEPTED

        await front.become([process_id], "compensated")
        document = (await front.http.get(f"/process/{process_id}")).json()
        reserve, charge = document["steps"]
        assert (reserve["output"], reserve["compensation"]["status"]) == ({"shelf": 3}, "compensated")
        assert (charge["status"], charge["error"]["code"]) == ("failed", "scripted")
        undo = stock.received[-1]
        assert (undo["action"], undo["compensates"]["output"]) == ("release", {"shelf": 3})


async def test_a_service_with_an_address_takes_the_place_of_the_demos(tmp_path: Path) -> None:
    """On the embedded default: the demo's own participant leaves the commands to it."""
    async with http_service(always()) as ingestion:
        settings = {"SAGA_DATA": str(tmp_path), "INGESTION_SERVICE_URL": ingestion.url}
        with SagaServer(["demo"], settings) as server:
            async with Front(server) as front:
                body = {"process_type": "document_analysis", "parameters": {"document_id": "doc123"}}
                started = await asyncio.gather(*(front.http.post("/process", json=body) for _ in range(10)))
                processes = [answer.json()["process_id"] for answer in started]
                await front.become(processes, "completed")
                seen = await front.service("ingestion")
    assert set(ingestion.done) == {f"{process_id}.ingestion.a" for process_id in processes}
    assert (seen["transport"], seen["consumers"], seen["other_consumers"]) == ("http", 1, 0)


def _done_once(service: HttpService, processes: list[str]) -> None:
    assert set(service.done) == {f"{process_id}.charge.a" for process_id in processes}
    assert set(service.done.values()) == {1}


def _with_secrets(url: str) -> str:
    return url.replace("//", "//user:s3cret@") + "?token=s3cret"


def _saga(*arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "saga", *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout
