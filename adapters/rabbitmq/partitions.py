"""Where replies come to: a queue for each coordinator, so that one process's replies meet in one memory.

There are a few such queues, the partitions, with fixed names. A coordinator holds the first that nobody holds,
and its commands name it as the place for their replies. The broker keeps that claim: an exclusive queue, which
goes with its connection. A partition with messages and without a consumer, since its holder is gone, is emptied
by whoever sees it first. Nothing depends on all this for being right: any coordinator may take any message, and
one that holds no partition has its replies in the queue that all share.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import aiormq
from aiormq.exceptions import ChannelAccessRefused, ChannelLockedResource, ChannelNotFoundEntity

from adapters.rabbitmq.topology import PARTITIONS, Names, declare_partition, standing_of, throwaway_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika.abc import AbstractConnection

    from adapters.rabbitmq.connection import EndSession
    from adapters.rabbitmq.consumer import RabbitConsumption

# A partition that is new to the others, and lost its holder at once, waits for so many rounds of `tend` at most.
_ROUNDS_BETWEEN_LOOKS_MAX = 60

_log = logging.getLogger(__name__)


class PartitionedConsumption:
    """Consume the shared queue, the partition that this coordinator holds, and those that nobody consumes."""

    def __init__(self, names: Names, consumption: Callable[[str], RabbitConsumption]) -> None:
        """Take `consumption`, which makes the consumer of a queue that is named."""
        self._names = names
        self._consumption = consumption
        self._shared = consumption(names.coordinator_queue)
        self._held: int | None = None
        self._own: RabbitConsumption | None = None
        self._orphaned: dict[int, RabbitConsumption] = {}
        self._connection: AbstractConnection | None = None
        self._end: EndSession | None = None
        self._last_seen = 0
        self._rounds_until_look = 0
        self._rounds_between_looks = 1

    @property
    def is_stopped(self) -> bool:
        """Tell whether it was stopped for good."""
        return self._shared.is_stopped

    @property
    def is_consuming(self) -> bool:
        """Tell whether the broker has all its consumers, as far as is known here."""
        running = [self._shared, *self._orphaned.values()] + ([self._own] if self._own else [])
        return all(one.is_consuming for one in running)

    @property
    def reply_key(self) -> str:
        """Give the prefix of the routing keys of replies that come to this coordinator."""
        return self._names.reply_key(self._held)

    async def attach(self, connection: AbstractConnection, end: EndSession) -> None:
        """Consume on this connection: the first partition that nobody holds, and the shared queue."""
        self._connection, self._end = connection, end
        self._orphaned.clear()
        self._own = None
        self._rounds_until_look, self._rounds_between_looks = 0, 1
        self._held = await self._claim(connection)
        if self._held is not None:
            self._own = self._consumption(self._names.partition_queue(self._held))
            await self._own.attach(connection, end)
        await self._shared.attach(connection, end)  # last: what it brings leads to commands

    async def tend(self) -> None:
        """Take over the partitions that wait for a consumer, and let go of those that are empty again."""
        if self._connection is None or self._end is None or self.is_stopped:
            return
        async with throwaway_channel(self._connection) as channel:
            number, last = 0, self._last_to_look_at()
            while number < last:
                number += 1
                if number == self._held:
                    continue
                try:
                    found = await standing_of(channel, self._names.partition_queue(number))
                except ChannelNotFoundEntity:
                    self._none_is_there(number)  # they are declared in order: there are no more
                    return
                if number > self._last_seen:
                    self._last_seen, self._rounds_between_looks = number, 1
                    last = max(last, min(number + 1, PARTITIONS))
                await self._tend_one(number, waiting=found.waiting, consumed=found.consumers)

    def _last_to_look_at(self) -> int:
        """Give the last partition that was seen, or now and then the one behind it, to see whether it is there.

        The broker writes an error into its log for each look at a queue that isn't.
        """
        last = max(self._last_seen, self._held or 0)
        if last < PARTITIONS and self._rounds_until_look <= 0:
            return last + 1
        self._rounds_until_look -= 1
        return last

    def _none_is_there(self, number: int) -> None:
        self._last_seen = number - 1
        self._rounds_until_look = self._rounds_between_looks
        self._rounds_between_looks = min(2 * self._rounds_between_looks, _ROUNDS_BETWEEN_LOOKS_MAX)

    async def stop(self) -> None:
        """Take no more, and let another coordinator have the partition."""
        for one in (*self._orphaned.values(), self._own):
            if one is not None:
                await one.stop()
        await self._let_go()
        await self._shared.stop()

    async def _tend_one(self, number: int, *, waiting: int, consumed: int) -> None:
        emptied = self._orphaned.get(number)
        if emptied is None and waiting and not consumed and self._connection and self._end:
            _log.info(
                "taking over partition %d: %d replies wait there, and nobody takes them", number, waiting
            )
            taken = self._orphaned[number] = self._consumption(self._names.partition_queue(number))
            await taken.attach(self._connection, self._end)
        elif emptied is not None and not waiting:
            del self._orphaned[number]
            await emptied.stop()

    async def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is None or self._connection is None:
            return
        try:
            async with throwaway_channel(self._connection) as channel:
                await channel.queue_delete(self._names.partition_claim(held))
        except (aiormq.AMQPError, aiormq.ChannelInvalidStateError, RuntimeError, OSError) as error:
            _log.debug("letting go of a partition: %r", error)  # it goes with the connection

    async def _claim(self, connection: AbstractConnection) -> int | None:
        """Hold the first partition that nobody holds; None where all are held, or this user may not declare."""
        for number in range(1, PARTITIONS + 1):
            try:
                async with throwaway_channel(connection) as channel:
                    await channel.queue_declare(self._names.partition_claim(number), exclusive=True)
                    await declare_partition(channel, self._names, number)
            except ChannelLockedResource:
                continue
            except ChannelAccessRefused as refused:
                _log.warning("without a partition, replies come to the queue that all share: %s", refused)
                return None
            return number
        return None
