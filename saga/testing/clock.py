"""Clocks for tests: one that only the test moves, and one that follows the running loop's time."""

import asyncio


class ManualClock:
    """Stand still until the test moves it."""

    def __init__(self, at: int = 0) -> None:
        self._at = at
        self._moved = asyncio.Event()

    def now(self) -> int:
        """Give the time that the test set, in milliseconds."""
        return self._at

    async def sleep_until(self, at: int) -> None:
        """Wait until the clock was moved so far."""
        while self._at < at:
            await self._moved.wait()

    def move(self, milliseconds: int) -> None:
        """Let time pass, and wake those who slept until then. Raises ValueError for a way back."""
        if milliseconds < 0:
            raise ValueError("the store's time never decreases")
        self._at += milliseconds
        self._moved.set()
        self._moved = asyncio.Event()


class LoopClock:
    """Tell the running loop's time from an epoch on: real on a usual loop, virtual on a `VirtualTimeLoop`."""

    def __init__(self, epoch_ms: int) -> None:
        self._epoch_ms = epoch_ms
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()

    def now(self) -> int:
        """Give milliseconds since 1970 UTC."""
        return self._loop_time_ms()

    async def sleep_until(self, at: int) -> None:
        """Wait until `now()` is `at`."""
        while (left_ms := at - self._loop_time_ms()) > 0:  # noqa: ASYNC110 - time is no event
            await asyncio.sleep(left_ms / 1000)

    def loop_time_of(self, at: int) -> float:
        """Give what the loop's time is when `now()` is `at`."""
        return self._began_at + (at - self._epoch_ms) / 1000

    def _loop_time_ms(self) -> int:
        return self._epoch_ms + int((self._loop.time() - self._began_at) * 1000)
