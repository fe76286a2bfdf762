"""One queue: who takes from it, what is in hand, and the short window of it that is in memory.

The file is the queue; memory holds its next few messages. Everything here runs in the event loop; reads of
the file go through the writer's lane, so that they and the inserts are seen in one order.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from adapters.embedded.lanes import Writer
from adapters.embedded.messages import StoredMessage, Window, read_window
from saga.errors import OutcomeUnknown, StoreUnavailable
from saga.ports.bus import DeliveryHandler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.embedded.switch import Switch

WINDOW_COUNT = 256
WINDOW_BYTES = 8 * 1024 * 1024

_log = logging.getLogger(__name__)


class EmbeddedDelivery:
    """One message in the hands of a consumer."""

    def __init__(self, message: StoredMessage, consumer: "Consumer", switch: "Switch") -> None:
        self.message = message
        self.consumer = consumer
        # Set by the append that took the message off its queue.
        self.is_answered = False
        self.body = message.body
        self.exchange = message.exchange
        self.routing_key = message.routing_key
        self.message_id = message.message_id
        self.app_id = message.app_id
        self.content_encoding = None
        self.headers: Mapping[str, object] = message.headers
        self.tag = str(message.position)
        self._switch = switch

    async def acknowledge(self) -> None:
        """Take the message off its queue; durable on return."""
        await self._switch.acknowledge(self)


class Consumer:
    """Take messages of one queue, so many at once; it is the port's `Consumption` too."""

    def __init__(self, line: "Line", switch: "Switch", handler: DeliveryHandler, limit: int) -> None:
        self._line = line
        self._switch = switch
        self._handler = handler
        self._limit = limit
        self._stopped = False
        self._tasks: dict[asyncio.Task[None], EmbeddedDelivery] = {}
        self.in_hand: dict[int, EmbeddedDelivery] = {}

    @property
    def line(self) -> "Line":
        """Give the queue that it takes from."""
        return self._line

    @property
    def is_free(self) -> bool:
        """Tell whether it would take one more message now."""
        return not self._stopped and len(self.in_hand) < self._limit

    def take(self, message: StoredMessage) -> None:
        """Hand a message to the handler."""
        delivery = EmbeddedDelivery(message, self, self._switch)
        self.in_hand[message.position] = delivery
        self._switch.took(delivery)
        task = asyncio.get_running_loop().create_task(self._handle(delivery))
        self._tasks[task] = delivery
        task.add_done_callback(self._finished)

    async def stop(self) -> None:
        """Take no more; what no handler works on any more, and is not acknowledged, goes back in line."""
        self._stopped = True
        self._line.leave(self)
        working = set(self._tasks.values())
        self._switch.give_back([left for left in self.in_hand.values() if left not in working])

    async def abandon(self, *, grace_s: float = 0) -> None:
        """Stop, and break off the handlers after the grace; what is not acknowledged goes back in line."""
        await self.stop()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        if tasks and grace_s > 0:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._switch.give_back(list(self.in_hand.values()))

    async def _handle(self, delivery: EmbeddedDelivery) -> None:
        try:
            await self._handler(delivery)
        except Exception:  # noqa: BLE001 - a bug in a handler must not end the consumer
            _log.exception("a handler raised; its message stays unacknowledged", extra={"tag": delivery.tag})

    def _finished(self, task: "asyncio.Task[None]") -> None:
        delivery = self._tasks.pop(task)
        if self._stopped and delivery.message.position in self.in_hand:
            self._switch.give_back([delivery])


class Line:
    """One queue with its consumers, served in turn, and the window of its next messages."""

    def __init__(self, name: str, writer: Writer) -> None:
        self.name = name
        self._writer = writer
        self._ready: deque[StoredMessage] = deque()
        self._ready_bytes = 0
        self._read_up_to = 0
        self._has_more = True  # a queue of an earlier run, until a read shows its end
        self._reading = False
        self._reads = 0
        self._in_hand: set[int] = set()
        self._consumers: deque[Consumer] = deque()

    @property
    def consumers(self) -> int:
        """Count those who take from it."""
        return len(self._consumers)

    @property
    def in_memory(self) -> int:
        """Count the waiting messages that memory holds."""
        return len(self._ready)

    def join(self, consumer: Consumer) -> None:
        """Let one more take from it."""
        self._consumers.append(consumer)
        self.serve()

    def leave(self, consumer: Consumer) -> None:
        """Let one go; twice is harmless."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def offer(self, message: StoredMessage) -> None:
        """Hear of a message that was just committed; behind a full window it stays in the file."""
        if self._has_more:
            self.serve()
            return
        if len(self._ready) >= WINDOW_COUNT or self._ready_bytes >= WINDOW_BYTES:
            self._has_more = True
            return
        self._push(message)
        self.serve()

    def serve(self) -> None:
        """Hand out what can be handed out, and read on when the window runs low."""
        while self._ready and (consumer := self._next_free()) is not None:
            message = self._ready.popleft()
            self._ready_bytes -= len(message.body)
            self._in_hand.add(message.position)
            consumer.take(message)
        is_low = len(self._ready) < WINDOW_COUNT // 2 and self._ready_bytes < WINDOW_BYTES // 2
        if self._has_more and is_low and self._consumers and not self._reading:
            self._read_on()

    def settle(self, position: int) -> None:
        """Forget a message that is off the queue, also one that had gone back in line."""
        if position in self._in_hand:
            self._in_hand.discard(position)
        else:
            self._drop(position)
        self.serve()

    def put_back(self, positions: list[int]) -> None:
        """Put messages back in their old places, which are before all that came later."""
        self._in_hand.difference_update(positions)
        self.read_anew()

    def read_anew(self) -> None:
        """Drop the window and read it again from the file."""
        self._ready.clear()
        self._ready_bytes = 0
        self._read_up_to = 0
        self._has_more = True
        self._reading = False
        self._reads += 1  # a read under way belongs to the window that was dropped
        self.serve()

    def _drop(self, position: int) -> None:
        for message in self._ready:
            if message.position == position:
                self._ready.remove(message)
                self._ready_bytes -= len(message.body)
                return

    def _push(self, message: StoredMessage) -> None:
        self._ready.append(message)
        self._ready_bytes += len(message.body)
        self._read_up_to = message.position

    def _next_free(self) -> Consumer | None:
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.is_free:
                return consumer
        return None

    def _read_on(self) -> None:
        self._reading = True
        work = partial(
            read_window,
            queue=self.name,
            after=self._read_up_to,
            count_max=WINDOW_COUNT,
            bytes_max=WINDOW_BYTES,
        )
        reading = self._writer.run(work, partial(self._have_read, self._reads))
        reading.add_done_callback(partial(self._read_ended, self._reads))

    def _have_read(self, reads: int, window: Window) -> None:
        if reads != self._reads:
            return
        self._reading = False
        for message in window.messages:
            self._read_up_to = message.position
            if message.position not in self._in_hand:
                self._push(message)
        self._has_more = not window.is_last
        self.serve()

    def _read_ended(self, reads: int, reading: "asyncio.Future[Window]") -> None:
        if reading.cancelled() or reading.exception() is None:
            return
        error = reading.exception()
        if not isinstance(error, StoreUnavailable | OutcomeUnknown):
            _log.error("a queue could not be read", exc_info=error)
        if reads == self._reads:
            # The next message, consumer or acknowledgement tries again: no loop on a broken disk.
            self._reading = False
