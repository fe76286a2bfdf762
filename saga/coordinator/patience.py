"""Patience with the outside world: what to do again, how long to wait, and when to give up holding on."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from saga.errors import BusUnavailable, NotReady, OutcomeUnknown, StoreUnavailable
from saga.ports.observer import Observer

T = TypeVar("T")

TRANSIENT = (BusUnavailable, StoreUnavailable, OutcomeUnknown, NotReady)
GIVE_UP_AFTER_S = 600.0
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0


class GaveUp(Exception):  # noqa: N818 - what happened, not whose fault
    """Say that trouble lasted so long that the messages in hand go back to the broker."""


async def patiently(action: Callable[[], Awaitable[T]], observer: Observer) -> T:
    """Do something again until it succeeds; only what is safe to repeat may come here.

    Transient trouble never costs a good message its place: it waits, unacknowledged, with growing pauses.
    Raises GaveUp after ten minutes, which is well below the broker's own limit of thirty.
    """
    wait_s = _FIRST_WAIT_S
    waited_s = 0.0
    while True:
        try:
            return await action()
        except TRANSIENT as trouble:
            observer.counted("transient_trouble", code=trouble.code)
            if waited_s >= GIVE_UP_AFTER_S:
                raise GaveUp(str(trouble)) from trouble
        pause_s = wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
        await asyncio.sleep(pause_s)
        waited_s += pause_s
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
