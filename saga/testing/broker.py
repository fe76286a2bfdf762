"""A broker in memory, with the bindings of the real one.

A message is on its queue, in hand (delivered and not acknowledged), done, or among the dead letters.
"""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from saga.ports.bus import DeliveryHandler, Exchange

COORDINATOR = "saga.coordinator"
_REPLIES = frozenset({"step.completed", "step.failed", "step.progress"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class InMemoryMessage:
    """Hold a message on its way; two equal ones are still two."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str | None = None
    app_id: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Hold a message that could not be processed, with the reason."""

    message: InMemoryMessage
    reason: str
    detail: str


class InMemoryDelivery:
    """One message in the hands of a consumer; a message that is delivered again is another delivery."""

    tag = None

    def __init__(self, message: InMemoryMessage, consumer: "Consumer") -> None:
        self.message = message
        self.exchange = message.exchange
        self.routing_key = message.routing_key
        self.body = message.body
        self.message_id = message.message_id
        self.app_id = message.app_id
        self.content_encoding = message.content_encoding
        self.headers = message.headers
        self._consumer = consumer

    async def acknowledge(self) -> None:
        """Say that the message is done; without effect where that was said, or it was taken back, before."""
        self._consumer.settle(self)


class Consumer:
    """Take messages of one queue, so many at once; it is the port's `Consumption` too."""

    def __init__(self, broker: "InMemoryBroker", queue: str, handler: DeliveryHandler, limit: int) -> None:
        self.queue = queue
        self._broker = broker
        self._handler = handler
        self._limit = limit
        self._stopped = False
        self._in_hand: dict[InMemoryDelivery, None] = {}
        self._tasks: dict[asyncio.Task[None], InMemoryDelivery] = {}
        # A handler belongs to who consumes, not to who happened to publish.
        self._context = contextvars.copy_context()

    @property
    def is_free(self) -> bool:
        """Tell whether it would take one more message now."""
        return not self._stopped and len(self._in_hand) < self._limit

    @property
    def in_hand(self) -> Collection[InMemoryDelivery]:
        """Give what is delivered and not acknowledged."""
        return tuple(self._in_hand)

    def take(self, message: InMemoryMessage) -> None:
        """Hand a message to the handler."""
        delivery = InMemoryDelivery(message, self)
        self._in_hand[delivery] = None
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._handle(delivery), context=self._context.copy())
        self._tasks[task] = delivery
        task.add_done_callback(self._finished)

    def settle(self, delivery: InMemoryDelivery) -> None:
        """Take an acknowledged message off its queue."""
        if delivery in self._in_hand:
            del self._in_hand[delivery]
            self._broker.acknowledged(delivery.message)
            self._broker.serve(self.queue)
        elif self._stopped and self._broker.withdraw(self.queue, delivery.message):
            self._broker.acknowledged(delivery.message)

    def give_back(self, deliveries: Collection[InMemoryDelivery] | None = None) -> None:
        """Put messages in hand back in line; all, if none are named. Their handlers may go on in vain."""
        back = [one for one in self._in_hand if deliveries is None or one in deliveries]
        for delivery in back:
            del self._in_hand[delivery]
        self._broker.put_back(self.queue, [delivery.message for delivery in back])

    async def stop(self) -> None:
        """Take no more; what no handler works on any more, and is not acknowledged, goes back in line."""
        self._stopped = True
        self._broker.leave(self)
        working = set(self._tasks.values())
        self.give_back([delivery for delivery in self._in_hand if delivery not in working])

    def abandon(self) -> None:
        """Stop at once: break off the handlers and give everything back."""
        self._stopped = True
        self._broker.leave(self)
        current = asyncio.current_task()
        for task in [task for task in self._tasks if task is not current]:
            task.cancel()
        self.give_back()

    async def finish(self, *, within_s: float) -> None:
        """Stop, and let the handlers finish for so long."""
        await self.stop()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)

    async def _handle(self, delivery: InMemoryDelivery) -> None:
        try:
            await self._handler(delivery)
        except Exception:  # noqa: BLE001 - a bug in a handler must not end the consumer
            _log.exception("a handler raised; its message stays unacknowledged")

    def _finished(self, task: "asyncio.Task[None]") -> None:
        delivery = self._tasks.pop(task)
        if self._stopped and delivery in self._in_hand:
            self.give_back([delivery])


class _Queue:
    """One queue: who takes from it, in turn, and what waits."""

    def __init__(self) -> None:
        self.ready: deque[InMemoryMessage] = deque()
        self.consumers: deque[Consumer] = deque()
        # Also those that take no more: they may still have messages in hand.
        self.ever: list[Consumer] = []

    def next_free(self) -> Consumer | None:
        for _ in range(len(self.consumers)):
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if consumer.is_free:
                return consumer
        return None


