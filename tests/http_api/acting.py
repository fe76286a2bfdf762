"""What the tests of acting over HTTP begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saga.process.events import AttemptStarted, Started
from saga.process.status import Direction
from tests.http_api.service import BODY

if TYPE_CHECKING:
    import httpx

    from tests.http_api.service import Service

WHY = {"reason": "a person said so"}
FAR = 4_000_000_000_000


def started(step: str) -> AttemptStarted:
    """Give the event of a first attempt that has time for ever."""
    return AttemptStarted(Direction.ACTION, step, 1, FAR)


async def running_process(service: Service, **more: Any) -> str:
    """Start a process and send its first command."""
    process_id = await service.start({**BODY, **more})
    await service.play(process_id, Started(), started("ingestion"))
    return process_id


def pointers_of(answer: httpx.Response) -> list[str]:
    """Give what a problem points to."""
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]
