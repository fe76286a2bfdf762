"""The coalescer: one round trip at a time, and the next batch gathers meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.mongodb.batching import BatchLimits, Coalescer
from saga.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Server:
    """Answers a batch when it is told to, and remembers the batches."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.under_way = 0
        self.open = asyncio.Event()
        if is_open:
            self.open.set()

    async def send(self, items: Sequence[int]) -> Sequence[int | Exception]:
        assert self.under_way == 0, "two round trips at once"
        self.under_way += 1
        self.batches.append(list(items))
        await asyncio.sleep(0)
        await self.open.wait()
        self.under_way -= 1
        return [KeyError(item) if item < 0 else item * 10 for item in items]


async def _let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_that_come_together_share_a_round_trip() -> None:
    """Callers that are ready in the same turn of the loop travel at once, and each gets its own result."""
    server = _Server()
    coalescer = Coalescer(server.send)
    assert await asyncio.gather(*map(coalescer.submit, range(5))) == [0, 10, 20, 30, 40]
    assert server.batches == [[0, 1, 2, 3, 4]]


async def test_a_lonely_call_leaves_at_once() -> None:
    """Nothing is waited for where nothing is under way."""
    server = _Server(is_open=False)
    call = asyncio.create_task(Coalescer(server.send).submit(1))
    await _let_others_run()
    assert server.batches == [[1]]
    server.open.set()
    assert await call == 10


async def test_the_next_batch_gathers_while_one_is_under_way() -> None:
    """What comes during a round trip leaves together, right after it."""
    server = _Server(is_open=False)
    coalescer = Coalescer(server.send)
    calls = []
    for item in (1, 2, 3, 4):
        calls.append(asyncio.create_task(coalescer.submit(item)))
        await _let_others_run()
    server.open.set()
    assert await asyncio.gather(*calls) == [10, 20, 30, 40]
    assert server.batches == [[1], [2, 3, 4]]


async def test_a_batch_is_bounded_by_its_count() -> None:
    """The rest waits for the next round trip, in order."""
    server = _Server()
    coalescer = Coalescer(server.send, BatchLimits(items_max=2))
    await asyncio.gather(*map(coalescer.submit, range(5)))
    assert server.batches == [[0, 1], [2, 3], [4]]


async def test_a_batch_is_bounded_by_its_bytes() -> None:
    """An item that would go over the bound waits; one that is larger than the bound travels alone."""
    server = _Server()
    coalescer = Coalescer(server.send, BatchLimits(bytes_max=10))
    sizes = (4, 6, 1, 50, 5)
    await asyncio.gather(*(coalescer.submit(index, size_bytes=size) for index, size in enumerate(sizes)))
    assert server.batches == [[0, 1], [2], [3], [4]]


async def test_an_item_that_fails_fails_only_itself() -> None:
    """An exception in the place of a result reaches its own caller and nobody else."""
    coalescer = Coalescer(_Server().send)
    results = await asyncio.gather(*map(coalescer.submit, (1, -2, 3)), return_exceptions=True)
    assert results[::2] == [10, 30]
    assert isinstance(results[1], KeyError)


async def test_a_batch_that_fails_is_heard_by_all_and_the_next_goes_on() -> None:
    """An exception of the round trip reaches everybody in it; the coalescer stays usable."""
    failing = [OSError("gone")]

    async def send(items: Sequence[int]) -> Sequence[int | Exception]:
        if failing:
            raise failing.pop()
        return list(items)

    coalescer = Coalescer(send)
    results = await asyncio.gather(*map(coalescer.submit, (1, 2)), return_exceptions=True)
    assert [str(result) for result in results] == ["gone", "gone"]
    assert await coalescer.submit(3) == 3


async def test_a_cancelled_caller_does_not_harm_the_others() -> None:
    """One that gave up before its batch left is not sent; one that gave up later is, and nobody waits."""
    server = _Server(is_open=False)
    coalescer = Coalescer(server.send)
    under_way, waiting, patient = (asyncio.create_task(coalescer.submit(item)) for item in (1, 2, 3))
    await _let_others_run()
    late, later = (asyncio.create_task(coalescer.submit(item)) for item in (4, 5))
    await _let_others_run()
    for call in (under_way, waiting, late):
        call.cancel()
    await _let_others_run()
    server.open.set()
    assert (await patient, await later) == (30, 50)
    assert server.batches == [[1, 2, 3], [5]]


async def test_closing_finishes_what_is_in_hand_and_refuses_what_comes_after() -> None:
    """Nobody's write is dropped by an orderly end."""
    server = _Server(is_open=False)
    coalescer = Coalescer(server.send)
    call = asyncio.create_task(coalescer.submit(1))
    await _let_others_run()
    closing = asyncio.create_task(coalescer.close())
    await _let_others_run()
    with pytest.raises(StoreUnavailable):
        await coalescer.submit(2)
    server.open.set()
    await closing
    assert call.done()
    assert call.result() == 10
