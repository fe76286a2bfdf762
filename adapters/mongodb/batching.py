"""Coalescing: while one round trip is under way the next batch gathers. No timer, no added latency."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from saga.errors import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

Send = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bound one batch; an item larger than `bytes_max` travels alone."""

    items_max: int = 1_000
    bytes_max: int = 16 * 1024 * 1024


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    size_bytes: int
    answer: "asyncio.Future[Result]"


class Coalescer(Generic[Item, Result]):
    """Turn concurrent calls into few round trips, one at a time.

    `send` gives one result per item, in order; an exception in the place of a result fails that item alone,
    an exception that it raises fails the batch. A caller that is cancelled before its batch leaves is
    dropped from it; afterwards its item is sent all the same.
    """

    def __init__(self, send: Send[Item, Result], limits: BatchLimits | None = None) -> None:
        self._send = send
        self._limits = limits or BatchLimits()
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: Item, *, size_bytes: int = 0) -> Result:
        """Send the item with the next batch and give its result. Raises what `send` says for it."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item, size_bytes, answer)
        self._queue.append(waiting)
        if self._runner is None:
            # The task starts after the callers that are ready now, so that they share the first batch.
            self._runner = asyncio.create_task(self._run())
        return await waiting.answer

    async def close(self) -> None:
        """Take no more items and wait for those in hand."""
        self._closed = True
        if self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        batch: list[_Waiting[Item, Result]] = []
        try:
            while batch := self._next_batch():
                await self._round_trip(batch)
        finally:
            self._runner = None
            # Only a cancelled runner leaves somebody behind; nobody may wait for ever.
            for waiting in (*batch, *self._queue):
                if not waiting.answer.done():
                    waiting.answer.set_exception(StoreUnavailable("the store was closed"))
            self._queue.clear()

    def _next_batch(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        size_bytes = 0
        while self._queue and len(batch) < self._limits.items_max:
            if batch and size_bytes + self._queue[0].size_bytes > self._limits.bytes_max:
                break
            waiting = self._queue.popleft()
            if waiting.answer.done():
                continue
            size_bytes += waiting.size_bytes
            batch.append(waiting)
        return batch

    async def _round_trip(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._send([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            results = [error] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(result, Exception):
                waiting.answer.set_exception(result)
            else:
                waiting.answer.set_result(result)
