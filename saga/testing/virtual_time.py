"""An event loop whose time is a number: when nothing is left to run, it goes on to the next timer at once."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class NothingLeftToHappen(RuntimeError):  # noqa: N818 - what is the case
    """Say that every task waits for something that no timer will bring: on a real loop this hangs for ever."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """Run tasks in virtual time, from 0.0 seconds on. It has no sockets and no chance of its own.

    While work that was given to threads by `run_in_executor` is not done, time stands still. Use it with
    `asyncio.Runner(loop_factory=VirtualTimeLoop)`.
    """

    _scheduled: list[asyncio.TimerHandle]  # the base class's heap of timers, the earliest first

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        # What the base class asks of a selector is `select` alone; its answer is that time has passed.
        self._selector = self
        self._clock_resolution = 1e-6
        self._in_threads = 0
        self._woken = threading.Event()

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._now

    def leap_to(self, at: float) -> None:
        """Let it be `at` now: timers that are overdue then go off once, however often they would have."""
        self._now = max(self._now, at)

    def select(self, timeout: float | None) -> tuple[()]:
        """Let the time pass that the loop would have waited, or wait for a thread."""
        if timeout == 0:
            return ()
        if self._in_threads:
            self._woken.wait()
            self._woken.clear()
            return ()
        if timeout is None:
            raise NothingLeftToHappen("every task waits, and no timer is set")
        # Not by adding up: a sum of floats may stay below the timer for ever.
        self._now = max(self._now, self._scheduled[0].when())
        return ()

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        """Run a function in a thread; until it is done no time passes here."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: "asyncio.Future[T]") -> None:
        self._in_threads -= 1

    def _process_events(self, events: object) -> None:
        """Do nothing: there are no files to watch."""

    def _write_to_self(self) -> None:
        """Hear that another thread has something for this loop."""
        self._woken.set()
