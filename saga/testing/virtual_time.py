"""An event loop whose time is a number: when nothing is left to run, it goes on to the next timer at once."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import ContextVar
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

IN_BACKGROUND: ContextVar[bool] = ContextVar("IN_BACKGROUND", default=False)
"""Say of a task that nothing waits for its timers: it looks around every second, for ever."""
# How long other threads must have said nothing before time goes on: longer than a database takes.
SILENT_FOR_S = 0.5


class NothingLeftToHappen(RuntimeError):  # noqa: N818 - what is the case
    """Say that every task waits for something that no timer will bring: on a real loop this hangs for ever."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """Run tasks in virtual time, from 0.0 seconds on. It has no sockets and no chance of its own.

    While work that was given to threads by `run_in_executor` is not done, time stands still. Where there are
    other threads, such as a database driver's, nobody knows whether they are at work: time goes on only when
    they have said nothing for half a second, unless `may_be_at_work` says that they have nothing to do. Use it
    with `asyncio.Runner(loop_factory=VirtualTimeLoop)`.
    """

    _scheduled: list[asyncio.TimerHandle]  # the base class's heap of timers, the earliest first
    _ready: deque[asyncio.Handle]  # what it runs next

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        # What the base class asks of a selector is `select` alone; its answer is that time has passed.
        self._selector = self
        self._clock_resolution = 1e-6
        self._in_threads = 0
        self._known_threads = set(threading.enumerate())
        self._woken = threading.Event()
        self.may_be_at_work: Callable[[], bool] = lambda: True

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._now

    @property
    def next_awaited_at(self) -> float | None:
        """Give the time of the next timer that was not set in the background; None where there is none."""
        awaited = (
            timer.when()
            for timer in self._scheduled
            # That a timer keeps the context that it was set in is no secret, only unnamed in the types.
            if not timer.cancelled() and not timer._context.get(IN_BACKGROUND)  # type: ignore[attr-defined]  # noqa: SLF001
        )
        return min(awaited, default=None)

    async def settle(self) -> None:
        """Let everything run that is ready at this point in time."""
        while self._ready:  # noqa: ASYNC110 - that nothing is ready is no event
            await asyncio.sleep(0)

    def leap_to(self, at: float) -> None:
        """Let it be `at` now: timers that are overdue then go off once, however often they would have."""
        self._now = max(self._now, at)

    def select(self, timeout: float | None) -> tuple[()]:
        """Let the time pass that the loop would have waited, or wait for a thread."""
        if timeout == 0:
            return ()
        if self._in_threads or self._waits_for_others():
            was_woken = self._woken.wait(None if self._in_threads else SILENT_FOR_S)
            self._woken.clear()
            if was_woken:
                return ()
        if timeout is None:
            raise NothingLeftToHappen("every task waits, and no timer is set")
        # Not by adding up: a sum of floats may stay below the timer for ever.
        self._now = max(self._now, self._scheduled[0].when())
        return ()

    def _waits_for_others(self) -> bool:
        return not self._known_threads.issuperset(threading.enumerate()) and self.may_be_at_work()

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        """Run a function in a thread; until it is done no time passes here."""

        def run() -> T:
            self._known_threads.add(threading.current_thread())
            return func(*args)

        future: asyncio.Future[T] = super().run_in_executor(executor, run)
        self._in_threads += 1
        future.add_done_callback(self._came_back)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        """Wait for the threads of `asyncio.to_thread`, which end in real time."""
        self._in_threads += 1
        try:
            await super().shutdown_default_executor(*(() if timeout is None else (timeout,)))
        finally:
            self._in_threads -= 1

    def _came_back(self, _: "asyncio.Future[T]") -> None:
        self._in_threads -= 1

    def _process_events(self, events: object) -> None:
        """Do nothing: there are no files to watch."""

    def _write_to_self(self) -> None:
        """Hear that another thread has something for this loop."""
        self._woken.set()
