"""Timers: held in memory by whoever set them, and found in the store when nobody does.

A timer that goes off is published as a wake message: one more message on the one road in. While the broker is
away no wake is queued; after it returns, time-outs wait a while, so that the replies that waited there go first:
an outage must not undo healthy work.
"""

import asyncio
import heapq
from contextlib import suppress

from saga.coordinator.outgoing import wake_message
from saga.errors import BusUnavailable, NotReady, StoreUnavailable
from saga.messages.wake import WakeCommand
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock
from saga.ports.observer import Observer
from saga.ports.projections import ProjectionStore
from saga.process.timers import Wake, WakeReason

TIMERS_MAX = 200_000
HELD_AFTER_OUTAGE_MS = 10_000
OVERDUE_MS = 2_000
LEASE_MS = 10_000
POLL_EVERY_S = 1.0
POLL_LIMIT = 500


class Timekeeper:
    """Fire timers on time; what doesn't fit in memory is left to the poller, at most some seconds late."""

    def __init__(
        self, bus: MessageBus, projections: ProjectionStore, clock: Clock, observer: Observer
    ) -> None:
        self._bus = bus
        self._projections = projections
        self._clock = clock
        self._observer = observer
        self._due: list[tuple[int, str, int, WakeReason]] = []
        self._versions: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._timeouts_held_until = 0
        bus.on_return(self._hold_timeouts)

    def set(self, process_id: str, version: int, wake: Wake | None) -> None:
        """Replace a process's timer; None only takes it away."""
        if wake is None:
            self._versions.pop(process_id, None)
            return
        if len(self._versions) >= TIMERS_MAX and process_id not in self._versions:
            return
        self._versions[process_id] = version
        heapq.heappush(self._due, (wake.at, process_id, version, wake.reason))
        if self._due[0][1] == process_id:
            self._changed.set()
        if len(self._due) > 2 * len(self._versions) + 10_000:
            self._drop_replaced()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fire_own())
            tasks.create_task(self._poll())

    async def _fire_own(self) -> None:
        while True:
            try:
                await self._wait_for_the_next()
                await self._fire_due(self._clock.now())
            except (BusUnavailable, StoreUnavailable, NotReady):
                await asyncio.sleep(POLL_EVERY_S)

    async def _wait_for_the_next(self) -> None:
        self._changed.clear()
        if not self._due:
            await self._changed.wait()
            return
        waiting = asyncio.ensure_future(self._clock.sleep_until(self._due[0][0]))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((waiting, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            changed.cancel()

    async def _fire_due(self, now: int) -> None:
        fired = []
        while self._due and self._due[0][0] <= now:
            at, process_id, version, reason = heapq.heappop(self._due)
            if self._versions.get(process_id) != version:
                continue
            if self._is_held(reason, now):
                heapq.heappush(self._due, (self._timeouts_held_until, process_id, version, reason))
                continue
            del self._versions[process_id]
            fired.append(self._fire(WakeCommand(process_id, version, at)))
        if fired:
            await asyncio.gather(*fired)

    async def _fire(self, wake: WakeCommand) -> None:
        # Another coordinator may have moved the process on: its timer is then not ours to fire any more.
        stored = await self._projections.load(wake.process_id)
        if stored is not None and stored.version > wake.version:
            return
        await self._publish(wake)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            with suppress(BusUnavailable, StoreUnavailable, NotReady):
                while await self._fire_overdue(self._clock.now()) == POLL_LIMIT:
                    pass

    async def _fire_overdue(self, now: int) -> int:
        overdue = await self._projections.lease_due(
            before=now - OVERDUE_MS, leased_until=now + LEASE_MS, now=now, limit=POLL_LIMIT
        )
        wakes = [
            self._publish(WakeCommand(timer.process_id, timer.version, timer.wake_at))
            for timer in overdue
            if not self._is_held(WakeReason(timer.wake_for), now)
        ]
        await asyncio.gather(*wakes)
        return len(overdue)

    async def _publish(self, wake: WakeCommand) -> None:
        self._observer.counted("timer_fired")
        await self._bus.publish(wake_message(wake, at=self._clock.now()))

    def _is_held(self, reason: WakeReason, now: int) -> bool:
        is_patience = reason in {WakeReason.TIMEOUT, WakeReason.DEADLINE}
        return is_patience and now < self._timeouts_held_until

    def _hold_timeouts(self) -> None:
        with suppress(NotReady):
            self._timeouts_held_until = self._clock.now() + HELD_AFTER_OUTAGE_MS

    def _drop_replaced(self) -> None:
        self._due = [entry for entry in self._due if self._versions.get(entry[1]) == entry[2]]
        heapq.heapify(self._due)
