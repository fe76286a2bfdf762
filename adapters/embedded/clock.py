"""The time of the embedded store: this machine's clock, which never goes back while the server runs."""

import asyncio
import time

# A sleeper looks again this often, so that a clock that was set forward wakes it.
LOOK_AGAIN_S = 30.0


class MachineClock:
    """Tell the machine's time; when that is set back, go on at the pace of the monotonic clock."""

    def __init__(self) -> None:
        self._base_ms = _wall_ms()
        self._base_at = time.monotonic()

    def now(self) -> int:
        """Give milliseconds since 1970 UTC, never decreasing."""
        elapsed_ms = int((time.monotonic() - self._base_at) * 1000)
        steady = self._base_ms + elapsed_ms
        wall = _wall_ms()
        if wall <= steady:
            return steady
        self._base_ms = wall
        self._base_at = time.monotonic()
        return wall

    async def sleep_until(self, at: int) -> None:
        """Wait until `now()` is `at`."""
        while (left_ms := at - self.now()) > 0:  # noqa: ASYNC110 - time is no event
            await asyncio.sleep(min(left_ms / 1000, LOOK_AGAIN_S))


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
