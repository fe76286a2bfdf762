"""A coordinator: the worker and the timekeeper around one handler, from start to a graceful end."""

import asyncio

from saga.coordinator.callbacks import Callbacks
from saga.coordinator.handler import Handler, Parts
from saga.coordinator.loader import Loader
from saga.coordinator.lock_keeper import LockKeeper
from saga.coordinator.projector import Projector
from saga.coordinator.publisher import Publisher
from saga.coordinator.standings import Standings
from saga.coordinator.timekeeper import Timekeeper
from saga.coordinator.type_pauses import TypePauses
from saga.coordinator.worker import Worker
from saga.definition.catalog import Catalog
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock, Ids
from saga.ports.event_log import EventLog
from saga.ports.locks import LockStore
from saga.ports.observer import Observer
from saga.ports.projections import ProjectionStore
from saga.webhooks.policy import NOBODY, CallbackPolicy


class Coordinator:
    """Drive processes. Any number of coordinators share one queue; any of them may take any process."""

    def __init__(  # noqa: PLR0913 - the ports, each by its name
        self,
        *,
        log: EventLog,
        projections: ProjectionStore,
        catalog: Catalog,
        locks: LockStore,
        bus: MessageBus,
        clock: Clock,
        ids: Ids,
        observer: Observer,
        name: str,
        prefetch: int,
        with_step_events: bool = False,
        callbacks: Callbacks | None = None,
        may_call_back: CallbackPolicy = NOBODY,
    ) -> None:
        timekeeper = Timekeeper(bus, projections, clock, observer)
        publisher = Publisher(bus, observer, with_step_events=with_step_events)
        projector = Projector(projections, observer)
        loader = Loader(log, projections, catalog)
        parts = Parts(
            log=log,
            standings=Standings(loader, publisher, projector, timekeeper, observer, callbacks),
            catalog=catalog,
            publisher=publisher,
            projector=projector,
            timekeeper=timekeeper,
            locks=LockKeeper(locks, loader, bus, clock, observer),
            callbacks=callbacks,
            may_call_back=may_call_back,
            clock=clock,
            ids=ids,
            observer=observer,
            name=name,
        )
        self._timekeeper = timekeeper
        self._type_pauses = TypePauses(catalog, projections, bus, clock, by=name)
        self._worker = Worker(
            bus, Handler(parts), catalog, observer, clock, new_process_id=ids.process_id, prefetch=prefetch
        )

    async def run(self, stopping: asyncio.Event, *, grace_s: float) -> None:
        """Work until `stopping` is set; then take no more, finish what is in hand within the grace, and return.

        What is not finished by then stays unacknowledged: another coordinator gets it.
        """
        async with asyncio.TaskGroup() as tasks:
            timers = tasks.create_task(self._timekeeper.run())
            worker = tasks.create_task(self._worker.run())
            paused_types = tasks.create_task(self._type_pauses.run())
            await stopping.wait()
            timers.cancel()
            worker.cancel()
            paused_types.cancel()
        await self._worker.drain(within_s=grace_s)
