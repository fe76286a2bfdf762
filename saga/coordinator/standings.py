"""Where processes stand: remembered from the last message, or read from the log when that must be certain.

Whoever reads a process whose log is longer than its projection finishes first what its last writer may have
left undone: it publishes what is outstanding of that tail and projects it, before anything is ruled or
acknowledged.
"""

from saga.coordinator.admitted import Admitted, AdmittedReply, is_progress
from saga.coordinator.callbacks import Callbacks
from saga.coordinator.known_states import KnownStates
from saga.coordinator.loader import Loaded, Loader
from saga.coordinator.patience import patiently
from saga.coordinator.projector import Projector
from saga.coordinator.publisher import Publisher
from saga.coordinator.rulings import NoProcess, Standing
from saga.coordinator.timekeeper import Timekeeper
from saga.definition.graph import StepGraph
from saga.ports.observer import Observer
from saga.process.effects import outstanding
from saga.process.state import ProcessState
from saga.process.survey import Survey
from saga.process.timers import next_wake


class Standings:
    """Give what a ruling is made on."""

    def __init__(
        self,
        loader: Loader,
        publisher: Publisher,
        projector: Projector,
        timekeeper: Timekeeper,
        observer: Observer,
        callbacks: Callbacks | None = None,
    ) -> None:
        self._loader = loader
        self._publisher = publisher
        self._projector = projector
        self._timekeeper = timekeeper
        self._observer = observer
        self._callbacks = callbacks
        self._states = KnownStates()

    def remembered(self, message: Admitted) -> Standing | None:
        """Give the process as it stood last, which may be stale; None where it isn't remembered."""
        known = self._states.get(message.process_id)
        return None if known is None else Standing(known.state, known.graph, is_fresh=False, seen=known.seen)

    def keep(self, graph: StepGraph, state: ProcessState, seen: Survey | None) -> None:
        """Remember where a process stands now: not before all its commands are published."""
        self._states.keep(graph, state, seen)

    async def fresh(self, message: Admitted) -> Standing | NoProcess:
        """Read the process from the log. Raises UnreadableLog, UnknownDefinition and GaveUp."""
        known = self._states.get(message.process_id)
        self._states.forget(message.process_id)
        loaded = await patiently(lambda: self._loader.load(message.process_id), self._observer)
        if loaded is None:
            return NoProcess(is_fresh=True)
        if loaded.tail:
            await self._finish(loaded, message, published=0 if known is None else known.state.version)
        self._states.keep(loaded.graph, loaded.state)
        return Standing(loaded.state, loaded.graph, is_fresh=True)

    async def _finish(self, loaded: Loaded, message: Admitted, *, published: int) -> None:
        """Publish and project what the projection does not know; up to `published` this server did it itself."""
        state = loaded.state
        answered = message.command_id if isinstance(message, AdmittedReply) else None
        for transition in loaded.tail:
            if transition.last <= published:
                continue
            # The command that this very message answers was published, or there would be no answer.
            commands = [
                command
                for command in outstanding(state, transition.commands)
                if command.command_id != answered or is_progress(message)
            ]
            await self._publisher.commands(state, commands, at=transition.at, again=True)
        if self._callbacks is not None:
            await self._callbacks.keep(state, loaded.tail)
        await self._publisher.tell(self._publisher.news(state, loaded.tail))
        wake = next_wake(loaded.graph, state)
        await self._projector.save(state, wake)
        self._timekeeper.set(state.process_id, state.version, wake)
