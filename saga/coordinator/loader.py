"""Read a process as the log has it now, and bring to light what its last writer left undone."""

from collections.abc import Sequence

from saga.coordinator.projector import snapshot_in
from saga.definition.catalog import Catalog
from saga.definition.graph import StepGraph
from saga.errors import UnreadableLog
from saga.ports.event_log import EventLog
from saga.ports.projections import ProjectionStore
from saga.process.evolve import fold
from saga.process.state import ProcessState
from saga.process.transition import Transition
from saga.values import value


@value
class Loaded:
    """Hold a process just read: its state, and the transitions that its projection does not know yet.

    Whoever finds a tail publishes what is outstanding of it and projects it before anything else: its
    writer may have died between the append and the publication.
    """

    state: ProcessState
    graph: StepGraph
    tail: Sequence[Transition]


class Loader:
    """Load processes as projection plus tail of the log; both reads are majority reads."""

    def __init__(self, log: EventLog, projections: ProjectionStore, catalog: Catalog) -> None:
        self._log = log
        self._projections = projections
        self._catalog = catalog

    async def load(self, process_id: str) -> Loaded | None:
        """Give the process as it stands in the log; None where there is none.

        Raises UnreadableLog, UnknownDefinition, StoreUnavailable.
        """
        projection = await self._projections.load(process_id)
        base = snapshot_in(projection)
        projected = 0 if projection is None else projection.version
        known = await self._log.read(process_id, after=0 if base is None else base.version)
        state = fold(known, base)
        if state is None:
            return None
        if state.version < projected:
            raise UnreadableLog(
                process_id, state.version + 1, f"the projection is at {projected}: events are lost"
            )
        tail = [transition for transition in known if transition.first > projected]
        definition = await self._catalog.get(state.origin.definition_hash)
        return Loaded(state, definition.graph, tail)
