"""The contract of the projections: the greater version wins, no page loses any, a timer has one holder."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from saga.ports.projections import NO_SNAPSHOT, Position, ProjectionFilter
from tests.contract.factories import NASTY, projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saga.ports.projections import Projection, ProjectionStore
    from tests.contract.conftest import Store

EVERYTHING = ProjectionFilter()


async def test_a_projection_comes_back_equal(store: Store) -> None:
    """Operators, dots, NUL and empty keys in state and labels are kept; an unknown id gives nothing."""
    labels = {"$team": "a.b", "a.b": "$x", "": "", "k=v": NASTY, "nul": "\x00"}
    written = projection("p1", state=NASTY, labels=labels, wake_at=1_700_000_000_000, attention=True)
    await store.projections.save(written)
    assert await store.projections.load("p1") == written
    assert await store.projections.load("p2") is None


async def test_only_a_greater_version_replaces_a_projection(store: Store) -> None:
    """A write that comes late, or again, changes nothing and raises nothing."""
    await store.projections.save(projection("p1", 5, status="completed", wake_at=None))
    await store.projections.save(projection("p1", 4, status="started", wake_at=9))
    await store.projections.save(projection("p1", 5, status="started", wake_at=9))
    assert await store.projections.load("p1") == projection("p1", 5, status="completed")
    newer = projection("p1", 6, labels={"a": "b"}, wake_at=9)
    await store.projections.save(newer)
    assert await store.projections.load("p1") == newer


async def test_a_save_without_a_snapshot_keeps_the_stored_one(store: Store) -> None:
    """All else is replaced; a first save without one has none."""
    await store.projections.save(projection("p1", 5, state='{"at": 5}'))
    bare = projection("p1", 6, status="completed", state="", state_format=NO_SNAPSHOT)
    await store.projections.save(bare)
    assert await store.projections.load("p1") == replace(bare, state='{"at": 5}', state_format=1)
    await store.projections.save(replace(bare, process_id="p2"))
    assert await store.projections.load("p2") == replace(bare, process_id="p2")


async def test_of_concurrent_saves_the_greatest_version_stays(store: Store) -> None:
    """Also where the first save of a process races others, in whatever order they arrive."""
    versions = [7, 3, 20, 1, 12, 20, 5, 19, 2, 11]
    ids = [f"p{index}" for index in range(30)]
    await asyncio.gather(
        *(store.projections.save(projection(process_id, v)) for v in versions for process_id in ids)
    )
    loaded = await asyncio.gather(*map(store.projections.load, ids))
    assert list(loaded) == [projection(process_id, 20) for process_id in ids]


async def test_concurrent_loads_each_get_their_own(store: Store) -> None:
    """Loads that share a round trip don't get each other's answer, the missing ones get nothing."""
    await asyncio.gather(*(store.projections.save(projection(f"p{i}", i + 1)) for i in range(0, 300, 2)))
    loaded = await asyncio.gather(*(store.projections.load(f"p{index}") for index in range(300)))
    assert list(loaded) == [
        projection(f"p{index}", index + 1) if index % 2 == 0 else None for index in range(300)
    ]


async def test_a_rewrite_replaces_all_of_what_is_stored(store: Store) -> None:
    """Also a version that is as great, or the greater one that was found wrong; and the state too."""
    bare = projection("p1", 5, labels={"a": "b"}, state="", state_format=NO_SNAPSHOT, wake_at=9)
    for stored in (5, 4, 9):
        await store.projections.rewrite(projection("p1", stored), seen=5)
        assert await store.projections.rewrite(bare, seen=stored)
        assert await store.projections.load("p1") == bare
    assert await store.projections.rewrite(projection("p2", 3), seen=0)
    assert await store.projections.load("p2") == projection("p2", 3)


async def test_a_rewrite_leaves_what_a_coordinator_wrote_meanwhile(store: Store) -> None:
    """A greater version than the new one, and another than the one that was found."""
    await store.projections.save(projection("p1", 8))
    for seen in (0, 5, 7):
        assert not await store.projections.rewrite(projection("p1", 7, status="lost"), seen=seen)
    assert await store.projections.load("p1") == projection("p1", 8)


async def test_a_rewrite_and_saves_at_once_end_with_the_greatest_version(store: Store) -> None:
    """Whichever comes first, also where nothing was stored."""
    ids = [f"p{index}" for index in range(20)]
    await asyncio.gather(
        *(store.projections.rewrite(projection(process_id, 5), seen=0) for process_id in ids),
        *(store.projections.save(projection(process_id, 6)) for process_id in ids),
    )
    assert [await store.projections.load(process_id) for process_id in ids] == [
        projection(process_id, 6) for process_id in ids
    ]


async def test_a_rewritten_projection_is_found_by_its_new_labels(store: Store) -> None:
    """And no longer by those that were wrong."""
    await store.projections.save(projection("p1", 5, labels={"team": "red"}))
    await store.projections.rewrite(projection("p1", 5, labels={"team": "blue"}), seen=5)
    for team, found in (("red", []), ("blue", ["p1"])):
        chosen = ProjectionFilter(labels=(("team", team),))
        page = await store.projections.page(chosen, after=None, limit=5)
        assert [one.process_id for one in page] == found


async def test_all_projections_are_streamed_in_the_order_of_their_ids(store: Store) -> None:
    """Over many pages, or behind an id."""
    written = [projection(f"p{index:04d}", index + 1) for index in range(1_100)]
    await asyncio.gather(*map(store.projections.save, reversed(written)))
    assert [one async for one in store.projections.read_all()] == written
    assert [one async for one in store.projections.read_all("p1090")] == written[1_091:]


async def _all_pages(
    projections: ProjectionStore, chosen: ProjectionFilter, limit: int
) -> list[Sequence[Projection]]:
    pages: list[Sequence[Projection]] = []
    after: Position | None = None
    while page := await projections.page(chosen, after=after, limit=limit):
        pages.append(page)
        after = Position(page[-1].started_at, page[-1].process_id)
    return pages


async def test_paging_through_equal_starts_neither_loses_nor_repeats(store: Store) -> None:
    """Five hundred processes that started in the same millisecond, in pages of 37, come once each, by id."""
    ids = [f"p{index:03d}" for index in range(500)]
    await asyncio.gather(*(store.projections.save(projection(process_id)) for process_id in ids))
    pages = await _all_pages(store.projections, EVERYTHING, 37)
    assert [len(page) for page in pages] == [37] * 13 + [19]
    assert [item.process_id for page in pages for item in page] == ids[::-1]


async def test_the_listing_runs_from_the_newest_start(store: Store) -> None:
    """By start, then by id, both descending, over the borders of pages and with a filter."""
    written = [projection(f"p{index}", started_at=1_000 + index % 3) for index in range(12)]
    await asyncio.gather(*map(store.projections.save, written))
    expected = sorted(written, key=lambda item: (item.started_at, item.process_id), reverse=True)
    for chosen in (EVERYTHING, ProjectionFilter(statuses=("started",), process_type="trip")):
        pages = await _all_pages(store.projections, chosen, 5)
        assert [item for page in pages for item in page] == expected


_LISTED = (
    projection("p1", status="started", started_at=10, labels={"team": "red", "tier": "gold"}),
    projection("p2", status="completed", started_at=20, labels={"team": "red"}),
    projection("p3", status="suspended", started_at=30, labels={"team": "blue"}, attention=True),
    projection("p4", status="started", started_at=40, process_type="loan", labels={"a=b": "c", "$x": "."}),
)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (EVERYTHING, "p4 p3 p2 p1"),
        (ProjectionFilter(statuses=("started",)), "p4 p1"),
        (ProjectionFilter(statuses=("suspended", "completed")), "p3 p2"),
        (ProjectionFilter(process_type="trip"), "p3 p2 p1"),
        (ProjectionFilter(process_type="unknown"), ""),
        (ProjectionFilter(labels=(("team", "red"),)), "p2 p1"),
        (ProjectionFilter(labels=(("team", "red"), ("tier", "gold"))), "p1"),
        (ProjectionFilter(labels=(("team", "red"), ("team", "blue"))), ""),
        (ProjectionFilter(labels=(("a=b", "c"),)), "p4"),
        (ProjectionFilter(labels=(("a", "b=c"),)), ""),
        (ProjectionFilter(labels=(("$x", "."),)), "p4"),
        (ProjectionFilter(attention=True), "p3"),
        (ProjectionFilter(attention=False), "p4 p2 p1"),
        (ProjectionFilter(started_after=20), "p4 p3 p2"),
        (ProjectionFilter(started_before=20), "p1"),
        (ProjectionFilter(started_after=20, started_before=40), "p3 p2"),
        (ProjectionFilter(statuses=("started",), process_type="loan", started_after=11), "p4"),
    ],
)
async def test_each_filter_chooses_what_it_says(
    store: Store, chosen: ProjectionFilter, expected: str
) -> None:
    """All that are given must hold; the later bound of the start is exclusive."""
    await asyncio.gather(*map(store.projections.save, _LISTED))
    found = await store.projections.page(chosen, after=None, limit=10)
    assert [item.process_id for item in found] == expected.split()


async def test_processes_are_counted_by_type_and_status(store: Store) -> None:
    """A process counts under the status it has now, once."""
    assert dict(await store.projections.counts()) == {}
    await asyncio.gather(*map(store.projections.save, _LISTED))
    await store.projections.save(projection("p1", 2, status="completed"))
    assert dict(await store.projections.counts()) == {
        ("trip", "completed"): 2,
        ("trip", "suspended"): 1,
        ("loan", "started"): 1,
    }


async def _lease(
    store: Store, *, before: int = 100, now: int = 100, until: int = 200, limit: int = 10
) -> list[tuple[str, int, int, str]]:
    due = await store.projections.lease_due(before=before, leased_until=until, now=now, limit=limit)
    return sorted((timer.process_id, timer.version, timer.wake_at, timer.wake_for) for timer in due)


async def test_a_timer_is_due_below_the_bound(store: Store) -> None:
    """Neither a timer at the bound, nor a later one, nor a process without one is taken."""
    for process_id, wake_at in (("p1", 99), ("p2", 100), ("p3", 101), ("p4", None)):
        await store.projections.save(projection(process_id, 3, wake_at=wake_at))
    assert await _lease(store) == [("p1", 3, 99, "timeout")]


async def test_a_leased_timer_is_taken_again_only_when_its_lease_ended(store: Store) -> None:
    """The lease lasts until the moment that it names."""
    await store.projections.save(projection("p1", wake_at=50))
    assert len(await _lease(store, until=200)) == 1
    assert await _lease(store, now=150) == []
    assert await _lease(store, now=199) == []
    assert len(await _lease(store, now=200, until=300)) == 1
    assert await _lease(store, now=250, until=350) == []


async def test_a_save_leaves_the_lease_alone(store: Store) -> None:
    """A newer version with the same timer doesn't make it free: its wake is under way already."""
    await store.projections.save(projection("p1", wake_at=50))
    assert len(await _lease(store)) == 1
    await store.projections.save(projection("p1", 2, wake_at=50))
    assert await _lease(store, now=150) == []
    assert await _lease(store, now=200) == [("p1", 2, 50, "timeout")]


