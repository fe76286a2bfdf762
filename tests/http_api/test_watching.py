"""`saga watch` beside processes that stand still: what it makes of time-outs and of suspended ones."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from saga.process.events import Started, Suspended

if TYPE_CHECKING:
    from tests.http_api.service import Service

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.acceptance]

SAGA = Path(sys.executable).with_name("saga")


async def _watch(service: Service, *arguments: str) -> tuple[int | None, str, str]:
    watching = await asyncio.create_subprocess_exec(
        SAGA,
        "watch",
        *arguments,
        "--url",
        service.url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await watching.communicate()
    return watching.returncode, stdout.decode(), stderr.decode()


async def test_watching_gives_up_after_its_time_out(service: Service) -> None:
    """Nothing happens to the process: 5, and the word on stderr."""
    code, stdout, stderr = await _watch(service, await service.start(), "--timeout", "0.2")
    assert code == 5
    assert "ingestion=pending" in stdout
    assert "has not ended within 0.2 s" in stderr


async def test_watching_ends_when_a_process_needs_a_person(service: Service) -> None:
    """A suspended process moves only by somebody's hand: watching on would never end."""
    process_id = await service.start()
    await service.play(process_id, Started(), Suspended("stuck", None, "by a test"))
    code, stdout, stderr = await _watch(service, process_id)
    assert code == 4
    assert " suspended " in stdout
    assert "is suspended" in stderr
