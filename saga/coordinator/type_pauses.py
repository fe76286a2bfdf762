"""Follow which process types are paused, and catch up with the processes that a pause or its end has missed.

A type is paused in the store of the definitions, where each coordinator looks every second. What was begun
between the pause and that look is paused then, and what was paused between the end and that look goes on.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from saga.coordinator.outgoing import control_message
from saga.definition.catalog import Catalog
from saga.errors import BusUnavailable, NotReady, StoreUnavailable
from saga.messages.control import ControlCommand
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock
from saga.ports.projections import Position, Projection, ProjectionFilter, ProjectionStore
from saga.process.decide import TYPE_PAUSED
from saga.process.status import ProcessStatus

LOOK_EVERY_S = 1.0
REASON = TYPE_PAUSED
_PAGE = 200
_MOVING = (str(ProcessStatus.STARTED), str(ProcessStatus.COMPENSATING))


class TypePauses:
    """Keep the catalog's knowledge of paused types fresh."""

    def __init__(
        self, catalog: Catalog, projections: ProjectionStore, bus: MessageBus, clock: Clock, *, by: str
    ) -> None:
        self._catalog = catalog
        self._projections = projections
        self._bus = bus
        self._clock = clock
        self._by = by
        self._followed = catalog.paused_types

    async def run(self) -> None:
        """Look again and again until cancelled; trouble only means that the next look finds more."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(StoreUnavailable, BusUnavailable, NotReady):
                await self.look()

    async def look(self) -> None:
        """See which types are paused now, and ask what was missed. Raises StoreUnavailable, BusUnavailable.

        Definitions that other servers made current are seen with it.
        """
        await self._catalog.refresh()
        now = self._catalog.paused_types
        for name in sorted(now - self._followed):
            await self._ask_all("pause", name, _MOVING)
        for name in sorted(self._followed - now):
            await self._ask_all("resume", name, (str(ProcessStatus.PAUSED),))
        self._followed = now

    async def _ask_all(self, action: str, process_type: str, statuses: Sequence[str]) -> None:
        chosen = ProjectionFilter(statuses=tuple(statuses), process_type=process_type)
        after: Position | None = None
        while True:
            page = await self._projections.page(chosen, after=after, limit=_PAGE)
            await asyncio.gather(*(self._ask(action, projection) for projection in page))
            if len(page) < _PAGE:
                return
            after = Position(page[-1].started_at, page[-1].process_id)

    async def _ask(self, action: str, projection: Projection) -> None:
        # The same for all coordinators that look, so that the process obeys one of them.
        request_id = f"{action}-type:{projection.process_id}:{projection.version}"
        reason = REASON if action == "pause" else "process type is resumed"
        command = ControlCommand(action, projection.process_id, reason, request_id=request_id, actor=self._by)
        await self._bus.publish(control_message(command, request_id=request_id, at=self._clock.now()))
