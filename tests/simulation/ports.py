"""The ports that a simulated server works with: those of the testing kit, with the network's faults in front."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from saga.errors import (
    BusUnavailable,
    NotReady,
    OutcomeUnknown,
    SagaError,
    StoreUnavailable,
    UnreadableLog,
)
from saga.testing import (
    InMemoryBroker,
    InMemoryBus,
    InMemoryDelivery,
    InMemoryEventLog,
    InMemoryLockStore,
    InMemoryMessage,
    InMemoryProjectionStore,
    LoopClock,
)
from saga.testing.broker import COORDINATOR, queue_for
from tests.simulation.judge import SKEW_MS
from tests.simulation.network import at_once

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from saga.ports.bus import Consumption, Delivery, DeliveryHandler, OutgoingMessage, PublishResult
    from saga.ports.locks import LockQueue, Released
    from saga.ports.projections import DueTimer, Projection
    from saga.process.transition import Transition
    from tests.simulation.judge import Judge
    from tests.simulation.network import Chance, Server

T = TypeVar("T")

EPOCH_MS = 1_800_000_000_000


class SimulatedLog:
    """The log at the other end of the network."""

    def __init__(self, server: Server, log: InMemoryEventLog, judge: Judge) -> None:
        self._server = server
        self._log = log
        self._judge = judge

    async def append(self, transition: Transition, *more: Transition) -> None:
        """Append, if the network lets it through."""
        error, happens = self._fate()
        await self._server.call(lambda: self._store(transition, *more), error=error, happens=happens)

    async def read(self, process_id: str, after: int = 0) -> Sequence[Transition]:
        """Read what is there when the request arrives."""
        refused = self._server.chance.strikes("read_refused")
        error = StoreUnavailable("simulated") if refused else None
        return await self._server.call(lambda: at_once(self._log.read(process_id, after)), error=error)

    async def restore(self, transition: Transition, *more: Transition) -> None:
        """Append: nothing here sends anything by itself."""
        await self.append(transition, *more)

    async def read_all(self, after: str = "") -> AsyncIterator[Transition | UnreadableLog]:
        """Stream everything."""
        async for transition in self._log.read_all(after):
            yield transition

    def _fate(self) -> tuple[SagaError | None, str]:
        chance = self._server.chance
        if chance.strikes("append_refused"):
            return StoreUnavailable("simulated"), "never"
        for name, happens in (
            ("append_answer_lost", "now"),
            ("append_lost", "never"),
            ("append_late", "late"),
        ):
            if chance.strikes(name):
                return OutcomeUnknown("simulated"), happens
        return None, "now"

    def _store(self, *transitions: Transition) -> None:
        for transition in transitions:
            if self._log.store(transition):
                self._judge.appended(transition)


class SimulatedProjections(InMemoryProjectionStore):
    """One server's way to the projections, which all share."""

    def __init__(self, server: Server, shared: InMemoryProjectionStore, judge: Judge) -> None:
        super().__init__()
        self._server = server
        self._shared = shared
        self._judge = judge

    async def save(self, projection: Projection) -> None:
        """Save, if the network lets it through."""
        chance = self._server.chance
        error, happens = None, "now"
        if chance.strikes("save_refused"):
            error, happens = StoreUnavailable("simulated"), "never"
        elif chance.strikes("save_late"):
            error, happens = StoreUnavailable("simulated"), "late"
        await self._server.call(lambda: self._save(projection), error=error, happens=happens)

    async def load(self, process_id: str) -> Projection | None:
        """Load what is there when the request arrives: a majority read is never stale."""
        refused = self._server.chance.strikes("read_refused")
        error = StoreUnavailable("simulated") if refused else None
        return await self._server.call(lambda: at_once(self._shared.load(process_id)), error=error)

    async def lease_due(self, *, before: int, leased_until: int, now: int, limit: int) -> Sequence[DueTimer]:
        """Lease what is due when the request arrives."""
        refused = self._server.chance.strikes("read_refused")
        error = StoreUnavailable("simulated") if refused else None
        leasing = self._shared.lease_due
        return await self._server.call(
            lambda: at_once(leasing(before=before, leased_until=leased_until, now=now, limit=limit)),
            error=error,
        )

    def _save(self, projection: Projection) -> None:
        self._judge.projected(projection)
        at_once(self._shared.save(projection))


