"""Turns: one at a time per process, in the order of asking, and nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

from saga.coordinator.turns import Turns


async def test_one_process_is_worked_on_by_one_at_a_time_in_order() -> None:
    """Whoever asks first is served first."""
    turns, log = Turns(), []

    async def work(number: int) -> None:
        async with turns.of("p"):
            log.append(f"{number} begins")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            log.append(f"{number} ends")

    await asyncio.gather(*(work(number) for number in range(20)))

    assert log == [f"{number} {word}" for number in range(20) for word in ("begins", "ends")]


async def test_other_processes_do_not_wait() -> None:
    """While one process is worked on, another has its turn at once."""
    turns = Turns()
    async with turns.of("p"), asyncio.timeout(1), turns.of("q"):
        assert len(turns._locks) == 2


async def test_nothing_is_left_of_a_process_that_nobody_works_on() -> None:
    """Also after an error, and after somebody gave up waiting."""
    turns = Turns()

    async def fail() -> None:
        async with turns.of("p"):
            raise KeyError("defect")

    async def wait() -> None:
        async with turns.of("q"):
            pass

    with pytest.raises(KeyError):
        await fail()
    async with turns.of("q"):
        impatient = asyncio.ensure_future(wait())
        patient = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        impatient.cancel()
    await patient

    assert turns._locks == {}
