"""Accept a process: durable in the log before anybody is told so, on its way to a coordinator after that.

If the start command is not published (the broker is away, this server dies), the timer that the projection
carries finds the process, and a coordinator starts it.
"""

import asyncio
from dataclasses import dataclass

from saga.coordinator.outgoing import start_message
from saga.coordinator.projector import project
from saga.definition.catalog import KnownDefinition
from saga.errors import BusUnavailable, OutcomeUnknown, StoreUnavailable, VersionConflict
from saga.messages.start import StartCommand
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock, Ids
from saga.ports.event_log import EventLog
from saga.ports.observer import Observer
from saga.ports.projections import ProjectionStore
from saga.process.events import Event
from saga.process.evolve import fold
from saga.process.state import ProcessState
from saga.process.timers import next_wake
from saga.process.transition import Cause, Transition

# A caller is told within two seconds; the append itself may go on and be found by a repeated request.
APPEND_WITHIN_S = 1.8


@dataclass(frozen=True, slots=True)
class StartPorts:
    """Hold what starting needs of the outside world."""

    log: EventLog
    projections: ProjectionStore
    bus: MessageBus
    clock: Clock
    ids: Ids
    observer: Observer
    name: str


class Acceptor:
    """Append the first events of processes."""

    def __init__(self, ports: StartPorts) -> None:
        self._ports = ports

    async def accept(
        self, process_id: str, events: tuple[Event, ...], command: StartCommand, known: KnownDefinition
    ) -> ProcessState | None:
        """Return once these events, the first of a log, are durable; None where the process exists already.

        Raises StoreUnavailable, Unstorable, NotReady, and OutcomeUnknown with the process id: asking again with
        that id is safe.
        """
        ports = self._ports
        transition = Transition(
            process_id=process_id,
            first=1,
            events=events,
            commands=(),
            # Not the identity of the start message: that one is still to come, and begins the process.
            cause=Cause(f"accept:{process_id}", "client", ""),
            at=ports.clock.now(),
            by=ports.name,
            mark=ports.ids.mark(),
        )
        try:
            async with asyncio.timeout(APPEND_WITHIN_S):
                await ports.log.append(transition)
        except VersionConflict:
            return None
        except (OutcomeUnknown, TimeoutError) as unknown:
            raise OutcomeUnknown("the store did not say whether it has the start", process_id) from unknown
        ports.observer.reached("accepted")
        state = fold([transition])
        if state is not None:
            await self.hand_over(command, known, state)
        return state

    async def existing(self, process_id: str) -> ProcessState | None:
        """Give a process as its log has it; None for one that was never accepted."""
        return fold(await self._ports.log.read(process_id))

    async def hand_over(self, command: StartCommand, known: KnownDefinition, state: ProcessState) -> None:
        """See to it that a coordinator finds the process: by its start message, or by its timer."""
        message = start_message(command, state, at=state.origin.accepted_at)
        outcomes = await asyncio.gather(
            self._ports.projections.save(project(state, next_wake(known.graph, state))),
            self._ports.bus.publish(message),
            return_exceptions=True,
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, (StoreUnavailable, OutcomeUnknown, BusUnavailable)):
                raise failure
        if len(failures) == len(outcomes):
            raise OutcomeUnknown("accepted, but nothing is there yet to go on with it", state.process_id)
        self._ports.observer.reached("published")
