"""An event loop whose time is a number: when nothing is left to run, it goes on to the next timer at once."""

import asyncio


class NothingLeftToHappen(RuntimeError):  # noqa: N818 - what is the case
    """Say that every task waits for something that no timer will bring: on a real loop this hangs for ever."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """Run tasks in virtual time, from 0.0 seconds on. It has no sockets, no threads and no chance of its own.

    Use it with `asyncio.Runner(loop_factory=VirtualTimeLoop)`.
    """

    _scheduled: list[asyncio.TimerHandle]  # the base class's heap of timers, the earliest first

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        # What the base class asks of a selector is `select` alone; its answer is that time has passed.
        self._selector = self
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._now

    def select(self, timeout: float | None) -> tuple[()]:
        """Let the time pass that the loop would have waited."""
        if timeout is None:
            raise NothingLeftToHappen("every task waits, and no timer is set")
        if timeout > 0:
            # Not by adding up: a sum of floats may stay below the timer for ever.
            self._now = max(self._now, self._scheduled[0].when())
        return ()

    def _process_events(self, events: object) -> None:
        """Do nothing: there are no files to watch."""

    def _write_to_self(self) -> None:
        """Do nothing: no other thread has to wake this loop."""
