"""Kill this very process at a named point: how the tests show that a crash anywhere loses nothing.

Armed only by SAGA_TEST_CRASH_AT=point:n, which no deployment sets.
"""

import asyncio
import os
import signal
from collections import Counter

from saga.ports.observer import Observer

# At these points something was only handed over; the kill waits a moment, so that it is on its way.
_ON_ITS_WAY = frozenset({"append_sent", "published"})
_ON_ITS_WAY_S = 0.001


class CrashingObserver:
    """Pass everything on, and end the process by SIGKILL at the n-th passing of the point."""

    def __init__(self, inner: Observer, crash_at: str) -> None:
        point, _, nth = crash_at.partition(":")
        self._inner = inner
        self._point = point
        self._nth = int(nth or 1)
        self._passed: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        """Pass a point, perhaps for the last time."""
        self._inner.reached(point)
        self._passed[point] += 1
        if point != self._point or self._passed[point] != self._nth:
            return
        if point in _ON_ITS_WAY:
            asyncio.get_running_loop().call_later(_ON_ITS_WAY_S, _die)
        else:
            _die()

    def counted(self, name: str, **labels: str) -> None:
        """Pass a count on."""
        self._inner.counted(name, **labels)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