class SimulatedLocks:
    """One server's way to the locks, which all share."""

    def __init__(self, server: Server, shared: InMemoryLockStore, judge: Judge) -> None:
        self._server = server
        self._shared = shared
        self._judge = judge

    async def take(self, key: str, *, root_id: str, process_id: str, queue: LockQueue, at: int) -> str:
        """Take, if the network lets it through."""

        def take() -> str:
            self._judge.wanted(key, root_id)
            taking = self._shared.take(key, root_id=root_id, process_id=process_id, queue=queue, at=at)
            return at_once(taking)

        return await self._call(take)

    async def withdraw(self, key: str, *, process_id: str) -> None:
        """Leave the queue."""
        await self._call(lambda: at_once(self._shared.withdraw(key, process_id=process_id)))

    async def release_all(self, root_id: str) -> Sequence[Released]:
        """Release all."""
        return await self._call(lambda: at_once(self._shared.release_all(root_id)))

    async def release(self, key: str, *, root_id: str) -> Released | None:
        """Release one."""
        return await self._call(lambda: at_once(self._shared.release(key, root_id=root_id)))

    async def awaited_by(self, root_id: str) -> Collection[str]:
        """Read who holds what is waited for."""
        return await self._call(lambda: at_once(self._shared.awaited_by(root_id)))

    async def _call(self, effect: Callable[[], T]) -> T:
        for name, happens in (
            ("lock_refused", "never"),
            ("lock_answer_lost", "now"),
            ("lock_late", "late"),
        ):
            if self._server.chance.strikes(name):
                return await self._server.call(effect, error=StoreUnavailable("simulated"), happens=happens)
        return await self._server.call(effect)


class SimulatedBroker(InMemoryBroker):
    """The broker, which may be away, lose a queue, and hand out messages twice, late and in any order."""

    def __init__(self, chance: Chance, judge: Judge) -> None:
        super().__init__()
        self.is_away = False
        self.held = 0
        self._chance = chance
        self._judge = judge

    def put(self, message: InMemoryMessage) -> bool:
        """Take a message; what is taken may be held back for a while."""
        queue = queue_for(message.exchange, message.routing_key)
        if queue is None or not self.has(queue):
            self._judge.came_back(message)
            return False
        self._judge.arrived(message)
        copies = 2 if self._chance.strikes("duplicate") else 1
        for copy in (message, replace(message))[:copies]:
            if self._chance.strikes("delay"):
                self.held += 1
                delay_s = self._chance.seconds(0.05, 5)
                asyncio.get_running_loop().call_later(delay_s, self._release, copy)
            else:
                super().put(copy)
        return True

    def serve(self, name: str) -> None:
        """Hand out nothing while the broker is away."""
        if not self.is_away:
            super().serve(name)

    def next_of(self, ready: deque[InMemoryMessage]) -> InMemoryMessage:
        """Take the next message, or any."""
        if len(ready) > 1 and self._chance.strikes("reorder"):
            ready.rotate(self._chance.rng.randrange(len(ready)))
        return ready.popleft()

    def acknowledged(self, message: InMemoryMessage) -> None:
        """Let the judge look whether that was right."""
        has_copy = self.has(COORDINATOR) and self.holds(COORDINATOR, message.message_id)
        self._judge.acknowledged(message, has_copy=has_copy)

    def bury(self, message: InMemoryMessage, *, reason: str, detail: str) -> None:
        """Keep a dead letter and let the judge look."""
        super().bury(message, reason=reason, detail=detail)
        self._judge.buried(message, reason)

    def _release(self, message: InMemoryMessage) -> None:
        self.held -= 1
        super().put(message)