class InMemoryBroker:
    """Hold the queues and the dead letters; any number of buses and participants share one."""

    def __init__(self) -> None:
        self.dead_letters: list[DeadLetter] = []
        self._queues: dict[str, _Queue] = {}
        self._declared: set[str] = set()

    def declare(self, services: Collection[str]) -> None:
        """Declare the coordinators' queue and one per service; what is there stays."""
        for name in (COORDINATOR, *map(service_queue, services)):
            self._queues.setdefault(name, _Queue())
            self._declared.add(name)

    def delete(self, queue: str) -> None:
        """Lose a queue with its waiting messages; its consumers get messages again once it is declared anew."""
        self._declared.discard(queue)
        if queue in self._queues:
            self._queues[queue].ready.clear()

    def has(self, queue: str) -> bool:
        """Say whether a queue is there."""
        return queue in self._declared

    def missing(self) -> Collection[str]:
        """Name the queues that were declared once and are gone."""
        return [name for name in self._queues if name not in self._declared]

    def put(self, message: InMemoryMessage) -> bool:
        """Put a message on the queue that its key leads to; False where there is none."""
        queue = queue_for(message.exchange, message.routing_key)
        if queue is None or not self.has(queue):
            return False
        self._queues[queue].ready.append(message)
        self.serve(queue)
        return True

    def put_back(self, queue: str, messages: Collection[InMemoryMessage]) -> None:
        """Put messages back at the front, in their order."""
        if self.has(queue):
            self._queues[queue].ready.extendleft(reversed([*messages]))
            self.serve(queue)

    def withdraw(self, queue: str, message: InMemoryMessage) -> bool:
        """Take back what went back in line, if nobody has it yet."""
        ready = self._queues[queue].ready
        if message not in ready:
            return False
        ready.remove(message)
        return True

    def join(self, consumer: Consumer) -> None:
        """Let one more take from its queue."""
        self._queues[consumer.queue].consumers.append(consumer)
        self._queues[consumer.queue].ever.append(consumer)
        self.serve(consumer.queue)

    def leave(self, consumer: Consumer) -> None:
        """Let one go; twice is harmless."""
        consumers = self._queues[consumer.queue].consumers
        if consumer in consumers:
            consumers.remove(consumer)

    def serve(self, name: str) -> None:
        """Hand out what can be handed out."""
        queue = self._queues[name]
        while queue.ready and (consumer := queue.next_free()) is not None:
            consumer.take(self.next_of(queue.ready))

    def next_of(self, ready: "deque[InMemoryMessage]") -> InMemoryMessage:
        """Take the next message of a queue: the one that waited longest."""
        return ready.popleft()

    def acknowledged(self, message: InMemoryMessage) -> None:
        """Hear that a message is done; nothing has to be kept of it."""

    def bury(self, message: InMemoryMessage, *, reason: str, detail: str) -> None:
        """Keep a message that can't be processed."""
        self.dead_letters.append(DeadLetter(message, reason, detail))

    def consumers(self, queue: str) -> int:
        """Count those who take from a queue."""
        return len(self._queues[queue].consumers) if self.has(queue) else 0

    def in_line(self, queue: str) -> int:
        """Count the messages of a queue that nobody has in hand."""
        return len(self._queues[queue].ready)

    def holds(self, queue: str, message_id: str | None) -> bool:
        """Say whether a message with this id is in line or in hand."""
        found = self._queues[queue]
        in_hand = (delivery.message for consumer in found.ever for delivery in consumer.in_hand)
        return any(one.message_id == message_id for one in (*found.ready, *in_hand))

    def waiting(self) -> Mapping[str, int]:
        """Count the messages in line and in hand, per queue."""
        return {
            name: len(queue.ready) + sum(len(consumer.in_hand) for consumer in queue.ever)
            for name, queue in self._queues.items()
        }


def consume(
    broker: InMemoryBroker, queue: str, handler: DeliveryHandler, limit: int, consumers: list[Consumer]
) -> Consumer:
    """Begin to take from a queue."""
    consumer = Consumer(broker, queue, handler, limit)
    consumers.append(consumer)
    broker.join(consumer)
    return consumer


def service_queue(service: str) -> str:
    """Name the queue of a service."""
    return f"saga.step.{service}"


def queue_for(exchange: str, routing_key: str) -> str | None:
    """Name the queue whose binding matches; None where none would. No two bindings match the same key."""
    if exchange == exchange_name(Exchange.EVENTS):
        return COORDINATOR if routing_key in _REPLIES else None
    match routing_key.split("."):
        case ["process", _]:
            return COORDINATOR
        case ["step", service, _]:
            return service_queue(service)
        case _:
            return None


def exchange_name(exchange: Exchange) -> str:
    """Give the name that a delivery carries."""
    return f"saga.{exchange}"
