"""The store's time: an offset to the server's clock, sampled, on the monotonic clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from pymongo.errors import PyMongoError

from adapters.mongodb.client import Database
from saga.errors import NotReady

Now = Callable[[], float]

_PROBES = 3
_PERIOD_S = 5.0
_RETRY_S = 0.5
_SLEEP_MAX_S = 10.0
_DIFFERENCE_MAX_MS = 1_000
_ROUND_TRIP_MAX_S = 1.0


class StoreClock:
    """Tell the server's time without asking it each time.

    The offset stays good while the server is away, because the monotonic clock goes on. That a machine slept,
    or that somebody set its clock, shows as a difference between its wall clock and the store's: NotReady.
    """

    def __init__(
        self,
        server_time: Callable[[], Awaitable[float]],
        *,
        monotonic: Now = time.monotonic,
        wall: Now = time.time,
    ) -> None:
        """Take a question for the server's time (seconds); the local clocks may be replaced by a test's."""
        self._server_time = server_time
        self._monotonic = monotonic
        self._wall = wall
        self._offset_s: float | None = None
        self._last = 0
        self._sampler: asyncio.Task[None] | None = None

    def now(self) -> int:
        """Give milliseconds; raises NotReady when no sample succeeded or the clocks are a second apart."""
        if self._offset_s is None:
            raise NotReady("the store's time is not known yet")
        store_ms = int((self._monotonic() + self._offset_s) * 1000)
        difference_ms = int(self._wall() * 1000) - store_ms
        if abs(difference_ms) > _DIFFERENCE_MAX_MS:
            raise NotReady(f"this machine's clock is {difference_ms} ms away from the store's: set it by NTP")
        self._last = max(self._last, store_ms)
        return self._last

    async def sleep_until(self, at: int) -> None:
        """Wait until the store's time is `at`; an unsure clock lets it wait on."""
        while True:
            try:
                left_s = (at - self.now()) / 1000
            except NotReady:
                left_s = _RETRY_S
            if left_s <= 0:
                return
            # In slices, because a later sample may move the store's time.
            await asyncio.sleep(min(left_s, _SLEEP_MAX_S))

    async def sample(self) -> None:
        """Ask for the time and keep the answer that came quickest; raises what the question raises.

        The server read its clock somewhere within the round trip: the middle is the best guess, and the
        shortest trip the smallest error.
        """
        best: tuple[float, float] | None = None
        for _ in range(_PROBES):
            sent = self._monotonic()
            server = await self._server_time()
            trip_s = self._monotonic() - sent
            if trip_s <= _ROUND_TRIP_MAX_S and (best is None or trip_s < best[0]):
                best = (trip_s, server - (sent + trip_s / 2))
        if best is not None:
            self._offset_s = best[1]

    def start(self) -> None:
        """Sample from now on, every few seconds, until `close`."""
        self._sampler = asyncio.create_task(self._sample_for_ever())

    async def close(self) -> None:
        """Stop sampling."""
        if self._sampler is not None:
            self._sampler.cancel()
            await asyncio.wait([self._sampler])

    async def _sample_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_S if self._offset_s is None else _PERIOD_S)
            try:
                await self.sample()
            except (PyMongoError, NotReady):
                continue  # the old offset stays good; readiness asks the store itself


async def server_time(database: Database) -> float:
    """Ask the primary for its time in seconds, which it gives in milliseconds."""
    answer = await database.command({"hello": 1})
    local = answer["localTime"]
    if not isinstance(local, datetime):
        raise NotReady(f"the store gave no time but {local!r}")
    return local.timestamp()
