"""A projection that somebody damaged in MongoDB is read all the same, and replaced by what the log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bson import Code
from pymongo import AsyncMongoClient

from adapters.mongodb import Driver, MongoStore
from saga.definition.catalog import Catalog
from saga.ports.projections import ProjectionFilter
from saga.replay.history import History, StoredHistories
from saga.replay.replaying import Outcome, ReplayProcesses
from saga.views.process import summary
from tests.contract.factories import projection
from tests.unit.replay.histories import booked, definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.servers


@pytest.fixture(params=list(Driver))
async def store(
    request: pytest.FixtureRequest, mongodb_url: str, mongodb_database: str
) -> AsyncIterator[MongoStore]:
    """Give a store over each of the two clients."""
    opened = await MongoStore.open(mongodb_url, mongodb_database, driver=request.param)
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    "damage",
    [
        {"$set": {"version": "five"}},
        {"$unset": {"version": ""}},
        {"$set": {"version": 3.5}},
        {"$set": {"version": 99}},
        {"$set": {"status": 7, "started_at": "now", "labels_text": "{", "attention": "yes", "wake_at": {}}},
        {"$set": {"labels_text": "[]"}},
        {"$set": {"process_type": Code("f"), "status": {}}},
        {"$set": {"labels_text": '{"a":{}}', "version": True}},
        {"$set": {"started_at": 2**62, "updated_at": -(2**62), "ended_at": 2**62, "wake_at": 2**62}},
        {"$unset": {"process_type": "", "labels_text": "", "labels": "", "state": "", "ended_at": ""}},
    ],
)
async def test_a_damaged_projection_is_read_listed_and_replaced(
    mongodb_url: str, mongodb_database: str, store: MongoStore, damage: dict[str, Any]
) -> None:
    """What is damaged reads as nothing; the lease of its timer stays."""
    right = projection("p1", 5, labels={"a": "b"}, wake_at=1)
    await store.projections.save(right)
    await store.projections.lease_due(before=5, leased_until=100, now=0, limit=1)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    try:
        await client[mongodb_database]["processes"].update_one({"_id": "p1"}, damage)
    finally:
        await client.close()
    found = await store.projections.load("p1")
    assert found is not None
    assert found != right
    assert list(await store.projections.page(ProjectionFilter(), after=None, limit=5)) == [found]
    assert [one async for one in store.projections.read_all()] == [found]
    assert summary(found)["process_id"] == "p1"
    await store.projections.counts()
    assert await store.projections.rewrite(right, seen=found.version)
    assert await store.projections.load("p1") == right
    assert await store.projections.lease_due(before=5, leased_until=100, now=0, limit=1) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"$unset": {"version": ""}},
        {"$set": {"version": "five"}},
        {"$set": {"wake_at": 1.5}},
        {"$set": {"wake_for": "fun"}},
        {"$set": {"wake_for": {}}},
        {"$unset": {"wake_for": ""}},
    ],
)
async def test_a_damaged_timer_holds_up_no_other(
    mongodb_url: str,
    mongodb_database: str,
    store: MongoStore,
    damage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It can't go off; that is said, with what to do, and all others do."""
    for name in ("p1", "p2"):
        await store.projections.save(projection(name, 5, wake_at=1))
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    try:
        await client[mongodb_database]["processes"].update_one({"_id": "p1"}, damage)
    finally:
        await client.close()
    due = await store.projections.lease_due(before=5, leased_until=100, now=0, limit=2)
    assert [timer.process_id for timer in due] == ["p2"]
    assert "saga replay p1 --repair" in caplog.text


@pytest.mark.parametrize(
    ("damage", "column"),
    [
        ({"$set": {"attention": -5}}, "attention"),
        ({"$set": {"labels": ["x"]}}, "labels"),
        ({"$unset": {"labels": ""}}, "labels"),
        ({"$set": {"wake_for": ""}}, "wake_for"),
        ({"$set": {"ended_at": "now"}}, "ended_at"),
        ({"$set": {"state_format": True}}, "state"),
    ],
)
async def test_a_column_that_reads_as_what_is_right_is_damaged_all_the_same(
    mongodb_url: str, mongodb_database: str, store: MongoStore, damage: dict[str, Any], column: str
) -> None:
    """An index over it would still find it wrongly, or not at all: replay names it, and writes it anew."""
    for transition in booked("p1"):
        await store.log.append(transition)
    await store.definitions.register(definition())
    replaying = ReplayProcesses(StoredHistories(store.log, Catalog(store.definitions)), store.projections)
    await replaying.one("p1", repair=True)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    try:
        processes = client[mongodb_database]["processes"]
        before = await processes.find_one({"_id": "p1"})
        await processes.update_one({"_id": "p1"}, damage)
        report = await replaying.one("p1")
        assert report is not None
        assert (report.outcome, [one.field for one in report.differences]) == (Outcome.DIFFERENT, [column])
        repaired = await replaying.one("p1", repair=True)
        assert repaired is not None
        assert repaired.outcome is Outcome.REPAIRED
        assert await processes.find_one({"_id": "p1"}) == before
    finally:
        await client.close()


async def test_a_lease_that_was_damaged_ends(
    mongodb_url: str, mongodb_database: str, store: MongoStore
) -> None:
    """Else its timer would never go off again; one that another server took just now holds."""
    await store.projections.save(projection("p1", 5, wake_at=1))
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    try:
        for lease_until, due in ((60_000, 0), (2**62, 1)):
            await client[mongodb_database]["processes"].update_one(
                {"_id": "p1"}, {"$set": {"lease_for": 1, "lease_until": lease_until}}
            )
            taken = await store.projections.lease_due(before=5, leased_until=100, now=0, limit=2)
            assert len(taken) == due
    finally:
        await client.close()


async def test_what_stands_before_the_damage_of_a_log_is_given(
    mongodb_url: str, mongodb_database: str, store: MongoStore
) -> None:
    """So that a person can look at how the process stood then; its neighbours are not mixed in."""
    names = [f"{name}0000000-0000-4000-8000-000000000000" for name in "abc"]
    for name in names:
        for transition in booked(name):
            await store.log.append(transition)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    try:
        chosen = {"_id": f"{names[1]}:00000004"}
        await client[mongodb_database]["events"].update_one(chosen, {"$set": {"events.0.output": "{"}})
    finally:
        await client.close()
    histories = StoredHistories(store.log, Catalog(store.definitions))
    history = await histories.one(names[1])
    assert history is not None
    assert history.transitions == tuple(booked(names[1])[:2])
    assert history.problem is not None
    assert (history.problem.number, history.problem.field) == (4, "output")
    for name in (names[0], names[2]):
        assert await histories.one(name) == History(name, tuple(booked(name)))
