"""Kill -9 between any two points on the way to a callback address: nothing that it should hear is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pymongo import MongoClient

from saga.webhooks import verify_signature
from tests.acceptance.definitions import ALL
from tests.acceptance.world import World, opened_world
from tests.support.deployment import SagaServer
from tests.support.raw_http import RawServer, answer, raw_server
from tests.support.scripted_participant import script
from tests.support.waiting import eventually
from tests.unit.webhooks.test_signature import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

SETTINGS = {
    "SAGA_WEBHOOK_HOSTS": "127.0.0.1",
    "SAGA_WEBHOOK_SECRET": SECRET,
    "SAGA_WEBHOOK_ALLOW_PRIVATE": "on",
}
# The fourth append is that of the end: the start and three replies. A receiver that was called before the kill
# hears of it again: at least once.
CHAIN = ("appended:4", "webhook_kept:1", "webhook_leased:1", "webhook_called:1", "webhook_recorded:1")
OTHERS = ("confirmed:4", "projected:4", "acked:4")


@dataclass
class Scene:
    """A server that is killed, and the way into its store while it is down."""

    server: SagaServer
    parameters: dict[str, Any]
    end_leases: Callable[[], None]

    async def start(self, receiver: RawServer) -> str:
        """Start a process that calls back."""
        body = {
            "process_type": "document_analysis",
            "parameters": self.parameters,
            "callback_url": f"{receiver.url}/done",
        }
        async with httpx.AsyncClient(base_url=self.server.url, timeout=30, trust_env=False) as client:
            accepted = await client.post("/process", json=body)
        assert accepted.status_code == httpx.codes.ACCEPTED, accepted.text
        return str(accepted.json()["process_id"])

    async def delivery(self, process_id: str) -> dict[str, Any]:
        """Read the one delivery once it is delivered."""

        async def delivered() -> dict[str, Any]:
            async with httpx.AsyncClient(base_url=self.server.url, timeout=30, trust_env=False) as client:
                log = (await client.get(f"/process/{process_id}/deliveries")).json()
            assert len(log["deliveries"]) <= 1
            return next((one for one in log["deliveries"] if one["status"] == "delivered"), {})

        return await eventually(delivered, within_s=60, what=f"it is delivered: {self.server.output}")


@asynccontextmanager
async def embedded(_: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """The embedded default, with the demo's participants."""
    with tempfile.TemporaryDirectory(prefix="batuta-webhooks-") as data:
        server = SagaServer(["demo"], {"SAGA_DATA": data, "SAGA_LOG_FORMAT": "json", **SETTINGS})

        def end_leases() -> None:
            with sqlite3.connect(Path(data) / "saga.db") as store:
                store.execute("UPDATE deliveries SET due_at = 1 WHERE due_at IS NOT NULL")
            store.close()

        try:
            yield Scene(server, {"document_id": "doc1"}, end_leases)
        finally:
            server.close()


@asynccontextmanager
async def on_servers(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """RabbitMQ and MongoDB, with participants that know nothing but the contract."""
    amqp_url, mongodb_url = (str(request.getfixturevalue(name)) for name in ("amqp_url", "mongodb_url"))
    async with opened_world(amqp_url, mongodb_url, ALL) as world:
        yield _scene(world, mongodb_url)


def _scene(world: World, mongodb_url: str) -> Scene:
    def end_leases() -> None:
        client: MongoClient[dict[str, Any]] = MongoClient(mongodb_url, timeoutMS=30_000)
        with client:
            deliveries = client[world.deployment.database]["deliveries"]
            deliveries.update_many({"due_at": {"$gt": 0}}, {"$set": {"due_at": 1}})

    return Scene(world.deployment.add(**SETTINGS), script({}), end_leases)


BACKENDS = [
    pytest.param(embedded, id="embedded"),
    pytest.param(on_servers, id="servers", marks=pytest.mark.servers),
]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_server_killed_at_each_point_in_turn_loses_no_delivery(
    backend: Callable[[pytest.FixtureRequest], Any], request: pytest.FixtureRequest
) -> None:
    """Each server takes over from one that died a step earlier; the receiver hears of one event, genuinely."""
    async with backend(request) as scene, raw_server(answer(204, b"")) as receiver:
        process_id = ""
        for point in CHAIN:
            scene.server.begin(crash_at=point)
            if not process_id:
                await scene.server.ready()
                process_id = await scene.start(receiver)
            assert await scene.server.ended() == -signal.SIGKILL, point
            if point.startswith("webhook"):
                await asyncio.to_thread(scene.end_leases)
        scene.server.begin()
        await scene.server.ready()
        delivery = await scene.delivery(process_id)
        assert (
            len(receiver.requests) == 2
        )  # that of the kill before the record, and the one that was recorded
        assert delivery["attempts_made"] == 1
        _judge(receiver, process_id, delivery)


@pytest.mark.faults
@pytest.mark.parametrize("point", OTHERS)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_server_killed_where_it_ends_a_process_loses_no_delivery(
    backend: Callable[[pytest.FixtureRequest], Any], point: str, request: pytest.FixtureRequest
) -> None:
    """Whatever else was done by then, the next server finds what is to be told."""
    async with backend(request) as scene, raw_server(answer(204, b"")) as receiver:
        scene.server.begin(crash_at=point)
        await scene.server.ready()
        process_id = await scene.start(receiver)
        assert await scene.server.ended() == -signal.SIGKILL
        await asyncio.to_thread(scene.end_leases)
        scene.server.begin()
        await scene.server.ready()
        _judge(receiver, process_id, await scene.delivery(process_id))


def _judge(receiver: RawServer, process_id: str, delivery: dict[str, Any]) -> None:
    """Every call was genuine, under one id, with the same bytes."""
    ids = {verify_signature(one.headers, one.body, SECRET) for one in receiver.requests}
    assert ids == {delivery["webhook_id"]} == {f"{process_id}:{delivery['sequence']}"}
    (body,) = {one.body for one in receiver.requests}
    told = json.loads(body)
    assert (told["process_id"], told["status"], told["type"]) == (process_id, "completed", "completed")
