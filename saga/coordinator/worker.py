"""Take messages from the coordinators' queue, see each to its end, and acknowledge it: never before.

What can never be processed goes to the dead letters, whole and with the reason; transient trouble costs a
message nothing but time.
"""

import asyncio
import logging
from collections.abc import Callable

from saga.coordinator.admission import admit
from saga.coordinator.admitted import Admitted, AdmittedStart, AdmittedWake, Rejected
from saga.coordinator.handler import Handler, Settled
from saga.coordinator.outgoing import refused_child_message
from saga.coordinator.patience import GaveUp, patiently
from saga.definition.catalog import Catalog
from saga.errors import UnknownDefinition, UnreadableLog, Unstorable
from saga.ports.bus import Consumption, Delivery, MessageBus
from saga.ports.clock import Clock
from saga.ports.observer import Observer

# A reply may overtake the news of its process by a moment; so many may wait for it at once, this long.
WAITS_S = (0.2, 0.5, 1.0)
WAITING_MAX = 50
PAUSES_AFTER_DEFECT_S = (0.5, 2.0, 5.0)
PAUSE_AFTER_GIVING_UP_S = 5.0

_log = logging.getLogger("saga.coordinator")


class Worker:
    """Consume, handle, acknowledge."""

    def __init__(
        self,
        bus: MessageBus,
        handler: Handler,
        catalog: Catalog,
        observer: Observer,
        clock: Clock,
        *,
        new_process_id: Callable[[], str],
        prefetch: int,
    ) -> None:
        self._bus = bus
        self._handler = handler
        self._catalog = catalog
        self._observer = observer
        self._clock = clock
        self._new_process_id = new_process_id
        self._prefetch = prefetch
        self._waiting = asyncio.Semaphore(WAITING_MAX)
        self._in_hand: set[asyncio.Task[None]] = set()
        self._gave_up = asyncio.Event()

    async def run(self) -> None:
        """Consume until cancelled; after ten minutes of trouble hand everything back and begin anew."""
        while True:
            self._gave_up.clear()
            consumption = await self._consume()
            try:
                await self._gave_up.wait()
            finally:
                await consumption.stop()  # what is not acknowledged goes back to the queue
            await asyncio.sleep(PAUSE_AFTER_GIVING_UP_S)

    async def drain(self, *, within_s: float) -> None:
        """Wait until what is in hand is finished, at most so long; the rest stays unacknowledged."""
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=within_s)

    async def take(self, delivery: Delivery) -> None:
        """See one message to its end. Never raises."""
        task = asyncio.current_task()
        if task is not None:
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)
        self._observer.reached("received")
        try:
            await self._see_through_whatever_happens(delivery)
        except GaveUp:
            self._gave_up.set()
            return
        await delivery.acknowledge()
        self._observer.reached("acked")

    async def _consume(self) -> Consumption:
        return await patiently(lambda: self._bus.consume(self.take, prefetch=self._prefetch), self._observer)

    async def _see_through_whatever_happens(self, delivery: Delivery) -> None:
        """Try again what failed for no known reason, a few times; then park it, or it would hold its place."""
        for pause_s in PAUSES_AFTER_DEFECT_S:
            try:
                return await self._see_through(delivery)
            except GaveUp:
                raise
            except Exception:  # noqa: BLE001 - whatever it is, it must not cost the queue a place
                _log.exception("a message could not be handled; it is tried again")
                self._observer.counted("defect")
                await asyncio.sleep(pause_s)
        return await self._park(
            delivery, "internal-error", "handling it failed again and again; see the logs"
        )

    async def _see_through(self, delivery: Delivery) -> None:
        try:
            message = admit(delivery, new_process_id=self._new_process_id)
        except Rejected as rejected:
            return await self._park(delivery, rejected.reason, rejected.detail)
        try:
            settled = await self._handle(message, delivery)
            if settled.parked is not None:
                await self._park(delivery, "unusable-output", settled.parked)
        except Rejected as rejected:
            if not await self._answer_parent(message, rejected):
                await self._refuse(message, delivery, rejected.reason, rejected.detail)
        except (UnreadableLog, UnknownDefinition, Unstorable) as error:
            _log.error("process %s stands still: %s", message.process_id, error)
            await self._refuse(message, delivery, error.code, str(error))

    async def _refuse(self, message: Admitted, delivery: Delivery, reason: str, detail: str) -> None:
        if isinstance(message, AdmittedWake):
            # The timer itself stands in the store: parking its messages would only pile them up.
            self._observer.counted("wake_refused", reason=reason)
        else:
            await self._park(delivery, reason, detail)

    async def _answer_parent(self, message: Admitted, rejected: Rejected) -> bool:
        """Tell the process that wanted this one for a step of its own that it can't be; False for any other."""
        if not isinstance(message, AdmittedStart) or message.command.lineage is None:
            return False
        parent = message.command.lineage.parent

        async def answer() -> None:
            at = self._clock.now()
            await self._bus.publish(refused_child_message(parent, rejected.reason, rejected.detail, at=at))

        await patiently(answer, self._observer)
        return True

    async def _handle(self, message: Admitted, delivery: Delivery) -> Settled:
        try:
            settled = await self._handler.handle(message, delivery)
        except Rejected as rejected:
            if rejected.reason != "unknown-process-type":
                raise
            await patiently(self._catalog.refresh, self._observer)  # another server may have brought it
            settled = await self._handler.handle(message, delivery)
        if settled is not None:
            return settled
        return await self._handle_when_known(message, delivery)

    async def _handle_when_known(self, message: Admitted, delivery: Delivery) -> Settled:
        if not self._waiting.locked():
            async with self._waiting:
                for wait_s in WAITS_S:
                    await asyncio.sleep(wait_s)
                    settled = await self._handler.handle(message, delivery)
                    if settled is not None:
                        return settled
        raise Rejected("unknown-process", "no process with this id is known")

    async def _park(self, delivery: Delivery, reason: str, detail: str) -> None:
        self._observer.counted("dead_letter", reason=reason)
        await patiently(lambda: self._bus.dead_letter(delivery, reason=reason, detail=detail), self._observer)
