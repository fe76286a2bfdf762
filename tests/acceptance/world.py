"""One deployment with its participants and its callers: what an acceptance test talks to."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aio_pika
import httpx
from pymongo import MongoClient

from tests.acceptance.definitions import ALL, MIX
from tests.support.amqp_names import delete_names
from tests.support.deployment import Deployment, SagaServer
from tests.support.judge import judge, open_processes
from tests.support.scripted_participant import ScriptedParticipants, script, services_of
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

# How long anything may take on a machine that is busy with other things.
PATIENCE_S = 60.0


@dataclass(slots=True)
class Broker:
    """A caller that speaks plain AMQP."""

    url: str
    prefix: str

    async def publish(
        self,
        key: str,
        body: bytes,
        *,
        exchange: str = "commands",
        headers: dict[str, Any] | None = None,
        **properties: Any,
    ) -> None:
        """Publish one message, confirmed and routed."""
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel(on_return_raises=True)
            target = await channel.get_exchange(f"{self.prefix}.{exchange}", ensure=False)
            await target.publish(aio_pika.Message(body, headers=headers or {}, **properties), key)

    async def start(self, body: Mapping[str, object], **properties: Any) -> None:
        """Publish a start command as anybody would: plain JSON."""
        await self.publish("process.start", json.dumps(body).encode(), **properties)

    async def take(self, queue: str) -> aio_pika.abc.AbstractIncomingMessage | None:
        """Take one message off a queue."""
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            found = await channel.get_queue(f"{self.prefix}.{queue}", ensure=False)
            return await found.get(fail=False, no_ack=True)

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue, whatever it holds."""
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(f"{self.prefix}.{queue}")

    @asynccontextmanager
    async def listening(self, pattern: str) -> AsyncIterator[list[aio_pika.abc.AbstractIncomingMessage]]:
        """Collect what passes the exchange of the events under a pattern."""
        heard: list[aio_pika.abc.AbstractIncomingMessage] = []

        async def hear(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            heard.append(message)

        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            await queue.bind(f"{self.prefix}.events", pattern)
            await queue.consume(hear, no_ack=True)
            yield heard


@dataclass(slots=True)
class World:
    """Hold all that takes part, and in which status each process that was started must be in the end."""

    deployment: Deployment
    participants: ScriptedParticipants
    broker: Broker
    expected: dict[str, str] = field(default_factory=dict)

    async def post(
        self, server: SagaServer, body: Mapping[str, object], *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """POST /process once."""
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
            return await client.post("/process", json=body, headers=dict(headers or {}))

    async def get(self, server: SagaServer, path: str) -> Any:
        """Read a document."""
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
            return (await client.get(path)).raise_for_status().json()

    async def becomes(
        self, server: SagaServer, process_id: str, status: str, *, within_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Wait until a process has a status, note that it is to stay there, and give its document."""
        self.expected[process_id] = status

        async def document() -> dict[str, Any]:
            async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
                answer = await client.get(f"/process/{process_id}")
            found: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.OK else {}
            seen.append(found)
            return found if found.get("status") == status else {}

        seen: list[dict[str, Any]] = []
        what = f"{process_id} {status}"
        try:
            return await eventually(document, within_s=within_s, what=what)
        except AssertionError as late:
            raise AssertionError(f"{late}; it is {seen[-1]}") from None

    async def start_mix(self, count: int, *, expect: bool = True) -> None:
        """Start processes of all kinds over the broker, in one go."""
        async with await aio_pika.connect(self.broker.url) as connection:
            channel = await connection.channel(on_return_raises=True)
            target = await channel.get_exchange(f"{self.broker.prefix}.commands", ensure=False)
            sent = []
            for number in range(count):
                process_type, words, end = MIX[number % len(MIX)]
                process_id = _uuid()
                if expect:
                    self.expected[process_id] = end
                body = {"process_type": process_type, "process_id": process_id, "parameters": script(words)}
                message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=2)
                sent.append(target.publish(message, "process.start"))
            await asyncio.gather(*sent)

    async def all_settle(self, *, within_s: float = PATIENCE_S) -> None:
        """Wait until every process that was started is where it must end, and none is on its way."""
        url, database = self.deployment.mongodb_url, self.deployment.database

        def nobody_is_under_way() -> bool:
            # In this order: a process that begins between the two looks is then seen as open.
            have_begun = _count(url, database) >= len(self.expected)
            seen[:] = open_processes(url, database)
            return have_begun and not seen

        seen: list[tuple[str, str]] = []
        try:
            await eventually(
                lambda: asyncio.to_thread(nobody_is_under_way), within_s=within_s, what="all processes settle"
            )
        except AssertionError as late:
            outputs = "\n".join(server.output for server in self.deployment.servers)
            raise AssertionError(f"{late}; under way: {seen[:10]} ({len(seen)})\n{outputs}") from None

    async def judge(self) -> None:
        """Stop the servers and check every invariant."""
        await asyncio.to_thread(self.deployment.stop)
        await judge(self.deployment, self.participants.ledger, self.expected)


def step_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Give one step of a process's document."""
    found: dict[str, Any] = next(step for step in document["steps"] if step["name"] == name)
    return found


@asynccontextmanager
async def opened_world(
    amqp_url: str, mongodb_url: str, definitions: Sequence[Mapping[str, Any]] = ALL
) -> AsyncIterator[World]:
    """Open a world of its own on these servers; it is gone afterwards, down to its names."""
    services = services_of(definitions)
    name = secrets.token_hex(4)
    prefix, database = f"t{name}", f"test_{name}"
    with (
        tempfile.TemporaryDirectory(prefix="batuta-definitions-") as folder,
        Deployment(amqp_url, mongodb_url, prefix, database, definitions, Path(folder)) as deployment,
    ):
        try:
            async with ScriptedParticipants(amqp_url, prefix, services) as participants:
                yield World(deployment, participants, Broker(amqp_url, prefix))
        finally:
            deployment.stop()
            await asyncio.to_thread(_forget, amqp_url, mongodb_url, prefix, database, services)


def _forget(amqp_url: str, mongodb_url: str, prefix: str, database: str, services: Sequence[str]) -> None:
    delete_names(amqp_url, prefix, services=services)
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_url, timeoutMS=30_000)
    with client:
        client.drop_database(database)


def _count(url: str, database: str) -> int:
    client: MongoClient[dict[str, Any]] = MongoClient(url, timeoutMS=30_000)
    with client:
        return client[database]["processes"].count_documents({})


def _uuid() -> str:
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
