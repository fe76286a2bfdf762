"""Call services by httpx; implements `saga.ports.calls.Calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.http.client import Request, call, open_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saga.ports.calls import CallAnswer

_ANSWER_BYTES_MAX = 1024 * 1024
# A host that swallows packets must not cost a command its whole time: another address may take it.
_CONNECT_S = 3.0


class HttpCalls:
    """Hold the connections to one service."""

    def __init__(self, *, connections_max: int) -> None:
        self._client = open_client(connections_max=connections_max)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, deadline_s: float
    ) -> CallAnswer:
        """POST these bytes and read the whole answer within the deadline. Raises NoAnswer."""
        return await call(
            self._client,
            Request(url, headers, body),
            deadline_s=deadline_s,
            bytes_max=_ANSWER_BYTES_MAX,
            connect_s=_CONNECT_S,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
