"""Reports of a handler that is still at work: its own, and heartbeats. They keep the step's time-out away."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from saga.errors import BusUnavailable
from saga.participant import replies
from saga.participant.command import StepCommand
from saga.ports.participants import ReplyMessage

Report = Callable[[ReplyMessage], Awaitable[None]]

# However often a handler reports, no more than this is sent; what is left out was overtaken anyhow.
SPACING_S = 1.0

_log = logging.getLogger(__name__)


class Progress:
    """Tell how far a command is. Ask for it in a handler by a parameter of this type.

    It may be called from coroutines and from plain functions alike, as often as one likes: it returns at once,
    and about once a second the newest report is sent. One that is lost is not sent again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_new = asyncio.Event()
        self._said: tuple[float | None, str | None] = (None, None)

    def __call__(self, percent: float | None = None, message: str | None = None) -> None:
        """Report how much is done, and what is being done."""
        self._said = (percent, message)
        self._loop.call_soon_threadsafe(self._is_new.set)

    async def send(self, command: StepCommand, report: Report, *, heartbeat_s: float | None) -> None:
        """Send what is reported until cancelled, and at least each `heartbeat_s` seconds."""
        for number in itertools.count(1):
            try:
                async with asyncio.timeout(heartbeat_s):
                    await self._is_new.wait()
            except TimeoutError:
                pass  # nothing new: a heartbeat says that it is still at work
            self._is_new.clear()
            percent, message = self._said
            try:
                await report(replies.progress(command, number, percent, message))
            except (BusUnavailable, ValueError) as error:
                _log.info("a report on %s is lost: %s", command.command_id, error)
            await asyncio.sleep(SPACING_S)


@asynccontextmanager
async def reporting(
    command: StepCommand, report: Report | None, *, heartbeat_s: float | None
) -> AsyncIterator[Progress]:
    """Give what a handler reports by, and send its reports while it works."""
    progress = Progress(asyncio.get_running_loop())
    if report is None:
        yield progress
        return
    sending = asyncio.create_task(progress.send(command, report, heartbeat_s=heartbeat_s))
    try:
        yield progress
    finally:
        sending.cancel()
