"""One at a time per process: two messages of one process never race inside one coordinator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Hand out turns per process in the order of asking; costs nothing for processes that nobody works on."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, process_id: str) -> AsyncIterator[None]:
        """Wait for this process's turn and hold it."""
        lock, users = self._locks.get(process_id) or (asyncio.Lock(), 0)
        self._locks[process_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[process_id]
            if users == 1:
                del self._locks[process_id]
            else:
                self._locks[process_id] = (lock, users - 1)
