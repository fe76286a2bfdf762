"""The projector: one write per process under way, the newest waiting version wins, and everybody returns."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.projector import SMALL_BYTES, SNAPSHOT_MAX, Projector, project, snapshot_in
from saga.errors import StoreUnavailable, Unstorable
from saga.ports.projections import NO_SNAPSHOT
from saga.process.snapshot import SNAPSHOT_FORMAT, from_snapshot
from saga.process.status import ProcessStatus
from saga.process.timers import next_wake
from saga.testing import InMemoryProjectionStore
from tests.unit.coordinator import standings as st

if TYPE_CHECKING:
    from saga.ports.projections import Projection

GRAPH = st.known().graph


class GatedStore(InMemoryProjectionStore):
    """The store in memory, whose writes wait until the test lets them through, or makes them fail."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[str, int]] = []
        self.gate = asyncio.Event()
        self.errors: list[Exception] = []

    async def save(self, projection: Projection) -> None:
        """Write when the gate is open."""
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        await super().save(projection)
        self.written.append((projection.process_id, projection.version))


class Silence:
    """An observer that hears nothing."""

    def reached(self, point: str) -> None:
        """Do nothing."""

    def counted(self, name: str, **labels: str) -> None:
        """Do nothing."""


def saving(projector: Projector, version: int, process_id: str = st.ID) -> asyncio.Future[None]:
    """Ask for a version to be saved."""
    state = replace(st.begun(process_id).state, version=version)
    return asyncio.ensure_future(projector.save(state, None))


