"""A small cache of states: saves most loads. It may be stale, and every append checks it."""

from collections import OrderedDict

from saga.definition.graph import StepGraph
from saga.process.state import ProcessState
from saga.process.survey import Survey
from saga.values import value

STATES_MAX = 10_000
BYTES_MAX = 64 * 1024 * 1024
_FRAME_BYTES = 4_000


@value
class KnownState:
    """Hold a state that was true once, with the graph of its definition, and its survey where that is known."""

    state: ProcessState
    graph: StepGraph
    seen: Survey | None = None

    @property
    def size(self) -> int:
        """Estimate the memory that it takes, in bytes."""
        return _FRAME_BYTES + self.state.payload_bytes


class KnownStates:
    """Keep the states that were used last, bounded by number and by the size of their payloads."""

    def __init__(self, *, states_max: int = STATES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._states: OrderedDict[str, KnownState] = OrderedDict()
        self._states_max = states_max
        self._bytes_max = bytes_max
        self._bytes = 0

    def get(self, process_id: str) -> KnownState | None:
        """Give a state that was true once."""
        known = self._states.get(process_id)
        if known is not None:
            self._states.move_to_end(process_id)
        return known

    def keep(self, graph: StepGraph, state: ProcessState, seen: Survey | None = None) -> None:
        """Remember a state; an ended one is forgotten, since little comes after it."""
        self.forget(state.process_id)
        if state.status.is_ended:
            return
        known = KnownState(state, graph, seen)
        self._states[state.process_id] = known
        self._bytes += known.size
        while len(self._states) > self._states_max or (
            self._bytes > self._bytes_max and len(self._states) > 1
        ):
            _, oldest = self._states.popitem(last=False)
            self._bytes -= oldest.size

    def forget(self, process_id: str) -> None:
        """Drop a state, because it turned out to be stale."""
        known = self._states.pop(process_id, None)
        if known is not None:
            self._bytes -= known.size
