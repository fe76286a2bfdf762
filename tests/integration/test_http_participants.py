"""Services over HTTP, with real sockets on one side and the embedded bus on the other."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from adapters.embedded.store import EmbeddedStore
from adapters.http import client
from adapters.http.calls import HttpCalls
from adapters.telemetry.metrics import PrometheusObserver
from saga.calling.address import read_addresses
from saga.calling.caller import CallLimits, ServiceCaller
from saga.calling.report import read_reports
from saga.calling.role import HttpParticipants
from saga.messages.timestamps import rfc3339
from saga.ports.bus import Exchange, OutgoingMessage
from tests.contract.carriers import Inbox
from tests.support.http_service import always, http_service
from tests.support.raw_http import CERTIFICATE, RawRequest, answer, drip, hang, hang_up, raw_server
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.raw_http import Respond

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class World:
    """The role on an embedded store, with the coordinators' inbox in the test's hands."""

    store: EmbeddedStore
    stopping: asyncio.Event
    running: asyncio.Task[None]
    registry: CollectorRegistry
    inbox: Inbox = field(default_factory=Inbox)

    async def command(self, number: int = 1, *, timeout_s: float = 10, **more: Any) -> None:
        """Put a command in the queue of the service."""
        command = {
            "command_id": f"p{number}.pay.a1",
            "idempotency_key": f"p{number}.pay.a",
            "process_id": f"p{number}",
            "service": "payment",
            "action": "charge",
            "kind": "action",
            "attempt": 1,
            "parameters": {"amount": 12.5},
            "deadline": rfc3339(self.store.clock.now() + round(timeout_s * 1000)),
            "reply_key": "step",
            **more,
        }
        message = OutgoingMessage(
            exchange=Exchange.COMMANDS,
            routing_key="step.payment.charge",
            body=json.dumps(command).encode(),
            message_id=str(command["command_id"]),
            correlation_id=f"p{number}",
            kind="step.command",
            timestamp=0,
            headers={"traceparent": TRACE},
            mandatory=True,
        )
        await self.store.bus.publish(message)

    async def reply(self, **more: Any) -> dict[str, Any]:
        """Send a command and wait for its reply."""
        seen = len(self.inbox.deliveries)
        await self.command(seen + 1, **more)
        await eventually(lambda: len(self.inbox.deliveries) > seen)
        return {"key": self.inbox.deliveries[seen].routing_key, **json.loads(self.inbox.bodies[seen])}

    def counted(self, outcome: str) -> float:
        """Give how many calls to the first address ended so."""
        labels = {"service": "payment", "address": "1", "outcome": outcome}
        return self.registry.get_sample_value("saga_http_call_total", labels) or 0.0


@asynccontextmanager
async def world(folder: Path, urls: str, *, limits: CallLimits | None = None) -> AsyncIterator[World]:
    """Run the role for one service with these addresses."""
    store = await EmbeddedStore.open(folder)
    calls = HttpCalls(connections_max=100)
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    stopping = asyncio.Event()

    def caller_for(service: str) -> ServiceCaller:
        return ServiceCaller(
            service,
            read_addresses(urls),
            calls=calls,
            clock=store.clock,
            observer=observer,
            limits=limits or CallLimits(),
        )

    role = HttpParticipants(
        "test:1",
        transport=store.participants,
        reports=store.service_reports,
        clock=store.clock,
        caller_for=caller_for,
        services=lambda: ["payment"],
        prefetch=50,
    )
    await store.bus.declare(["payment"])
    running = asyncio.create_task(role.run(stopping, grace_s=2))
    opened = World(store, stopping, running, registry)
    await store.bus.consume(opened.inbox, prefetch=100)
    try:
        yield opened
    finally:
        stopping.set()
        await running
        await calls.close()
        await store.close()


async def test_a_service_gets_the_command_and_its_answer_is_the_reply(tmp_path: Path) -> None:
    """The body is the command, under the path of the address; the key, the trace and the user are headers."""
    async with raw_server(answer(200, b'{"receipt": 7}')) as server:
        url = server.url.replace("http://", "http://us%40er:s3cret@") + "/v1/steps/"
        async with world(tmp_path, url) as opened:
            reply = await opened.reply()

        request = server.requests[0]
        assert reply == {"key": "step.completed", "command_id": "p1.pay.a1", "output": {"receipt": 7}}
        assert request.line == "POST /v1/steps/charge HTTP/1.1"
        assert json.loads(request.body)["parameters"] == {"amount": 12.5}
        assert request.headers["idempotency-key"] == "p1.pay.a"
        assert request.headers["traceparent"] == TRACE
        assert request.headers["content-type"] == "application/json"
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["authorization"] == "Basic dXNAZXI6czNjcmV0"
        assert "s3cret" not in request.body.decode()
        assert opened.counted("completed") == 1


@pytest.mark.parametrize(
    ("respond", "code", "retryable", "effect_unknown"),
    [
        (answer(500, b"oops"), "http_500", True, True),
        (answer(503, b"", Retry_After="2"), "unavailable", True, False),
        (
            answer(
                422, b'{"code": "no_funds", "detail": "too poor"}', Content_Type="application/problem+json"
            ),
            "no_funds",
            False,
            False,
        ),
        (answer(307, b"", Location="http://127.0.0.1:9/"), "redirected", False, False),
        (answer(200, b"<html>"), "unusable_output", False, True),
        (answer(200, b"[" * 2_000_000), "unusable_output", False, True),
        (answer(200, b"\x1f\x8b", Content_Encoding="gzip"), "unusable_output", False, True),
        (hang_up, "connection_lost", True, True),
    ],
)
async def test_each_trouble_becomes_its_reply(
    tmp_path: Path,
    respond: Respond,
    code: str,
    retryable: bool,  # noqa: FBT001 - a case
    effect_unknown: bool,  # noqa: FBT001 - a case
) -> None:
    """What the page of the answers says, over real sockets."""
    async with raw_server(respond) as server, world(tmp_path, server.url) as opened:
        reply = await opened.reply()

        error = reply["error"]
        assert (reply["key"], error["code"]) == ("step.failed", code)
        assert (error["retryable"], error.get("effect_unknown", False)) == (retryable, effect_unknown)
        assert len(server.requests) == 1


async def test_a_service_that_is_down_is_told_from_one_that_lost_a_request(tmp_path: Path) -> None:
    """A refused connection means that nothing happened."""
    async with raw_server(hang) as gone:
        url = gone.url
    async with world(tmp_path, url) as opened:
        error = (await opened.reply())["error"]

    assert (error["code"], error["retryable"]) == ("unavailable", True)
    assert "effect_unknown" not in error


async def test_an_answer_that_drips_ends_with_the_time_of_the_step(tmp_path: Path) -> None:
    """A limit of the settings bounds the whole call, headers and body."""
    async with (
        raw_server(drip) as server,
        world(tmp_path, server.url, limits=CallLimits(seconds_max=0.3)) as opened,
    ):
        error = (await opened.reply())["error"]

    assert (error["code"], error["effect_unknown"]) == ("timeout", True)


async def test_an_accepted_command_is_off_the_queue_without_a_reply(tmp_path: Path) -> None:
    """The service answers by another way; what comes after it is carried out meanwhile."""

    async def accept_the_first(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        status = b"202 Accepted" if b"p1." in request.body else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

    async with raw_server(accept_the_first) as server, world(tmp_path, server.url) as opened:
        await opened.command(1)
        await opened.command(2)
        await eventually(lambda: opened.inbox.deliveries)

        assert json.loads(opened.inbox.bodies[0])["command_id"] == "p2.pay.a1"
        standing = await opened.store.bus.standings(["payment"])
        assert standing["payment"].waiting == 0
        assert opened.counted("elsewhere") == 1


async def test_only_a_server_that_can_prove_who_it_is_gets_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is verified; SSL_CERT_FILE names an authority of one's own."""
    async with raw_server(answer(), with_tls=True) as server:
        for name, is_trusted in (("stranger", False), ("known", True)):
            if is_trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
            client._trust.cache_clear()
            async with world(tmp_path / name, server.url) as opened:
                reply = await opened.reply()
            assert ("output" in reply) is is_trusted
            assert len(server.requests) == int(is_trusted)
            if not is_trusted:
                assert reply["error"]["code"] == "unavailable"
                assert "effect_unknown" not in reply["error"]
    client._trust.cache_clear()