async def test_a_lease_ends_when_the_timer_changes(store: Store) -> None:
    """The lease was for another time: the new one is due on its own."""
    await store.projections.save(projection("p1", wake_at=50))
    assert len(await _lease(store)) == 1
    await store.projections.save(projection("p1", 2, wake_at=60))
    assert await _lease(store, now=101) == [("p1", 2, 60, "timeout")]
    await store.projections.save(projection("p1", 3, wake_at=None))
    assert await _lease(store, now=500) == []


async def test_no_more_timers_are_taken_than_asked_for_and_the_oldest_first(store: Store) -> None:
    """The rest is left for the next call."""
    for index in range(9):
        await store.projections.save(projection(f"p{index}", wake_at=90 - index))
    taken = [await _lease(store, limit=4) for _ in range(4)]
    assert [[timer[0] for timer in timers] for timers in taken] == [
        ["p5", "p6", "p7", "p8"],
        ["p1", "p2", "p3", "p4"],
        ["p0"],
        [],
    ]


async def test_concurrent_callers_never_get_the_same_timer(store: Store) -> None:
    """Eight pollers at once over a hundred due timers take each of them once, until none is left."""
    ids = sorted(f"p{index}" for index in range(100))
    await asyncio.gather(*(store.projections.save(projection(p, wake_at=50)) for p in ids))

    async def poll() -> list[str]:
        taken: list[str] = []
        for _ in range(20):
            taken += [timer[0] for timer in await _lease(store, limit=20)]
        return taken

    taken = await asyncio.gather(*(poll() for _ in range(8)))
    assert sorted(process_id for poller in taken for process_id in poller) == ids
