"""The commands that can't be sent just now, in order, until an address takes them or their time is over."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace

from saga.calling.balance import PATIENCE_S, Balance, Wish
from saga.calling.line import Call

# Ejections end and patience wears out without anybody telling.
_LOOK_AGAIN_S = 0.2


@dataclass(slots=True, eq=False)
class _Waiter:
    wish: Wish
    since: float
    place: "asyncio.Future[Call]"


class WaitingLine:
    """Give each command a call to make; who came first goes first, as far as both could go the same way."""

    def __init__(self, balance: Balance) -> None:
        self._balance = balance
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __len__(self) -> int:
        """Count those who wait."""
        return len(self._waiters)

    async def place(self, wish: Wish, *, until: float) -> Call | None:
        """Begin a call, at the loop's time `until` at the latest; None where none could begin.

        A command that was refused already waits only for addresses that are in use. Raises CancelledError when
        the line is closed: then the command goes back to where it came from.
        """
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise asyncio.CancelledError
        waiter = _Waiter(wish, loop.time(), loop.create_future())
        self._waiters.append(waiter)
        self.move()
        if (
            not waiter.place.done()
            and wish.refused_by
            and not self._balance.may_yet(wish.refused_by, loop.time())
        ):
            self._waiters.remove(waiter)
            return None
        try:
            await asyncio.wait([waiter.place], timeout=max(0.0, until - loop.time()))
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        if not waiter.place.done():
            self._waiters.remove(waiter)
            return None
        return waiter.place.result()

    def move(self) -> None:
        """Let go whoever can go now; to be called whenever a call has ended."""
        now = asyncio.get_running_loop().time()
        stuck: set[Wish] = set()
        for waiter in list(self._waiters):
            wish = waiter.wish
            if now - waiter.since >= PATIENCE_S:
                wish = replace(wish, is_patient=False)
            if wish in stuck:
                continue
            call = self._balance.begin(wish, now)
            if call is None:
                stuck.add(wish)
                continue
            self._waiters.remove(waiter)
            waiter.place.set_result(call)
        self._look_again_later()

    def close(self) -> None:
        """Send everybody who waits back."""
        self._is_closed = True
        while self._waiters:
            self._waiters.popleft().place.cancel()

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.place.done() and not waiter.place.cancelled():
            self._balance.abandon(waiter.place.result())
            self.move()

    def _look_again_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiters:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self.move)
