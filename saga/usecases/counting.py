"""How many processes there are: counted anew while that is quick, else told from the last count for a while."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from saga.ports.projections import ProjectionStore

# A count that took no longer is never told a second time.
QUICK_S = 0.05
KEPT_S = 60.0
# Counting takes one part of so many of the time, while somebody asks.
SHARE = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """Hold the number of processes by (process type, status), and how many seconds ago they were counted."""

    by_type_and_status: Mapping[tuple[str, str], int]
    age_s: float


@dataclass(frozen=True, slots=True)
class _Counted:
    numbers: Mapping[tuple[str, str], int]
    began_at: float
    took_s: float


class ProcessCounts:
    """Count the processes without letting those who ask wait for it, where a store needs long to count.

    It walks over an entry for each process: a fifth of a second for a million, and seconds for ten. So the last
    count is told again, until it is a minute old; meanwhile they are counted anew behind the scenes.
    """

    def __init__(self, projections: ProjectionStore) -> None:
        self._projections = projections
        self._last: _Counted | None = None
        self._counting: asyncio.Task[_Counted] | None = None

    async def now(self) -> Counts:
        """Give the counts, a minute old at most. Raises StoreUnavailable."""
        last = self._last
        if last is None or last.took_s <= QUICK_S or _age_s(last) > KEPT_S:
            # Shielded: one who goes away must not take the count from others, nor from the next who asks.
            last = await asyncio.shield(self._begun())
        elif _age_s(last) > SHARE * last.took_s:
            self._begun()
        return Counts(last.numbers, _age_s(last))

    def _begun(self) -> "asyncio.Task[_Counted]":
        if self._counting is None:
            self._counting = asyncio.create_task(self._count())
            self._counting.add_done_callback(self._counted)
        return self._counting

    async def _count(self) -> _Counted:
        began_at = _time()
        numbers = await self._projections.counts()
        return _Counted(numbers, began_at, _time() - began_at)

    def _counted(self, task: "asyncio.Task[_Counted]") -> None:
        self._counting = None
        # What went wrong behind the scenes is told to whoever asks once the last count is too old.
        if not task.cancelled() and task.exception() is None:
            self._last = task.result()


def _age_s(counted: _Counted) -> float:
    return _time() - counted.began_at


def _time() -> float:
    return asyncio.get_running_loop().time()
