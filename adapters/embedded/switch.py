"""The middle of the embedded bus: one per file, shared by the coordinator and all participants.

It knows the queues, who has what in hand, and which commands an append has put in line already.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable
from functools import partial

from adapters.embedded.lanes import Writer
from adapters.embedded.lines import Consumer, EmbeddedDelivery, Line
from adapters.embedded.messages import (
    NewMessage,
    StoredMessage,
    count,
    delete,
    insert,
    insert_dead_letter,
    insert_queues,
    mark_orphans,
)
from saga.errors import OutcomeUnknown, StoreUnavailable
from saga.ports.bus import DeliveryHandler

# A coordinator publishes what it appended at once; more than this many ids are leftovers of broken-off tasks.
AHEAD_MAX = 20_000
RETRY_FIRST_S = 0.1
RETRY_LAST_S = 5.0

_log = logging.getLogger(__name__)


class Switch:
    """Move messages between the file and those who take them."""

    def __init__(self, writer: Writer, queues: Iterable[str]) -> None:
        self._writer = writer
        self._lines = {name: Line(name, writer) for name in queues}
        self._in_hand: dict[int, EmbeddedDelivery] = {}
        self._ahead: dict[str, None] = {}
        self._returned: list[Callable[[], None]] = []
        self._mending: asyncio.Task[None] | None = None
        self._closed = False
        writer.on_doubt(self._mend)

    def has(self, queue: str) -> bool:
        """Tell whether a queue was declared."""
        return queue in self._lines

    async def declare(self, queues: Collection[str]) -> None:
        """Make queues durable; those that are there stay as they are. Raises StoreUnavailable."""
        new = [name for name in queues if name not in self._lines]
        if new:
            await self._writer.run(partial(insert_queues, names=new))
            for name in new:
                self._lines.setdefault(name, Line(name, self._writer))

    def consumers(self, queue: str) -> int:
        """Count the consumers of a queue."""
        line = self._lines.get(queue)
        return 0 if line is None else line.consumers

    def waiting_in_memory(self, queue: str) -> int:
        """Count the messages of a queue that memory holds and nobody has in hand."""
        return self._lines[queue].in_memory

    async def waiting(self, queue: str) -> int:
        """Count the messages of a queue that nobody has in hand. Raises StoreUnavailable, OutcomeUnknown."""
        stored = await self._writer.run(partial(count, queue=queue))
        in_hand = sum(delivery.message.queue == queue for delivery in self._in_hand.values())
        return max(0, stored - in_hand)

    async def put(self, message: NewMessage) -> None:
        """Put a message in line, durably. Raises StoreUnavailable, OutcomeUnknown."""
        try:
            await self._writer.run(partial(insert, message=message), self._offer)
        except (StoreUnavailable, OutcomeUnknown):
            self._mend()
            raise

    def appended(self, tags: Iterable[str], commands: Iterable[str], stored: Iterable[StoredMessage]) -> None:
        """Hear what an append committed: its commands are in line, the messages that it answers are off.

        The publishing that follows finds the ids here and writes nothing, also when a participant was so
        quick that its command is off the queue by then.
        """
        for command_id in commands:
            self._ahead[command_id] = None
        while len(self._ahead) > AHEAD_MAX:
            self._ahead.pop(next(iter(self._ahead)))
        for message in stored:
            self._offer(message)
        for tag in tags:
            self._answered(int(tag))

    def was_sent_ahead(self, command_id: str) -> bool:
        """Tell, once, whether an append has put this command in line."""
        if command_id in self._ahead:
            del self._ahead[command_id]
            return True
        return False

    def consume(self, queue: str, handler: DeliveryHandler, *, limit: int) -> Consumer:
        """Let a handler take from a declared queue."""
        line = self._lines[queue]
        consumer = Consumer(line, self, handler, limit)
        line.join(consumer)
        return consumer

    def took(self, delivery: EmbeddedDelivery) -> None:
        """Hear that a message went into somebody's hands."""
        self._in_hand[delivery.message.position] = delivery

    async def acknowledge(self, delivery: EmbeddedDelivery) -> None:
        """Take a message off; where the append did that already, only its slot becomes free."""
        if delivery.is_answered:
            self._settle(delivery)
            return
        await self._insist(
            partial(delete, position=delivery.message.position), lambda _: self._settle(delivery)
        )

    async def answer(self, delivery: EmbeddedDelivery, reply: NewMessage) -> None:
        """Put a reply in line and take its command off, in one transaction.

        A reply whose queue nobody declared goes nowhere, as on a broker.
        """

        def work(connection: sqlite3.Connection) -> StoredMessage | None:
            delete(connection, delivery.message.position)
            return insert(connection, reply) if self.has(reply.queue) else None

        def then(stored: StoredMessage | None) -> None:
            self._offer(stored)
            self._settle(delivery)

        await self._insist(work, then)

    async def bury(self, delivery: EmbeddedDelivery, *, reason: str, detail: str, at: int) -> None:
        """Keep a copy of a message among the dead letters. Raises StoreUnavailable, OutcomeUnknown."""
        await self._writer.run(
            partial(insert_dead_letter, message=delivery.message, reason=reason, detail=detail, at=at)
        )

    def give_back(self, deliveries: Collection[EmbeddedDelivery]) -> None:
        """Put messages that nobody will acknowledge back in their places."""
        by_line: dict[Line, list[int]] = {}
        for delivery in deliveries:
            self._release(delivery)
            by_line.setdefault(delivery.consumer.line, []).append(delivery.message.position)
        if any(delivery.is_answered for delivery in deliveries):
            self._orphan()
        for line, positions in by_line.items():
            line.put_back(positions)

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call back when writing works again after it failed."""
        self._returned.append(callback)

    async def close(self) -> None:
        """Stop moving messages."""
        self._closed = True
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)

    def _offer(self, stored: StoredMessage | None) -> None:
        if stored is not None and stored.queue in self._lines:
            self._lines[stored.queue].offer(stored)

    def _answered(self, position: int) -> None:
        delivery = self._in_hand.get(position)
        if delivery is None:
            self._orphan()  # it went out of hand while the append was under way
        else:
            delivery.is_answered = True

    def _orphan(self) -> None:
        """Have the processes looked at whose message is off, though their projection may be behind."""
        if not self._closed:
            marking = self._writer.run(mark_orphans)
            # When this fails the next start does it; nobody waits for it here.
            marking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    def _release(self, delivery: EmbeddedDelivery) -> None:
        position = delivery.message.position
        delivery.consumer.in_hand.pop(position, None)
        if self._in_hand.get(position) is delivery:
            del self._in_hand[position]

    def _settle(self, delivery: EmbeddedDelivery) -> None:
        self._release(delivery)
        delivery.consumer.line.settle(delivery.message.position)

    async def _insist(
        self,
        work: Callable[[sqlite3.Connection], StoredMessage | None],
        then: Callable[[StoredMessage | None], None],
    ) -> None:
        """Do work that frees a slot, again and again until it is done; a closed store gives it up.

        Given up means: the message is still in the file and is delivered again after the next start.
        """
        pause = RETRY_FIRST_S
        while True:
            try:
                await self._writer.run(work, then)
            except (StoreUnavailable, OutcomeUnknown) as error:
                if self._closed:
                    return
                _log.warning("a message could not be taken off, trying again: %s", error)
            else:
                return
            self._mend()
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_LAST_S)

    def _mend(self) -> None:
        """Read the file anew once it takes writes again; at once would be a hot loop on a broken disk."""
        if self._mending is None and not self._closed:
            self._mending = asyncio.get_running_loop().create_task(self._wait_for_the_file())

    async def _wait_for_the_file(self) -> None:
        pause = RETRY_FIRST_S
        while True:
            await asyncio.sleep(pause)
            try:
                await self._writer.run(_touch)
            except (StoreUnavailable, OutcomeUnknown):
                pause = min(pause * 2, RETRY_LAST_S)
            else:
                break
        self._mending = None
        self._read_anew()
        for callback in self._returned:
            callback()

    def _read_anew(self) -> None:
        for line in self._lines.values():
            line.read_anew()


def _touch(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE schema_version SET version = version")
