"""A projection that somebody damaged in MongoDB is read all the same, and replaced by what the log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo import AsyncMongoClient

from adapters.mongodb import Driver, MongoStore
from saga.ports.projections import ProjectionFilter
from saga.views.process import summary
from tests.contract.factories import projection

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
