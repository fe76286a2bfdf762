"""The barrier in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from saga.participant.barrier import BarrierTransaction, Memory

T = TypeVar("T")


class InMemoryWork(list[object]):
    """What handlers write in a transaction: kept with it, or forgotten with it."""


class InMemoryBarrier:
    """Remember until the process ends; implements `saga.participant.barrier.Barrier`.

    A handler asks for an `InMemoryWork` and appends to it what it does; `work` has all that was committed.
    """

    handle_types: tuple[type, ...] = (InMemoryWork,)

    def __init__(self) -> None:
        self.work: list[object] = []
        self._memories: dict[str, Memory] = {}
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[BarrierTransaction], Awaitable[T]]) -> T:
        """Run one transaction after the other."""
        async with self._turn:
            transaction = _Transaction(dict(self._memories))
            done = await work(transaction)
            self._memories = transaction.memories
            self.work.extend(transaction.handle)
            return done

    async def close(self) -> None:
        """Keep everything: a test may look at it."""


class _Transaction:
    """Changes that are not committed yet."""

    def __init__(self, memories: dict[str, Memory]) -> None:
        self.memories = memories
        self._work = InMemoryWork()

    @property
    def handle(self) -> InMemoryWork:
        """Give what the handler appends to."""
        return self._work

    async def take(self, key: str, first: Memory) -> Memory | None:
        """Remember where nothing is remembered."""
        known = self.memories.get(key)
        if known is None:
            self.memories[key] = first
        return known

    async def look(self, key: str) -> Memory | None:
        """Give what is remembered."""
        return self.memories.get(key)

    async def put(self, key: str, memory: Memory) -> None:
        """Replace what is remembered."""
        self.memories[key] = memory
