"""A type that is paused or resumed while a coordinator does not know it yet: it catches up at its next look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.coordinator.type_pauses import TypePauses
from tests.integration.coordinator_world import ID, World, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


async def test_what_a_pause_and_its_end_have_missed_is_caught_up_with(world: World) -> None:
    """It was begun before anybody knew of the pause, and is paused; it is resumed when the pause is over."""
    member = await world.member()
    consumption = await member.consume()
    looking = TypePauses(member.catalog, world.store.projections, member.bus, world.clock, by="c0")
    await world.store.definitions.set_paused("two_steps", paused=True)
    await member.handle(start())
    assert (await world.events())[-1] == "step_started"

    await looking.look()
    await world.quiet()
    assert (await world.events())[-2:] == ["operator_pause", "paused"]

    await world.store.definitions.set_paused("two_steps", paused=False)
    await looking.look()
    await world.quiet()
    assert (await world.events())[-2:] == ["operator_resume", "resumed"]
    await consumption.stop()


async def test_a_process_of_a_paused_type_waits_from_its_start(world: World) -> None:
    """A coordinator that knows of the pause begins it, and sends nothing."""
    member = await world.member()
    await world.store.definitions.set_paused("two_steps", paused=True)
    await member.catalog.refresh_paused()
    await member.handle(start())
    assert await world.events() == ["accepted", "started", "paused"]
    assert [one for one in member.bus.published if one.routing_key.startswith("step.")] == []
    assert ID in {one.correlation_id for one in member.bus.published}, "the pause was told of"
