"""The services in other languages: each passes the check and survives kills; together they fulfil orders."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import pytest

from adapters.http.calls import HttpCalls
from adapters.rabbitmq.bus import RabbitBus
from adapters.rabbitmq.checking import rabbit_wire
from saga.calling.address import read_addresses
from saga.conformance.bench import Bench, Subject
from saga.conformance.over_http import HttpWire
from saga.conformance.wire import Word
from tests.docs.pages import Block, blocks
from tests.docs.reader import Reader
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.deployment import SagaServer
from tests.support.examples import (
    DEFINITION,
    EXAMPLES,
    PAYMENT,
    SHIPPING,
    STOCK,
    Example,
    ExampleParticipant,
    consumers,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from saga.messages.json_text import Json

pytestmark = pytest.mark.acceptance

SAGA = Path(sys.executable).with_name("saga")
_ORDERS_SAY = """\
ID completed
ID compensated
saga: process ID is compensated
not approved: the money and the goods are back
ID compensated
saga: process ID is compensated
nowhere to ship to: likewise
"""


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[CuttingProxy]:
    """Give a way to the broker that can be cut."""
    address = urlsplit(amqp_url)
    assert address.hostname is not None
    async with cutting_proxy(address.hostname, address.port or 5672) as between:
        yield between


def _through(url: str, proxy: CuttingProxy) -> str:
    address = urlsplit(url)
    who, at, _ = address.netloc.rpartition("@")
    return address._replace(netloc=f"{who}{at}127.0.0.1:{proxy.port}").geturl()


async def _declare(url: str, prefix: str) -> None:
    """Declare what a server declares when it starts."""
    bus = await RabbitBus.open(url, prefix=prefix)
    await bus.declare([STOCK.service, PAYMENT.service])
    await bus.close()


@asynccontextmanager
async def _bench(
    example: Example, participant: ExampleParticipant, url: str, prefix: str
) -> AsyncIterator[Bench]:
    run_id = f"check-{secrets.token_hex(4)}"
    subject = Subject(
        example.service,
        example.action,
        example.compensation,
        parameters=cast("dict[str, Json]", example.parameters),
    )
    made: dict[str, Any] = {"run_id": run_id, "now": lambda: time.time_ns() // 1_000_000, "within_s": 20}
    if example.is_http:
        calls = HttpCalls(connections_max=1)
        yield Bench(HttpWire(calls, read_addresses(participant.url)[0]), subject, **made)
        await calls.close()
    else:
        async with rabbit_wire(url, example.service, prefix=prefix, run_id=run_id) as wire:
            yield Bench(wire, subject, **made)


@pytest.mark.parametrize("example", [STOCK, PAYMENT, SHIPPING], ids=lambda example: example.service)
async def test_an_example_passes_the_check_and_remembers_over_a_kill(
    example: Example, amqp_url: str, amqp_prefix: str
) -> None:
    """Every case of `saga participant check`; after a SIGKILL a duplicate still gets its old answer."""
    await _declare(amqp_url, amqp_prefix)
    participant = ExampleParticipant(example, amqp_url=amqp_url, prefix=amqp_prefix)
    try:
        await asyncio.to_thread(participant.start)
        document = await asyncio.to_thread(_checked, example, participant, amqp_url, amqp_prefix)
        cases = {case["case"]: case["verdict"] for case in document["cases"]}
        assert {name for name, verdict in cases.items() if verdict != "passed"} == {
            "verify_done", "verify_never", "fence",
        }  # fmt: skip
        async with _bench(example, participant, amqp_url, amqp_prefix) as bench:
            effect = bench.effect()
            done = await bench.do(effect)
            await asyncio.to_thread(participant.kill)
            await asyncio.to_thread(participant.start)
            assert (await bench.do(effect, attempt=2)).output == done.output
            assert (await bench.undo(effect, done.output)).word is Word.COMPLETED
            await asyncio.to_thread(participant.kill)
            await asyncio.to_thread(participant.start)
            assert (await bench.do(effect, attempt=3)).is_final_failure
    finally:
        await asyncio.to_thread(participant.close)


@pytest.mark.parametrize("example", [STOCK, PAYMENT], ids=lambda example: example.service)
async def test_an_example_comes_back_to_the_broker(
    example: Example, amqp_url: str, amqp_prefix: str, proxy: CuttingProxy
) -> None:
    """After its connection was cut, and after its queue was deleted."""
    await _declare(amqp_url, amqp_prefix)
    participant = ExampleParticipant(example, amqp_url=_through(amqp_url, proxy), prefix=amqp_prefix)
    queue = f"{amqp_prefix}.step.{example.service}"
    try:
        await asyncio.to_thread(participant.start)
        async with _bench(example, participant, amqp_url, amqp_prefix) as bench:
            before = proxy.accepted
            proxy.cut()
            assert (await bench.do(bench.effect())).word is Word.COMPLETED
            assert proxy.accepted > before
            await asyncio.to_thread(_delete_queue, amqp_url, queue)
            await eventually(lambda: consumers(amqp_url, queue), within_s=20, what="it consumes again")
            await _declare(amqp_url, amqp_prefix)  # the bindings are the server's
            assert (await bench.do(bench.effect())).word is Word.COMPLETED
    finally:
        await asyncio.to_thread(participant.close)


def test_the_four_fulfil_orders_together(
    amqp_url: str, mongodb_url: str, amqp_prefix: str, mongodb_database: str, tmp_path: Path
) -> None:
    """The page's orders end as it says: one completed, one not approved, one that can't be shipped."""
    settings = {
        "SAGA_AMQP_URL": amqp_url,
        "SAGA_MONGODB_URL": mongodb_url,
        "SAGA_AMQP_PREFIX": amqp_prefix,
        "SAGA_MONGODB_DATABASE": mongodb_database,
        "SAGA_DEFINITIONS": str(DEFINITION),
    }
    with ExitStack() as stack:
        made = {
            example.service: ExampleParticipant(example, amqp_url=amqp_url, prefix=amqp_prefix)
            for example in (STOCK, PAYMENT, SHIPPING)
        }
        for each in made.values():
            stack.callback(each.close)
        shipping = {"SHIPPING_SERVICE_URL": made["shipping"].url}
        roles = ["serve", "--roles", "api,coordinator,http-participants"]
        server = stack.enter_context(SagaServer(roles, {**settings, **shipping}))
        for each in made.values():
            each.start()
        environment = {**os.environ, "SAGA_URL": server.url}
        approving = subprocess.Popen(
            [EXAMPLES / "curl" / "approve.sh"], env=environment, stdout=subprocess.DEVNULL
        )
        stack.callback(approving.wait)
        stack.callback(approving.terminate)
        (*_, orders) = [block for block in blocks(EXAMPLES / "README.md") if block.language == "bash"]
        Reader(tmp_path, server.url).run(Block("bash", orders.text, Block("text", _ORDERS_SAY)))
        assert _kept_and_undone(made["stock"].folder / "stock.journal") == (1, 2)
        assert _rows(made["payment"].folder / "payment.db") == (1, 2)
        # The signal that was refused came before it, and the address was refused by itself.
        assert _rows(made["shipping"].folder / "shipping.db") == (1, 0)


def _kept_and_undone(journal: Path) -> tuple[int, int]:
    """Count what is still reserved, and what was and is released."""
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    undone = {entry["key"] for entry in entries if "undone" in entry}
    return len({entry["key"] for entry in entries} - undone), len(undone)


def _rows(database: Path) -> tuple[int, int]:
    """Count what was done and stayed, and what was undone."""
    counted = "SELECT count(*) FROM effects WHERE undone IS"
    with closing(sqlite3.connect(database)) as db:
        (kept,) = db.execute(f"{counted} NULL").fetchone()
        (undone,) = db.execute(f"{counted} NOT NULL").fetchone()
    return kept, undone


def _checked(example: Example, participant: ExampleParticipant, amqp_url: str, prefix: str) -> dict[str, Any]:
    """Run the command as a user does, and give what it prints."""
    target = participant.url if example.is_http else example.service
    ran = subprocess.run(
        [
            SAGA, "participant", "check", target, "--action", example.action,
            "--compensation", example.compensation, "--parameters", "-", "--yes", "--output", "json",
        ],
        env={**os.environ, "SAGA_AMQP_URL": amqp_url, "SAGA_AMQP_PREFIX": prefix},
        input=json.dumps(example.parameters),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def _delete_queue(url: str, queue: str) -> None:
    import pika  # noqa: PLC0415 - only here

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_delete(queue)
