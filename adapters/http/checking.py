"""Reach the participant that `saga participant check` checks over HTTP: POST {url}/{action}."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.http.client import CallFailed, Request, call, open_client
from saga.conformance.reading import read_response, silent
from saga.conformance.wire import NotReachable
from saga.messages.json_text import to_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from saga.conformance.wire import Answer
    from saga.messages.json_text import JsonObject

_BYTES_MAX = 1024 * 1024
_CONNECTIONS_MAX = 8


@asynccontextmanager
async def http_wire(url: str) -> AsyncIterator[HttpWire]:
    """Open the way to an address. Raises ValueError for what can't be one."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the address of a participant is like http://127.0.0.1:9000")
    async with open_client(connections_max=_CONNECTIONS_MAX) as client:
        yield HttpWire(client, url.rstrip("/"))


class HttpWire:
    """Implement `saga.conformance.wire.Wire` over HTTP."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url
        self._was_reached = False

    async def ask(self, command: JsonObject, *, within_s: float) -> Answer:
        """Post a command with the headers that the orchestrator sends."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": str(command["idempotency_key"]),
            "traceparent": _traceparent(str(command["command_id"])),
        }
        body = to_text(command).encode()
        return await self._post(Request(f"{self._url}/{command['action']}", headers, body), within_s)

    async def throw(self, body: bytes, *, action: str, within_s: float) -> Answer | None:
        """Post what is no command."""
        headers = {"Content-Type": "application/json"}
        return await self._post(Request(f"{self._url}/{action}", headers, body), within_s)

    async def _post(self, request: Request, within_s: float) -> Answer:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            answer = await call(self._client, request, deadline_s=2 * within_s, bytes_max=_BYTES_MAX)
        except CallFailed as failed:
            if not failed.was_sent and not self._was_reached:
                raise NotReachable(
                    f"nobody answers there ({failed.reason}): is the service running?"
                ) from None
            self._was_reached = True
            return silent(failed.reason)
        self._was_reached = True
        return read_response(answer.status, answer.body, is_late=clock() - began > within_s)


def _traceparent(command_id: str) -> str:
    trace = hashlib.blake2b(command_id.encode(), digest_size=24).hexdigest()
    return f"00-{trace[:32]}-{trace[32:]}-01"
