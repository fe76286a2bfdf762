"""One world for a module's tests, with one server that is both API and coordinator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest_asyncio

from tests.acceptance.world import World, opened_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.deployment import SagaServer


@dataclass(frozen=True, slots=True)
class Stage:
    """A world with a server that runs."""

    world: World
    server: SagaServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(amqp_url: str, mongodb_url: str) -> AsyncIterator[Stage]:
    """Give the tests of one module a running server, participants and callers."""
    async with opened_world(amqp_url, mongodb_url) as world:
        yield Stage(world, await world.deployment.serve())
