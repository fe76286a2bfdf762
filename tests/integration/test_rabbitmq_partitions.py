"""Partitions of the replies: who holds which, and that those of a coordinator that is gone are taken over."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.rabbitmq.bus import RabbitBus
from adapters.rabbitmq.partitions import PartitionedConsumption
from adapters.rabbitmq.topology import standing_of
from saga.ports.bus import Exchange, OutgoingMessage, PublishResult, QueueStanding
from tests.contract.carriers import Inbox, message
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import AbstractChannel


pytestmark = [pytest.mark.servers, pytest.mark.timeout(60)]


class Coordinators:
    """Open coordinators' sides of one deployment."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._prefix = f"t{secrets.token_hex(4)}"
        self._stack = stack

    async def begin(self, inbox: Inbox, *, prefetch: int = 10) -> RabbitBus:
        """Connect one and let it consume."""
        bus = await RabbitBus.open(self._url, prefix=self._prefix)
        self._stack.push_async_callback(bus.close)
        await bus.declare(["hotel"])
        await bus.consume(inbox, prefetch=prefetch)
        return bus


@asynccontextmanager
async def _coordinators(url: str) -> AsyncIterator[Coordinators]:
    async with AsyncExitStack() as stack:
        yield Coordinators(url, stack)


def _reply(key: str, number: int, *, word: str = "completed") -> OutgoingMessage:
    body = b"%d" % number
    return message(body, message_id=f"r{number}", key=f"{key}.{word}", exchange=Exchange.EVENTS)


async def test_each_coordinator_holds_a_partition_of_its_own_and_gets_its_replies(amqp_url: str) -> None:
    """Two that begin at the same moment hold two partitions; a reply goes to the one that is named."""
    async with _coordinators(amqp_url) as coordinators:
        inboxes = [Inbox(), Inbox()]
        buses = await asyncio.gather(*(coordinators.begin(inbox) for inbox in inboxes))

        assert {bus.reply_key for bus in buses} == {"step-1", "step-2"}
        for number, word in enumerate(("completed", "failed", "progress")):
            for index, bus in enumerate(buses):
                sent = _reply(bus.reply_key, 10 * index + number, word=word)
                assert await buses[0].publish(sent) is PublishResult.CONFIRMED
        await eventually(lambda: all(len(inbox.deliveries) == 3 for inbox in inboxes))
        assert set(inboxes[0].bodies) == {b"0", b"1", b"2"}
        assert set(inboxes[1].bodies) == {b"10", b"11", b"12"}


async def test_plain_replies_go_to_any_of_them(amqp_url: str) -> None:
    """Who names no partition, or was told of none, is heard all the same."""
    async with _coordinators(amqp_url) as coordinators:
        inboxes = [Inbox(), Inbox()]
        buses = [await coordinators.begin(inbox, prefetch=1) for inbox in inboxes]
        for number in range(20):
            await buses[0].publish(_reply("step", number))
        await eventually(lambda: sum(len(inbox.deliveries) for inbox in inboxes) == 20)


async def test_the_replies_of_one_that_is_gone_are_taken_over_and_its_partition_is_held_again(
    amqp_url: str,
) -> None:
    """What it had in hand and what comes later goes to the one that lives, then to the next that begins."""
    async with _coordinators(amqp_url) as coordinators:
        lives, dies, comes = Inbox(), Inbox(acknowledges=False), Inbox()
        alive = await coordinators.begin(lives)
        dying = await coordinators.begin(dies)
        key = dying.reply_key
        for number in range(5):
            await alive.publish(_reply(key, number))
        await eventually(lambda: len(dies.deliveries) == 5)

        await dying.close()

        await alive.publish(_reply(key, 5))
        await eventually(lambda: set(lives.bodies) == {b"0", b"1", b"2", b"3", b"4", b"5"})
        assert alive.reply_key != key

        next_one = await coordinators.begin(comes)
        assert next_one.reply_key == key

        async def comes_to_the_new_one() -> bool:
            await alive.publish(_reply(key, 6))
            return bool(comes.deliveries)

        await eventually(comes_to_the_new_one)


async def test_one_that_stops_consuming_lets_go_of_its_partition(amqp_url: str) -> None:
    """Its connection stays, for it may begin again; meanwhile another may hold the partition."""
    async with _coordinators(amqp_url) as coordinators:
        first = await RabbitBus.open(amqp_url, prefix=coordinators._prefix)
        await first.declare([])
        consumption = await first.consume(Inbox(), prefetch=1)
        assert first.reply_key == "step-1"

        await consumption.stop()

        assert first.reply_key == "step"
        second = await coordinators.begin(Inbox())
        assert second.reply_key == "step-1"
        await first.consume(Inbox(), prefetch=1)
        assert first.reply_key == "step-2"
        await first.close()


async def test_a_partition_that_is_not_there_is_looked_for_less_and_less_often(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker logs an error for each look at a queue that isn't; a partition that is, is looked at always."""
    async with _coordinators(amqp_url) as coordinators:
        first = await RabbitBus.open(amqp_url, prefix=coordinators._prefix)
        coordinators._stack.push_async_callback(first.close)
        await first.declare([])
        consumption = await first.consume(Inbox(), prefetch=1)
        assert isinstance(consumption, PartitionedConsumption)
        looked_at: list[str] = []

        async def looking(channel: AbstractChannel, queue: str) -> QueueStanding:
            looked_at.append(queue)
            return await standing_of(channel, queue)

        monkeypatch.setattr("adapters.rabbitmq.partitions.standing_of", looking)
        for _ in range(200):
            await consumption.tend()
        assert 2 <= len(looked_at) <= 9

        second = await coordinators.begin(Inbox())
        assert second.reply_key == "step-2"
        for _ in range(61):
            await consumption.tend()
        looked_at.clear()
        await consumption.tend()
        assert any(queue.endswith(".2") for queue in looked_at)  # beside what the second one looks at


async def test_where_all_partitions_are_held_replies_come_to_the_shared_queue(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More coordinators than partitions work as before there were any."""
    monkeypatch.setattr("adapters.rabbitmq.partitions.PARTITIONS", 1)
    async with _coordinators(amqp_url) as coordinators:
        first = await coordinators.begin(Inbox())
        second = await coordinators.begin(Inbox())
        assert (first.reply_key, second.reply_key) == ("step-1", "step")


async def test_a_partition_that_is_deleted_is_declared_and_consumed_again(
    amqp_url: str,
) -> None:
    """The consumer comes back on a new connection, with the bindings of its partition."""
    async with _coordinators(amqp_url) as coordinators:
        inbox = Inbox()
        bus = await coordinators.begin(inbox)
        connection = bus._incoming.connection
        channel = await connection.channel()
        await channel.queue_delete(f"{coordinators._prefix}.coordinator.1")

        async def arrives() -> bool:
            sent = _reply("step-1", 1)
            return await bus.publish(sent) is PublishResult.CONFIRMED and bool(inbox.deliveries)

        await eventually(arrives)
