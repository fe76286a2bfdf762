"""The servers of a run: coordinators and the API, each life of one with a connection and a memory of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from saga.coordinator.coordinator import Coordinator
from saga.usecases.accepting import StartPorts
from saga.usecases.start import StartedProcess, StartProcess, StartRequest
from tests.simulation.network import Server
from tests.simulation.ports import (
    SimulatedBus,
    SimulatedClock,
    SimulatedIds,
    SimulatedLocks,
    SimulatedLog,
    SimulatedObserver,
    SimulatedProjections,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from saga.process.state import ProcessState
    from tests.simulation.world import World

_PREFETCH = 50


class Incarnation:
    """One life of a coordinator, with its own connection, clock and memory."""

    def __init__(self, world: World, name: str, on_death: Callable[[Server], None]) -> None:
        self.server = Server(name, world.chance, on_death)
        self.bus = SimulatedBus(self.server, world.broker)
        self.clock = SimulatedClock()
        self.coordinator = Coordinator(
            log=SimulatedLog(self.server, world.log, world.judge),
            projections=SimulatedProjections(self.server, world.projections, world.judge),
            catalog=world.catalog,
            locks=SimulatedLocks(self.server, world.locks, world.judge),
            bus=self.bus,
            clock=self.clock,
            ids=SimulatedIds(self.server),
            observer=SimulatedObserver(world.note_defect),
            name=name,
            prefetch=_PREFETCH,
        )
        self.stopping = asyncio.Event()
        standings = self.coordinator._worker._handler._parts.standings
        self._known = standings._states._states
        self.task = asyncio.get_running_loop().create_task(self.coordinator.run(self.stopping, grace_s=2))

    def remembered(self) -> Iterable[ProcessState]:
        """Give the states that the coordinator keeps in memory."""
        return [known.state for known in self._known.values()]


class Api:
    """The servers of the API: a request that meets a dying one hears nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lives = 0

    async def start(self, request: StartRequest) -> StartedProcess:
        """Ask a server; each request is one server's life, which is the worst that can be."""
        world = self._world
        self._lives += 1
        server = Server(f"api{self._lives}", world.chance, lambda _: None)
        ports = StartPorts(
            log=SimulatedLog(server, world.log, world.judge),
            projections=SimulatedProjections(server, world.projections, world.judge),
            bus=SimulatedBus(server, world.broker),
            clock=SimulatedClock(),
            ids=SimulatedIds(server),
            observer=SimulatedObserver(world.note_defect),
            name=server.name,
        )
        return await StartProcess(ports, world.catalog)(request)
