"""An HTTP server that answers whatever a test wants, byte by byte, also what no server should answer."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Respond = Callable[["RawRequest", asyncio.StreamWriter], Awaitable[None]]

CERTIFICATE = Path(__file__).parent / "tls" / "certificate.pem"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """Hold a request as it came; the names of the headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class RawServer:
    """Hold where the server listens, and what it was asked."""

    port: int = 0
    scheme: str = "http"
    requests: list[RawRequest] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """Give the address."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Respond:
    """Answer each request in the same way; the underscores of header names become dashes."""
    lines = [f"HTTP/1.1 {status} said", f"Content-Length: {len(body)}"]
    lines.extend(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())

    async def respond(_: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return respond


async def hang(_: RawRequest, writer: asyncio.StreamWriter) -> None:
    """Answer nothing, until the caller goes."""
    await writer.wait_closed()


async def drip(_: RawRequest, writer: asyncio.StreamWriter) -> None:
    """Answer one byte after the other, without haste, until the caller goes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def hang_up(_: RawRequest, writer: asyncio.StreamWriter) -> None:
    """Close the connection instead of an answer."""
    writer.close()


@asynccontextmanager
async def raw_server(respond: Respond, *, with_tls: bool = False) -> AsyncIterator[RawServer]:
    """Run a server on a free port; it keeps connections open as long as `respond` does.

    Its certificate is one that nobody trusts by himself: `CERTIFICATE`.
    """
    server = RawServer(scheme="https" if with_tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while not writer.is_closing():
                request = await _read(reader)
                server.requests.append(request)
                await respond(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller has gone
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(
        connected, "127.0.0.1", 0, ssl=_server_context() if with_tls else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("key.pem"))
    return context


async def _read(reader: asyncio.StreamReader) -> RawRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawRequest(line, headers, body)
