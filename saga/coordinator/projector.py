"""Keep the projections up to date: at most one write per process under way, the newest waiting version wins."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from saga.coordinator.patience import patiently
from saga.ports.observer import Observer
from saga.ports.projections import NO_SNAPSHOT, Projection, ProjectionStore
from saga.process.snapshot import SNAPSHOT_FORMAT, from_snapshot, to_snapshot
from saga.process.state import ProcessState
from saga.process.status import ProcessStatus
from saga.process.timers import Wake

# A snapshot above this size is left out: the store could not hold it, and the log has it all.
SNAPSHOT_MAX = 8 * 1024 * 1024
# Up to so much a snapshot goes with every write. A larger one goes where the log grew by a quarter since the
# last one, so that what is written for a process grows with its log, and not with the square of it.
SMALL_STEPS = 32
SMALL_BYTES = 16 * 1024
_GROWTH = 1.25
_REMEMBERED_MAX = 10_000


def project(state: ProcessState, wake: Wake | None, *, with_snapshot: bool = True) -> Projection:
    """Write a state, and its earliest timer, as queries see them."""
    is_there = with_snapshot and state.payload_bytes <= SNAPSHOT_MAX
    return Projection(
        process_id=state.process_id,
        process_type=state.origin.process_type,
        definition_hash=state.origin.definition_hash,
        status=str(state.status),
        version=state.version,
        state=to_snapshot(state) if is_there else "",
        state_format=SNAPSHOT_FORMAT if is_there else NO_SNAPSHOT,
        labels=state.origin.labels,
        attention=state.attention or state.status is ProcessStatus.SUSPENDED,
        wake_at=wake.at if wake else None,
        wake_for=str(wake.reason) if wake else None,
        started_at=state.origin.accepted_at,
        updated_at=state.updated_at,
        ended_at=state.ended_at,
    )


def snapshot_in(projection: Projection | None) -> ProcessState | None:
    """Read the state in a projection, which may be that of an earlier version of the process.

    None where it is that of another version of the code, of another process, or damaged: that only costs the
    fold of the whole log.
    """
    if projection is None or projection.state_format != SNAPSHOT_FORMAT:
        return None
    try:
        state = from_snapshot(projection.state)
    except ValueError:
        return None
    is_its_own = state.process_id == projection.process_id and state.version <= projection.version
    return state if is_its_own else None


class _Snapshots:
    """Say with which writes a snapshot goes; what is forgotten, or never known, goes with the next one."""

    def __init__(self) -> None:
        self._written: OrderedDict[str, int] = OrderedDict()

    def is_due(self, state: ProcessState) -> bool:
        """Say whether it goes with the write of this state."""
        written = self._written.get(state.process_id)
        is_small = len(state.steps) <= SMALL_STEPS and state.payload_bytes <= SMALL_BYTES
        return is_small or written is None or state.status.is_ended or state.version >= written * _GROWTH

    def was_written(self, state: ProcessState) -> None:
        """Remember what the store has now."""
        if state.status.is_ended or (len(state.steps) <= SMALL_STEPS and state.payload_bytes <= SMALL_BYTES):
            self._written.pop(state.process_id, None)
            return
        self._written[state.process_id] = state.version
        self._written.move_to_end(state.process_id)
        if len(self._written) > _REMEMBERED_MAX:
            self._written.popitem(last=False)


@dataclass(slots=True)
class _Writing:
    """One process's write under way, and the newer version that waits for it."""

    waiting: tuple[ProcessState, Wake | None] | None = None
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


class Projector:
    """Save projections; the messages behind a version that is overtaken return together with the newer one."""

    def __init__(self, store: ProjectionStore, observer: Observer) -> None:
        self._store = store
        self._observer = observer
        self._snapshots = _Snapshots()
        self._writing: dict[str, _Writing] = {}
        self._follow_ups: set[asyncio.Future[None]] = set()

    async def save(self, state: ProcessState, wake: Wake | None) -> None:
        """Return when this version, or a later one, is stored durably."""
        writing = self._writing.get(state.process_id)
        if writing is not None:
            if writing.waiting is None or writing.waiting[0].version < state.version:
                writing.waiting = (state, wake)
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            writing.waiters.append(done)
            await done
            return
        self._writing[state.process_id] = writing = _Writing()
        try:
            await self._write(state, wake)
        finally:
            self._hand_over(state.process_id, writing)

    async def _write(self, state: ProcessState, wake: Wake | None) -> None:
        is_due = self._snapshots.is_due(state)
        projection = project(state, wake, with_snapshot=is_due)
        await patiently(lambda: self._store.save(projection), self._observer)
        if is_due:
            self._snapshots.was_written(state)

    def _hand_over(self, process_id: str, writing: _Writing) -> None:
        """Start the write that waits, on behalf of all who wait for it."""
        del self._writing[process_id]
        if writing.waiting is None:
            return
        follow_up = asyncio.ensure_future(self.save(*writing.waiting))
        self._follow_ups.add(follow_up)  # kept, or it may be collected before it is done
        follow_up.add_done_callback(self._follow_ups.discard)
        follow_up.add_done_callback(lambda done: _settle(writing.waiters, done))


def _settle(waiters: list[asyncio.Future[None]], done: "asyncio.Future[None]") -> None:
    error = None if done.cancelled() else done.exception()
    for waiter in waiters:
        if waiter.done():
            continue
        if done.cancelled():
            waiter.cancel()
        elif error is not None:
            waiter.set_exception(error)
        else:
            waiter.set_result(None)
