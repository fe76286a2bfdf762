"""Acknowledge together what was finished at the same moment, as far as that goes.

A coordinator finishes messages in bursts, since one write of the store serves many; and one acknowledgement for
many costs the broker, which keeps a record of each, little more than one for one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiormq

if TYPE_CHECKING:
    from collections.abc import Callable


class Acknowledgements:
    """Gather the acknowledgements of a channel until the loop is through with what is ready now.

    One may stand for all deliveries up to its own: it does so where all of those are finished.
    """

    def __init__(self, channel: aiormq.Channel, lost: Callable[[], None]) -> None:
        self._channel = channel
        self._lost = lost
        self._in_hand: dict[int, None] = {}  # in the order of their delivery
        self._finished: set[int] = set()
        self._sending: asyncio.Task[None] | None = None

    def expect(self, tag: int) -> None:
        """Note a delivery; they are noted in the order in which they come."""
        self._in_hand[tag] = None

    def finish(self, tag: int) -> None:
        """Acknowledge a delivery very soon; on a lost channel `lost` is called instead."""
        self._finished.add(tag)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def sent(self) -> None:
        """Wait until all that was finished is acknowledged."""
        while self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        while self._finished:
            finished, self._finished = self._finished, set()
            try:
                await self._acknowledge(finished)
            except (aiormq.AMQPError, aiormq.ChannelInvalidStateError, OSError):
                for _ in finished:
                    self._lost()
        self._sending = None

    async def _acknowledge(self, finished: set[int]) -> None:
        up_to = 0
        for tag in self._in_hand:
            if tag not in finished:
                break
            up_to = tag
        for tag in finished:
            del self._in_hand[tag]
        if up_to:
            await self._channel.basic_ack(up_to, multiple=True, wait=False)
        for tag in sorted(tag for tag in finished if tag > up_to):
            await self._channel.basic_ack(tag, wait=False)
