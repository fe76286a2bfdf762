"""The contract of the store's clock: known when the store is open, never decreasing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.conftest import Store


async def test_time_is_known_when_the_store_is_open(store: Store) -> None:
    """The tests' store runs on this machine, so its time is this machine's within a second."""
    assert abs(store.clock.now() - time.time() * 1000) < 1_000


async def test_time_never_decreases(store: Store) -> None:
    """Thousands of readings are in order."""
    readings = [store.clock.now() for _ in range(5_000)]
    assert readings == sorted(readings)


async def test_a_sleeper_wakes_at_its_time_and_not_before(store: Store) -> None:
    """A timer never fires early by the store's clock; one that is past does not wait."""
    at = store.clock.now() + 50
    await store.clock.sleep_until(at)
    assert store.clock.now() >= at
    await store.clock.sleep_until(at - 10_000)