async def settle() -> None:
    """Let everything run that can run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_newer_version_replaces_the_one_that_waits() -> None:
    """While one write is under way the others gather, and only the newest of them is written."""
    store = GatedStore()
    projector = Projector(store, Silence())
    waiting = [saving(projector, version) for version in (3, 4, 7, 5, 6)]
    await settle()
    store.gate.set()
    await asyncio.gather(*waiting)

    assert store.written == [(st.ID, 3), (st.ID, 7)]
    assert projector._writing == {}


async def test_nobody_returns_before_a_version_as_great_as_theirs_is_durable() -> None:
    """The acknowledgement of a message waits for its own projection, not for an older one."""
    store = GatedStore()
    projector = Projector(store, Silence())
    first, second = saving(projector, 3), saving(projector, 4)
    await settle()
    assert not first.done()
    store.gate.set()
    await first
    assert not second.done() or (st.ID, 4) in store.written
    await second

    assert store.written == [(st.ID, 3), (st.ID, 4)]


async def test_other_processes_are_written_beside_it() -> None:
    """One slow process holds up no other, so that the store can write them in bulk."""
    store = GatedStore()
    projector = Projector(store, Silence())
    waiting = [saving(projector, 3, name) for name in ("a", "b", "c")]
    await settle()
    store.gate.set()
    await asyncio.gather(*waiting)

    assert sorted(store.written) == [("a", 3), ("b", 3), ("c", 3)]


async def test_an_error_reaches_all_who_wait_for_that_write() -> None:
    """Their messages are parked or handed back; none hangs, and the next write starts afresh."""
    store = GatedStore()
    store.errors = [Unstorable("too large"), Unstorable("too large")]
    projector = Projector(store, Silence())
    waiting = [saving(projector, version) for version in (3, 4, 5)]
    await settle()
    store.gate.set()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Unstorable] * 3
    await saving(projector, 6)
    assert store.written == [(st.ID, 6)]


async def test_an_error_of_the_first_write_does_not_touch_the_next() -> None:
    """Each write stands for itself."""
    store = GatedStore()
    store.errors = [Unstorable("too large")]
    projector = Projector(store, Silence())
    first, second = saving(projector, 3), saving(projector, 4)
    await settle()
    store.gate.set()
    await second

    with pytest.raises(Unstorable):
        await first
    assert store.written == [(st.ID, 4)]


async def test_a_store_that_is_away_costs_only_time() -> None:
    """The same write is repeated until it is done."""
    store = GatedStore()
    store.gate.set()
    store.errors = [StoreUnavailable("away")]
    projector = Projector(store, Silence())

    await saving(projector, 3)

    assert store.written == [(st.ID, 3)]


async def test_a_caller_that_goes_away_leaves_the_others_served() -> None:
    """A coordinator that stops breaks off a write; what waits behind it is written all the same."""
    store = GatedStore()
    projector = Projector(store, Silence())
    first, second, third = (saving(projector, version) for version in (3, 4, 5))
    await settle()
    first.cancel()
    second.cancel()
    await settle()
    store.gate.set()
    await third

    assert store.written == [(st.ID, 5)]


def test_a_projection_shows_what_queries_ask_for() -> None:
    """The state as text beside the columns, and the earliest timer."""
    state = st.begun().state
    projection = project(state, next_wake(GRAPH, state))

    assert from_snapshot(projection.state) == state
    assert (projection.status, projection.version, projection.attention) == ("started", 3, False)
    assert (projection.wake_at, projection.wake_for) == (st.NOW + 30_000, "timeout")
    assert (projection.state_format, projection.ended_at) == (SNAPSHOT_FORMAT, None)


def test_a_snapshot_that_another_hand_changed_is_not_read() -> None:
    """A decision on it would spoil the log, which can be folded instead; nor is that of another process."""
    projection = project(st.begun().state, None)
    assert snapshot_in(projection) == st.begun().state
    changed = (
        projection.state.replace('"started"', '"failed"'),
        projection.state.replace('"sum":"', '"sum":"0'),
        projection.state + " ",
        projection.state[:-1],
        "{" + projection.state[projection.state.index(",") + 1 :],
        '{"undo_plan":null,"steps":[],"locks":null}',
        "[" * 100_000,
        "",
    )
    for state in changed:
        assert snapshot_in(replace(projection, state=state)) is None
    assert snapshot_in(replace(projection, process_id="another")) is None


def test_a_suspended_process_asks_for_attention() -> None:
    """Whatever it is suspended for."""
    assert project(replace(st.begun().state, status=ProcessStatus.SUSPENDED), None).attention


def test_a_snapshot_that_no_store_could_hold_is_left_out() -> None:
    """The log has it all; the columns are kept."""
    projection = project(st.grown(st.begun().state, SNAPSHOT_MAX + 1), None)

    assert (projection.state, projection.state_format) == ("", NO_SNAPSHOT)
    assert projection.version == 3


async def test_a_large_state_is_written_where_the_log_grew_by_a_quarter() -> None:
    """Else what is written for a process would grow with the square of its log."""
    store = GatedStore()
    store.gate.set()
    projector = Projector(store, Silence())
    large = st.grown(st.begun().state, SMALL_BYTES + 1)
    with_snapshot = []
    for version in range(100, 200):
        await projector.save(replace(large, version=version), None)
        stored = await store.load(st.ID)
        snapshot = snapshot_in(stored)
        assert stored is not None
        assert snapshot is not None
        assert stored.version == version
        if snapshot.version == version:
            with_snapshot.append(version)
    assert with_snapshot == [100, 125, 157, 197]


async def test_the_end_and_a_small_state_are_always_written_whole() -> None:
    """Then nothing has to be read but the projection."""
    store = GatedStore()
    store.gate.set()
    projector = Projector(store, Silence())
    large = st.grown(st.begun().state, SMALL_BYTES + 1)
    for state in (
        replace(large, version=100),
        replace(large, version=101, status=ProcessStatus.COMPLETED),
        replace(st.begun().state, version=102),
        replace(st.begun().state, version=103),
    ):
        await projector.save(state, None)
        snapshot = snapshot_in(await store.load(st.ID))
        assert snapshot is not None
        assert snapshot.version == state.version
