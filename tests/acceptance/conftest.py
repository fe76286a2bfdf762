"""One world for a module's tests, with one server that is both API and coordinator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest_asyncio

from tests.acceptance.world import World, opened_world
from tests.support.scripted_participant import script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.deployment import SagaServer


@dataclass(frozen=True, slots=True)
class Stage:
    """A world with a server that runs."""

    world: World
    server: SagaServer

    async def start(self, process_type: str, **words: str) -> str:
        """Start a process over HTTP with a script for its steps, and give its id."""
        answer = await self.world.post(
            self.server, {"process_type": process_type, "parameters": script(words)}
        )
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["process_id"])

    async def events(self, process_id: str) -> list[dict[str, Any]]:
        """Read the log of a process."""
        events: list[dict[str, Any]] = await self.world.get(self.server, f"/process/{process_id}/events")
        return events


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(amqp_url: str, mongodb_url: str) -> AsyncIterator[Stage]:
    """Give the tests of one module a running server, participants and callers."""
    async with opened_world(amqp_url, mongodb_url) as world:
        yield Stage(world, await world.deployment.serve())
