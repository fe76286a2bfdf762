"""Time that is moved, by hand or by the loop."""

from __future__ import annotations

import asyncio
import time

import pytest

from saga.testing import LoopClock, ManualClock, NothingLeftToHappen, VirtualTimeLoop

YEAR_S = 365 * 86_400


def test_sleeping_for_a_year_costs_nothing_in_virtual_time() -> None:
    """The loop goes on to the next timer at once, and its clock shows that the time has passed."""

    async def sleep() -> int:
        clock = LoopClock(1_000)
        await asyncio.sleep(YEAR_S)
        return clock.now()

    began = time.monotonic()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(sleep()) == 1_000 + YEAR_S * 1_000
    assert time.monotonic() - began < 5


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """Whoever began first, the one that is due first goes on first."""
    woken: list[int] = []

    async def sleeper(at: int) -> None:
        await LoopClock(0).sleep_until(at)
        woken.append(at)

    async def all_of_them() -> None:
        await asyncio.gather(*(sleeper(at) for at in (30_000, 10, 500)))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(all_of_them())
    assert woken == [10, 500, 30_000]


def test_a_wait_that_nothing_can_end_is_reported() -> None:
    """What would hang for ever on a real loop raises instead."""

    async def hang() -> None:
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(NothingLeftToHappen):
        runner.run(hang())


async def test_a_manual_clock_wakes_who_slept_until_then() -> None:
    """It stands still by itself; a sleeper goes on when the clock was moved far enough, and not before."""
    clock = ManualClock(100)
    sleeper = asyncio.create_task(clock.sleep_until(150))
    await asyncio.sleep(0)
    clock.move(49)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.move(1)
    await sleeper
    assert clock.now() == 150


def test_a_manual_clock_never_goes_back() -> None:
    """The store's time never decreases, so a test that moves it back is wrong."""
    with pytest.raises(ValueError, match="never decreases"):
        ManualClock(5).move(-1)
