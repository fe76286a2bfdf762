"""Compare a stored projection with what the log amounts to, and write what it should be. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from saga.coordinator.projector import project, snapshot_in
from saga.definition.graph import StepGraph
from saga.errors import UnreadableLog
from saga.ports.projections import NO_SNAPSHOT, Projection
from saga.process.effects import outstanding
from saga.process.snapshot import SNAPSHOT_FORMAT, to_snapshot, unsealed
from saga.process.state import ProcessState
from saga.process.timers import next_wake
from saga.replay.difference import Difference, differences, plain
from saga.replay.history import History, state_at, states

# They are compared as what they hold, and not as text.
_SNAPSHOT = ("state", "state_format")
_APART = (*_SNAPSHOT, "damaged")


@dataclass(frozen=True, slots=True)
class Compared:
    """Hold what came of a comparison: the projection as it should be, and what differs from it.

    `behind` is how many events the log has that the projection, right for its version, doesn't know yet: the
    coordinators bring it up, and it is no difference. `unsent` counts the commands without an answer that, as
    far as the projection says, may never have been published.
    """

    right: Projection
    differences: tuple[Difference, ...] = ()
    behind: int = 0
    unsent: int = 0


@dataclass(frozen=True, slots=True)
class Points:
    """Hold what a comparison looks at: the process as it stood at the projection's version, and as it stands.

    `then` is None where there is no projection, or one whose version is none that was ever projected.
    """

    history: History
    projection: Projection | None
    then: ProcessState | None
    last: ProcessState

    @property
    def definitions(self) -> frozenset[str]:
        """Name the definitions, by their hashes, whose graphs `compare` needs."""
        return frozenset(
            state.origin.definition_hash for state in (self.then, self.last) if state is not None
        )


def points(history: History, projection: Projection | None) -> Points:
    """Fold a history. Raises UnreadableLog."""
    ends = {transition.last for transition in history.transitions}
    number = projection.version if projection is not None and projection.version in ends else None
    then = last = None
    for last in states(history):
        if last.version == number:
            then = last
    if last is None:
        raise UnreadableLog(history.process_id, 1, "the log is empty")
    return Points(history, projection, then, last)


def compare(at: Points, graphs: Mapping[str, StepGraph]) -> Compared:
    """Compare a projection with the log, at the version that the projection has. Raises UnreadableLog."""
    projection, then, last = at.projection, at.then, at.last
    right = _right(last, graphs)
    if projection is None:
        found: tuple[Difference, ...] = (Difference(last.version, "projection", str(last.status), None),)
    elif then is None:
        _refuse_lost_events(last, projection)
        found = tuple(_differing(right, projection))
    else:
        right_then = right if then is last else _right(then, graphs)
        found = (*_differing(right_then, projection), *_differing_state(at.history, right_then, projection))
        if not found:
            return Compared(right, behind=last.version - then.version)
    published = 0 if projection is None else projection.version
    return Compared(right, found, unsent=_unsent(at.history, last, published))


def _refuse_lost_events(last: ProcessState, projection: Projection) -> None:
    """Raise UnreadableLog where the projection holds a later state that nobody changed: the log lost its end."""
    later = snapshot_in(projection)
    if later is not None and later.version > last.version:
        problem = (
            f"the projection has a whole state after event {later.version}, so the log lost its end: "
            "bring the events back (`saga import` does, from an export)"
        )
        raise UnreadableLog(last.process_id, last.version + 1, problem)


def _unsent(history: History, state: ProcessState, published: int) -> int:
    return sum(
        len(outstanding(state, transition.commands))
        for transition in history.transitions
        if transition.first > published
    )


def _right(state: ProcessState, graphs: Mapping[str, StepGraph]) -> Projection:
    return project(state, next_wake(graphs[state.origin.definition_hash], state))


def _differing(right: Projection, found: Projection) -> Iterator[Difference]:
    for field in fields(Projection):
        if field.name in _APART:
            continue
        log, stored = getattr(right, field.name), getattr(found, field.name)
        if log == stored and isinstance(log, bool) is isinstance(stored, bool):
            if field.name in found.damaged:
                yield Difference(right.version, field.name, plain(log), "can't be read")
            continue
        yield from differences(right.version, log, stored, within=field.name)


def _differing_state(history: History, right: Projection, found: Projection) -> Iterator[Difference]:
    """Compare the snapshot at its own version: that of a large process is not written with every event."""
    number = found.version
    if (found.state_format, found.state) == (right.state_format, right.state):
        yield from (
            Difference(number, name, None, "can't be read") for name in _SNAPSHOT if name in found.damaged
        )
        return
    if found.state_format == NO_SNAPSHOT:
        yield Difference(number, "state", "a snapshot", None)
        return
    if found.state_format != SNAPSHOT_FORMAT:
        yield Difference(number, "state_format", SNAPSHOT_FORMAT, found.state_format)
        return
    try:
        snapshot = unsealed(found.state)
    except ValueError as error:
        yield Difference(number, "state", "a snapshot", f"can't be read: {error}")
        return
    ends = {transition.last for transition in history.transitions if transition.last <= number}
    state = state_at(history, snapshot.version) if snapshot.version in ends else None
    if state is None:
        yield Difference(number, "state.version", number, snapshot.version)
        return
    differing = tuple(differences(snapshot.version, state, snapshot, within="state"))
    yield from differing
    if not differing and found.state != to_snapshot(state):
        yield Difference(snapshot.version, "state", "a snapshot", "is not as it was written")
