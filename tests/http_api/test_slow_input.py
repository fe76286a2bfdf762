"""Requests at one byte per second: cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED_WITHIN_S = 10.0
_POST = b"POST /process HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n"
_GET_WITH_BODY = b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n"


async def _drip(service: Service, at_once: bytes, drop: bytes) -> tuple[float, bytes]:
    """Send the first bytes, then one a second; give how long it took until the other side closed."""
    began = time.monotonic()
    reader, writer = await service.connect()
    writer.write(at_once)

    async def write() -> None:
        for _ in range(30):
            await asyncio.sleep(1)
            writer.write(drop)

    dripping = asyncio.create_task(write())
    answer = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(4096):
            answer += chunk
    took = time.monotonic() - began
    dripping.cancel()
    writer.close()
    return took, answer


async def test_a_request_at_one_byte_per_second_is_closed_and_others_are_unaffected(service: Service) -> None:
    """A dripping header or body, empty lines and silence end within ten seconds; others are served."""

    async def others() -> list[float]:
        took = []
        for _ in range(40):
            began = time.monotonic()
            assert (await service.http.get("/healthz")).status_code == 200
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
        return took

    header, body, body_of_get, empty_lines, silence, quick = await asyncio.gather(
        _drip(service, b"GET /healthz HTTP/1.1\r\nx-slow: ", b"x"),
        _drip(service, _POST, b" "),
        _drip(service, _GET_WITH_BODY, b" "),
        _drip(service, b"", b"\r\n"),
        _drip(service, b"", b""),
        others(),
    )
    for took, _ in (header, body, body_of_get, empty_lines, silence):
        assert took < CLOSED_WITHIN_S
    assert b" 408 " in header[1].partition(b"\r\n")[0]
    assert b" 408 " in body[1].partition(b"\r\n")[0]
    assert sorted(quick)[len(quick) // 2] < 0.1
