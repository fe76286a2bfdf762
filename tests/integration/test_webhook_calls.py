"""Calls to callback addresses over real sockets: where they may lead, and what is recorded of the answer."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.http.webhooks import ANSWER_BYTES_MAX, HttpWebhookCaller
from tests.support.raw_http import RawRequest, answer, hang, hang_up, raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from saga.ports.deliveries import CallOutcome
    from tests.support.raw_http import RawServer, Respond

# Self-signed for this one name, until the year 2100; it opens nothing.
CERTIFICATE = Path(__file__).parents[1] / "support" / "hooks.example.com.pem"


@asynccontextmanager
async def calling(
    *names: str, may_be_private: bool = True, deadline_s: float = 5, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpWebhookCaller]:
    """Give a caller for which every name stands for these addresses."""

    def resolve(host: str, port: int) -> Sequence[str]:
        assert port
        if not names:
            raise OSError(f"no {host}")
        return names

    caller = HttpWebhookCaller(may_be_private=may_be_private, resolve=resolve, tls=tls, deadline_s=deadline_s)
    try:
        yield caller
    finally:
        await caller.close()


async def call(caller: HttpWebhookCaller, server: RawServer, *, path: str = "/hook?a=b") -> CallOutcome:
    """Call a server under a name."""
    return await caller.call(
        f"http://hooks.example.com:{server.port}{path}", {"webhook-id": "p:7"}, b'{"a":1}'
    )


async def outcome_of(respond: Respond, *, deadline_s: float = 5) -> CallOutcome:
    """Call a server that answers like this."""
    async with raw_server(respond) as server, calling("127.0.0.1", deadline_s=deadline_s) as caller:
        return await call(caller, server)


async def test_the_name_is_called_at_the_address_that_was_checked() -> None:
    """The header Host names the host, the body comes as it is, and the connection is not kept."""
    async with raw_server(answer(204, b"")) as server, calling("127.0.0.1") as caller:
        assert (await call(caller, server)).status == 204
        assert (await call(caller, server)).status == 204
        assert server.connections == 2
        request = server.requests[0]
        assert request.line == "POST /hook?a=b HTTP/1.1"
        assert request.headers["host"] == f"hooks.example.com:{server.port}"
        assert (request.headers["webhook-id"], request.body) == ("p:7", b'{"a":1}')
        assert "cookie" not in request.headers


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("::ffff:127.0.0.1",),
        ("64:ff9b::7f00:1",),
        ("8.8.8.8", "127.0.0.1"),
        ("169.254.169.254",),
    ],
)
async def test_a_name_that_stands_for_an_address_that_is_not_public_is_not_called(
    addresses: tuple[str, ...],
) -> None:
    """One such address among several is enough; no connection is made to any of them."""
    async with raw_server(answer()) as server, calling(*addresses, may_be_private=False) as caller:
        outcome = await call(caller, server)
        assert server.connections == 0
    assert outcome.error == "the host stands for an address that is not public"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]", "0"]
)
async def test_loopback_in_any_spelling_is_not_called(host: str) -> None:
    """What the machine itself makes of a name is what counts: this is its own resolver."""
    caller = HttpWebhookCaller(may_be_private=False, deadline_s=5)
    async with raw_server(answer()) as server:
        outcome = await caller.call(f"http://{host}:{server.port}/", {}, b"")
        assert server.connections == 0
    await caller.close()
    assert outcome.status is None
    assert outcome.error is not None


async def test_a_name_that_changes_its_mind_is_looked_up_once_per_call() -> None:
    """Nobody asks again between the check and the connection."""
    asked: list[str] = []

    def rebinding(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    caller = HttpWebhookCaller(may_be_private=False, resolve=rebinding, deadline_s=0.5)
    async with raw_server(answer()) as server:
        await call(caller, server)
        assert asked == ["hooks.example.com"]
        assert server.connections == 0
    await caller.close()


async def test_the_next_address_is_tried_where_one_refuses() -> None:
    """A host may have addresses that are not reachable from here."""
    async with raw_server(answer(200)) as server, calling("::1", "127.0.0.1") as caller:
        assert (await call(caller, server)).status == 200


@pytest.mark.parametrize("status", [200, 301, 307, 404, 410, 500])
async def test_the_status_is_all_that_is_kept(status: int) -> None:
    """A redirect is not followed, wherever it leads."""
    async with raw_server(answer()) as inside:
        respond = answer(status, b"secret words", Location=f"{inside.url}/admin", Retry_After="7")
        outcome = await outcome_of(respond)
        assert inside.connections == 0
    assert (outcome.status, outcome.error, outcome.retry_after) == (status, None, "7")


async def test_an_answer_that_is_too_long_or_compressed_counts_by_its_status() -> None:
    """Its body is of no interest."""
    assert (await outcome_of(answer(200, b"x" * (ANSWER_BYTES_MAX + 1)))).status == 200
    assert (await outcome_of(answer(202, b"xx", Content_Encoding="gzip"))).status == 202


async def test_what_does_not_answer_in_time_is_a_failure_with_a_reason() -> None:
    """The deadline is for all of the call."""
    began = time.monotonic()
    assert (await outcome_of(hang, deadline_s=0.3)).error == "no answer within 0.3 s"
    assert time.monotonic() - began < 3


async def test_what_a_broken_server_says_is_not_repeated() -> None:
    """Not a byte of it stands in the record."""

    async def garbage(_: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"root:x:0:0 secret words\r\n\r\n")
        await writer.drain()
        writer.close()

    for respond in (garbage, hang_up):
        outcome = await outcome_of(respond)
        assert outcome.status is None
        assert outcome.error is not None
        assert "secret" not in outcome.error


async def test_an_unknown_name_and_a_closed_port_are_failures() -> None:
    """Each with a reason."""
    async with raw_server(answer()) as server:
        port = server.port
    async with calling() as caller:
        assert (await call(caller, server)).error == "the name of the host is not known"
    async with calling("127.0.0.1") as caller:
        refused = await caller.call(f"http://hooks.example.com:{port}/", {}, b"")
    assert refused.status is None
    assert refused.error


async def test_a_resolver_that_hangs_does_not_hold_up_the_call() -> None:
    """Its thread stays behind, and the deadline counts for it too."""

    def slow(_: str, __: int) -> Sequence[str]:
        time.sleep(1.0)
        return ["127.0.0.1"]

    caller = HttpWebhookCaller(may_be_private=True, resolve=slow, deadline_s=0.2)
    outcome = await caller.call("http://hooks.example.com/", {}, b"")
    await caller.close()
    assert outcome.error == "no answer within 0.2 s"


@asynccontextmanager
async def tls_server() -> AsyncIterator[int]:
    """Run a server with the certificate of hooks.example.com."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(CERTIFICATE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 said\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=served)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_tls_is_verified_by_the_name_and_not_by_the_address() -> None:
    """The right name passes, another one on the same address does not, nor does an unknown authority."""
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    async with tls_server() as port:
        async with calling("127.0.0.1", tls=trusting) as caller:
            right = await caller.call(f"https://hooks.example.com:{port}/", {}, b"")
            wrong = await caller.call(f"https://other.example.com:{port}/", {}, b"")
        async with calling("127.0.0.1") as caller:
            unknown = await caller.call(f"https://hooks.example.com:{port}/", {}, b"")
    assert right.status == 204
    assert "certificate is not valid for 'other.example.com'" in str(wrong.error)
    assert "self-signed" in str(unknown.error)
