"""Counting: exact while it is quick; of very many, told at once and never older than a minute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from saga.errors import StoreUnavailable
from saga.testing import InMemoryProjectionStore, VirtualTimeLoop
from saga.usecases.counting import KEPT_S, ProcessCounts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping


class SlowStore(InMemoryProjectionStore):
    """A store that needs `takes_s` to count; what it counts is how often it was asked."""

    def __init__(self, takes_s: float) -> None:
        super().__init__()
        self.takes_s = takes_s
        self.asked = 0
        self.is_away = False

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Count, after a while."""
        self.asked += 1
        asked = self.asked
        await asyncio.sleep(self.takes_s)
        if self.is_away:
            raise StoreUnavailable("away")
        return {("trip", "started"): asked}


def _run(test: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test)


async def _now(counts: ProcessCounts) -> tuple[int, float, float]:
    """Give the number, its age, and how long it took to be told."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    counted = await counts.now()
    return counted.by_type_and_status["trip", "started"], counted.age_s, loop.time() - began


def test_a_quick_count_is_made_for_each_who_asks() -> None:
    """Nobody is told what was counted before."""

    async def test() -> None:
        counts = ProcessCounts(SlowStore(0.01))
        assert [(await _now(counts))[0] for _ in range(3)] == [1, 2, 3]

    _run(test())


def test_a_slow_count_is_told_at_once_and_made_anew_behind_the_scenes() -> None:
    """Only the first who asks waits; the store counts a tenth of the time, however often it is asked."""

    async def test() -> None:
        store = SlowStore(1.0)
        counts = ProcessCounts(store)
        assert await _now(counts) == (1, 1.0, 1.0)
        for _ in range(1_000):
            await asyncio.sleep(0.1)
            number, age_s, took_s = await _now(counts)
            assert took_s == 0
            assert age_s < 12
            assert number >= store.asked - 1
        assert 9 <= store.asked <= 11

    _run(test())


def test_what_is_older_than_a_minute_is_not_told() -> None:
    """Whoever asks after a long silence waits for the count."""

    async def test() -> None:
        counts = ProcessCounts(SlowStore(1.0))
        await counts.now()
        await asyncio.sleep(KEPT_S)
        assert await _now(counts) == (2, 1.0, 1.0)

    _run(test())


def test_those_who_wait_share_a_count_and_one_who_leaves_does_not_end_it() -> None:
    """A count that takes longer than its reader's patience is there for the next one."""

    async def test() -> None:
        store = SlowStore(5.0)
        counts = ProcessCounts(store)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await counts.now()
        assert list(await asyncio.gather(_now(counts), _now(counts))) == [(1, 5.0, 3.0)] * 2
        assert store.asked == 1

    _run(test())


def test_a_store_that_is_away_is_told_once_the_last_count_is_too_old() -> None:
    """Until then the last count serves, and a store that is back is asked again."""

    async def test() -> None:
        store = SlowStore(1.0)
        counts = ProcessCounts(store)
        await counts.now()
        store.is_away = True
        for _ in range(5):
            await asyncio.sleep(11)
            assert (await _now(counts))[0] == 1
        await asyncio.sleep(11)
        with pytest.raises(StoreUnavailable):
            await counts.now()
        store.is_away = False
        assert (await _now(counts))[1:] == (1.0, 1.0)

    _run(test())
