"""What the run says, and the time that it may take."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STAND_IN_FOR_EVER_S = 5
# A run that goes on in another process counts on from where it began.
BEGAN = "BATUTA_CONTAINERS_BEGAN"
_began_at = float(os.environ.get(BEGAN) or time.monotonic())


class CheckError(Exception):
    """Say what was seen that should not be."""


def say(sentence: str) -> None:
    """Write one line with the seconds since the start; shown at once, also in a pipe."""
    sys.stdout.write(f"{time.monotonic() - _began_at:6.1f} s  {sentence}\n")
    sys.stdout.flush()


def began() -> dict[str, str]:
    """Give what a process that goes on with the run needs in its environment."""
    return {BEGAN: str(_began_at)}


def check(holds: object, otherwise: str) -> None:
    """Raise CheckError with a sentence unless something holds."""
    if not holds:
        raise CheckError(otherwise)


def wait_for(look: Callable[[], object], *, within_s: float, what: str) -> float:
    """Wait until `look` finds something true and give the seconds that it took. Raises CheckError."""
    began_at = time.monotonic()
    try:
        wait_until(look, within_s=within_s, what=what)
    except AssertionError as error:
        raise CheckError(str(error)) from None
    return time.monotonic() - began_at


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise CheckError in the main thread when the time is over; what cleans up goes outside of it."""

    def give_up(*_: object) -> NoReturn:
        signal.alarm(_STAND_IN_FOR_EVER_S)  # again, where something swallowed the first one
        raise CheckError(f"the run took more than {seconds} s and was given up")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