class SimulatedBus(InMemoryBus):
    """One server's connection to the broker."""

    def __init__(self, server: Server, broker: SimulatedBroker) -> None:
        super().__init__(broker)
        self._server = server
        self._simulated = broker

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Publish, if the network lets it through."""
        error, happens = self._fate()
        publishing = super().publish
        return await self._server.call(lambda: at_once(publishing(message)), error=error, happens=happens)

    async def consume(self, handler: DeliveryHandler, *, prefetch: int) -> Consumption:
        """Consume; a frozen server takes messages and does nothing with them."""

        async def take(delivery: Delivery) -> None:
            await self._server.is_up()
            await handler(delivery)

        return await super().consume(take, prefetch=prefetch)

    async def dead_letter(self, delivery: Delivery, *, reason: str, detail: str) -> None:
        """Park, if the network lets it through."""
        assert isinstance(delivery, InMemoryDelivery)
        error, happens = self._fate()
        message = delivery.message
        await self._server.call(
            lambda: self._simulated.bury(message, reason=reason, detail=detail), error=error, happens=happens
        )

    def vanish(self) -> None:
        """Leave everything as it is: the broker takes back what was in hand."""
        for consumer in self._consumers:
            consumer.abandon()

    def give_back(self) -> None:
        """Lose the connection for longer than a moment: what was in hand goes back in line."""
        for consumer in self._consumers:
            consumer.give_back()

    def return_(self) -> None:
        """Be usable again."""
        for callback in self._callbacks:
            callback()

    def _fate(self) -> tuple[SagaError | None, str]:
        chance = self._server.chance
        if self._simulated.is_away:
            return BusUnavailable("away"), "never"
        for name, happens in (
            ("publish_lost", "never"),
            ("publish_unconfirmed", "now"),
            ("publish_late", "late"),
        ):
            if chance.strikes(name):
                return BusUnavailable("simulated"), happens
        return None, "now"


class SimulatedClock(LoopClock):
    """The store's clock as a server knows it: off by a little, and for a while perhaps not at all."""

    def __init__(self) -> None:
        super().__init__(EPOCH_MS)
        self._began_at = 0.0  # one time for all servers, whenever they came
        self._unsure_until = 0.0
        self._skew_ms = 0
        self._last = 0

    def now(self) -> int:
        """Tell the time, or that it isn't known; it never goes back."""
        if asyncio.get_running_loop().time() < self._unsure_until or abs(self._skew_ms) > SKEW_MS:
            raise NotReady("simulated")
        self._last = max(self._last, super().now() + self._skew_ms)
        return self._last

    async def sleep_until(self, at: int) -> None:
        """Wait until this clock says so, or said so when the wait began."""
        await super().sleep_until(at - self._skew_ms)

    def be_unsure(self, for_s: float) -> None:
        """Know no time for so long."""
        self._unsure_until = asyncio.get_running_loop().time() + for_s

    def be_off(self, by_ms: int) -> None:
        """Go wrong by so much."""
        self._skew_ms = by_ms


class SimulatedIds:
    """Draw ids from the run's own chance; marks name their server's incarnation."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._marks = 0

    def process_id(self) -> str:
        """Draw a process id."""
        return str(uuid.UUID(int=self._server.chance.rng.getrandbits(128), version=4))

    def mark(self) -> str:
        """Give a mark that no other write has."""
        self._marks += 1
        return f"{self._server.name}-{self._marks}"


class SimulatedObserver:
    """Hear of defects: whatever the coordinator did not expect is a broken promise here."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def reached(self, point: str) -> None:
        """Pass."""

    def counted(self, name: str, **labels: str) -> None:
        """Note a defect."""
        del labels
        if name == "defect":
            self._note("a message could not be handled for a reason that nobody knows")