async def test_a_command_that_an_earlier_server_had_is_known_as_such(tmp_path: Path) -> None:
    """What was in the file at the start may have been called: a refusal of it leaves its outcome open."""
    store = await EmbeddedStore.open(tmp_path)
    await store.bus.declare(["payment"])
    await store.close()
    async with raw_server(hang) as gone:
        url = gone.url
    early = await EmbeddedStore.open(tmp_path)
    unserved = World(early, asyncio.Event(), asyncio.create_task(asyncio.sleep(0)), CollectorRegistry())
    await unserved.command(1)
    await unserved.running
    await early.close()

    async with world(tmp_path, url) as opened:
        await eventually(lambda: opened.inbox.deliveries)
        assert json.loads(opened.inbox.bodies[0])["error"]["effect_unknown"] is True
        assert "effect_unknown" not in (await opened.reply())["error"]


async def test_the_load_goes_to_the_address_that_is_well(tmp_path: Path) -> None:
    """One hangs, one answers 500, one is well: the reports show it, without the secrets of the addresses."""
    async with (
        raw_server(hang) as hanging,
        raw_server(answer(500)) as failing,
        http_service(always()) as good,
    ):
        secret = failing.url.replace("http://", "http://user:s3cret@") + "?token=s3cret"
        urls = f"{hanging.url},{secret},{good.url}"
        async with world(tmp_path, urls, limits=CallLimits(seconds_max=1.5)) as opened:
            for number in range(60):
                await opened.command(number)
            await eventually(lambda: len(opened.inbox.deliveries) == 60)

            assert len(good.received) >= 50

            async def are_ejected() -> bool:
                states = await _states(opened)
                return states[2:] == ["well"] and set(states[:2]) <= {"ejected", "probing"}

            await eventually(are_ejected)
            (stored,) = await opened.store.service_reports.since(0)
            (report,) = read_reports(stored.text)
            assert [address.url for address in report.addresses] == [hanging.url, failing.url, good.url]
            assert report.breaker == "closed"
            assert "s3cret" not in stored.text


async def _states(opened: World) -> list[str]:
    return [
        address.state
        for stored in await opened.store.service_reports.since(0)
        for service in read_reports(stored.text)
        for address in service.addresses
    ]


async def test_the_end_finishes_the_calls_and_gives_back_what_waits(tmp_path: Path) -> None:
    """A call under way is answered within the grace; a command that waits is unsent and in the queue again."""
    began, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(_: RawRequest, writer: asyncio.StreamWriter) -> None:
        began.set()
        await may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with (
        raw_server(slowly) as server,
        world(tmp_path, server.url, limits=CallLimits(at_once=1)) as opened,
    ):
        await opened.command(1)
        await opened.command(2)
        await began.wait()
        opened.stopping.set()
        await eventually(lambda: _waiting(opened, 1))
        may_answer.set()
        await opened.running

        assert len(server.requests) == 1
        await eventually(lambda: len(opened.inbox.deliveries) == 1)
        assert not await opened.store.service_reports.since(0)


async def _waiting(opened: World, count: int) -> bool:
    return (await opened.store.bus.standings(["payment"]))["payment"].waiting == count
