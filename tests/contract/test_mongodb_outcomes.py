"""What the log does where MongoDB doesn't say what became of a write, and how the store bears its absence."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import AsyncMongoClient

from adapters.mongodb import Driver, MongoStore
from saga.errors import (
    NotReady,
    OutcomeUnknown,
    StoreUnavailable,
    UnreadableLog,
    Unstorable,
    VersionConflict,
)
from tests.contract.factories import definition, projection, transition
from tests.contract.lossy_proxy import lossy_proxy
from tests.support.servers import MongoServer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from pymongo.asynchronous.collection import AsyncCollection

_CONCERN_ERROR = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
_TIMED_OUT = 50


@pytest.fixture(params=[Driver.MOTOR, pytest.param(Driver.PYMONGO, marks=pytest.mark.faults)])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Give each of the two clients; the one that nobody uses yet with the long matrix of faults."""
    chosen: Driver = request.param
    return chosen


@pytest.fixture
def fail(own_mongo: MongoServer) -> Iterator[Callable[..., None]]:
    """Make commands of the adapter fail, and end that after the test."""

    def configure(command: str, *, times: int | None, how: dict[str, object]) -> None:
        mode = "alwaysOn" if times is None else {"times": times}
        failing = {"failCommands": [command], "appName": "batuta", **how}
        own_mongo.admin({"configureFailPoint": "failCommand", "mode": mode, "data": failing})

    yield configure
    own_mongo.admin({"configureFailPoint": "failCommand", "mode": "off"})


@asynccontextmanager
async def _opened(url: str, database: str, driver: Driver, **options: int) -> AsyncIterator[MongoStore]:
    store = await MongoStore.open(url, database, driver=driver, **options)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(own_mongo: MongoServer, mongodb_database: str, driver: Driver) -> AsyncIterator[MongoStore]:
    """Give a store that loses patience soon, on a server that may be made to fail."""
    async with _opened(own_mongo.url, mongodb_database, driver, timeout_ms=400) as opened:
        yield opened


@asynccontextmanager
async def _events(server: MongoServer, database: str) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](server.url) as client:
        yield client[database]["events"]


async def test_an_append_that_no_majority_acknowledged_is_asked_about(
    store: MongoStore, fail: Callable[..., None]
) -> None:
    """A write-concern error means that the data is written: the log repeats, finds its mark, and is done."""
    fail("insert", times=2, how=_CONCERN_ERROR)
    written = [transition(f"p{index}") for index in range(5)]
    await asyncio.gather(*map(store.log.append, written))
    for item in written:
        assert list(await store.log.read(item.process_id)) == [item]


async def test_a_rival_behind_a_write_concern_error_is_still_a_conflict(
    store: MongoStore, fail: Callable[..., None]
) -> None:
    """An unknown outcome never turns another writer's document into a success."""
    await store.log.append(transition("p1", mark="winner"))
    fail("insert", times=1, how=_CONCERN_ERROR)
    with pytest.raises(VersionConflict):
        await store.log.append(transition("p1", mark="loser"))
    assert list(await store.log.read("p1")) == [transition("p1", mark="winner")]


@pytest.mark.parametrize("how", [{"closeConnection": True}, {"errorCode": _TIMED_OUT}])
async def test_an_append_that_failed_once_is_repeated(
    store: MongoStore, fail: Callable[..., None], how: dict[str, object]
) -> None:
    """A lost connection or a time-out of the server costs a repetition, and the caller doesn't notice."""
    fail("insert", times=1, how=how)
    await store.log.append(transition("p1"))
    assert list(await store.log.read("p1")) == [transition("p1")]


@pytest.mark.parametrize("how", [{"closeConnection": True}, {"errorCode": _TIMED_OUT}])
async def test_an_append_that_keeps_failing_has_an_unknown_outcome(
    store: MongoStore, fail: Callable[..., None], how: dict[str, object]
) -> None:
    """The log gives up within a bound, says which write it was, and the same write succeeds later."""
    fail("insert", times=None, how=how)
    with pytest.raises(OutcomeUnknown, match="event 1 of process p1"):
        await store.log.append(transition("p1"))
    fail("insert", times=1, how=how)
    await store.log.append(transition("p1"))
    assert list(await store.log.read("p1")) == [transition("p1")]


async def test_the_own_mark_is_believed_only_when_a_majority_read_shows_it(
    store: MongoStore, fail: Callable[..., None]
) -> None:
    """A refused key says that some document is there; while nobody can read whose, the outcome is unknown."""
    await store.log.append(transition("p1"))
    fail("find", times=None, how={"errorCode": _TIMED_OUT})
    with pytest.raises(OutcomeUnknown):
        await store.log.append(transition("p1"))


@pytest.mark.parametrize("replies_to_lose", [1, 2, 5])
async def test_a_lost_reply_to_an_applied_insert_stores_it_once(
    own_mongo: MongoServer, mongodb_database: str, driver: Driver, replies_to_lose: int
) -> None:
    """However often the answer is lost on the way, the document is there once and the append returns."""
    async with lossy_proxy(own_mongo.port) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        async with _opened(url, mongodb_database, driver) as store:
            proxy.replies_to_lose = replies_to_lose
            await store.log.append(transition("p1"))
            assert proxy.replies_to_lose == 0
            assert list(await store.log.read("p1")) == [transition("p1")]


async def test_a_lost_reply_of_a_standalone_server_is_settled_by_the_mark(
    standalone_mongodb_url: str, mongodb_database: str, driver: Driver
) -> None:
    """There the driver doesn't repeat writes by itself: the log does, and finds its own mark."""
    port = re.findall(r":([0-9]+)", standalone_mongodb_url)[0]
    async with lossy_proxy(int(port)) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        async with _opened(url, mongodb_database, driver) as store:
            proxy.replies_to_lose = 2
            await asyncio.gather(*(store.log.append(transition(f"p{index}")) for index in range(20)))
            assert proxy.replies_to_lose == 0
            assert len([found async for found in store.log.read_all()]) == 20


async def test_two_writers_of_one_number_leave_one_document(
    own_mongo: MongoServer, mongodb_database: str
) -> None:
    """Two coordinators, one on each client, fight over thirty numbers: each number has one winner."""
    async with (
        _opened(own_mongo.url, mongodb_database, Driver.MOTOR) as first,
        _opened(own_mongo.url, mongodb_database, Driver.PYMONGO) as second,
    ):
        for number in range(1, 31):
            results = await asyncio.gather(
                first.log.append(transition("p1", number, mark="first")),
                second.log.append(transition("p1", number, mark="second")),
                return_exceptions=True,
            )
            assert [type(result) for result in results if result is not None] == [VersionConflict]
        stored = list(await first.log.read("p1"))
        assert stored == list(await second.log.read("p1"))
        assert [item.first for item in stored] == list(range(1, 31))


@pytest.mark.parametrize(
    "damage",
    [{"v": 3}, {"events": [{"type": "teleported"}]}, {"events": [{"type": "step_started"}]}, {"v": None}],
)
async def test_a_document_that_this_version_cannot_read_stops_its_process_only(
    own_mongo: MongoServer, mongodb_database: str, store: MongoStore, damage: dict[str, object]
) -> None:
    """A newer format, an unknown event or a missing field is said loudly; reads beside it go on."""
    for process_id in ("p1", "p2"):
        await store.log.append(transition(process_id, 1))
        await store.log.append(transition(process_id, 2))
    async with _events(own_mongo, mongodb_database) as events:
        await events.update_one({"_id": "p1:00000002"}, {"$set": damage})
    bad, good = await asyncio.gather(
        store.log.read("p1", after=1), store.log.read("p2", after=1), return_exceptions=True
    )
    assert isinstance(bad, UnreadableLog)
    assert (bad.process_id, bad.number) == ("p1", 2)
    assert good == [transition("p2", 2)]


@pytest.mark.parametrize(
    ("damage", "number", "field"),
    [({"v": 3}, 2, "v"), ({"p": "p9"}, 2, "p"), ({"n": 7}, 2, "n"), ({"events.0.mood": 1}, 2, "mood")],
)
async def test_a_stream_names_what_can_not_be_read_and_goes_on(
    own_mongo: MongoServer,
    mongodb_database: str,
    store: MongoStore,
    damage: dict[str, object],
    number: int,
    field: str,
) -> None:
    """By the process that the key names, the event and the field."""
    for process_id in ("p1", "p2"):
        await store.log.append(transition(process_id, 1))
        await store.log.append(transition(process_id, 2))
    async with _events(own_mongo, mongodb_database) as events:
        await events.update_one({"_id": "p1:00000002"}, {"$set": damage})
    found = [one async for one in store.log.read_all()]
    bad = found.pop(1)
    assert isinstance(bad, UnreadableLog)
    assert (bad.process_id, bad.number, bad.field) == ("p1", number, field)
    assert found == [transition("p1", 1), transition("p2", 1), transition("p2", 2)]


async def test_documents_stand_in_the_store_as_promised(
    own_mongo: MongoServer, mongodb_database: str, store: MongoStore
) -> None:
    """The key, the process and the number are where those who look at the database expect them."""
    await store.log.append(transition("p1", 1))
    await store.log.append(transition("p1", 2, events=3))
    async with _events(own_mongo, mongodb_database) as events:
        found = await events.find({}, {"p": 1, "n": 1, "events.type": 1}).sort("_id").to_list(None)
    assert found == [
        {"_id": "p1:00000001", "p": "p1", "n": 1, "events": [{"type": "started"}]},
        {"_id": "p1:00000002", "p": "p1", "n": 2, "events": [{"type": "started"}] * 3},
    ]


async def test_what_the_store_cannot_hold_fails_alone(store: MongoStore) -> None:
    """A document above 16 MiB or with a lone surrogate is refused; what is written beside it is stored."""
    results = await asyncio.gather(
        store.log.append(transition("large", body="x" * (9 * 1024 * 1024))),
        store.log.append(transition("surrogate", body="\ud800")),
        store.log.append(transition("good")),
        store.projections.save(projection("large", state="x" * (17 * 1024 * 1024))),
        store.projections.save(projection("good")),
        return_exceptions=True,
    )
    refused = [isinstance(result, Unstorable) for result in results]
    assert refused == [True, True, False, True, False]
    assert results[2] is results[4] is None
    assert list(await store.log.read("good")) == [transition("good")]
    assert await store.projections.load("good") == projection("good")


async def test_a_projection_that_no_majority_acknowledged_is_unavailable_and_may_be_repeated(
    store: MongoStore, fail: Callable[..., None]
) -> None:
    """Saving again is harmless, so that the caller is told and nothing is guessed."""
    fail("update", times=1, how=_CONCERN_ERROR)
    with pytest.raises(StoreUnavailable):
        await store.projections.save(projection("p1", 2))
    await store.projections.save(projection("p1", 2))
    assert await store.projections.load("p1") == projection("p1", 2)


async def test_a_frozen_server_is_borne_and_its_writes_are_settled_after_it_thaws(
    own_mongo: MongoServer, store: MongoStore
) -> None:
    """While it is frozen every call ends within a bound; afterwards the same write is done once."""
    own_mongo.pause()
    try:
        async with asyncio.timeout(20):
            with pytest.raises((OutcomeUnknown, StoreUnavailable)):
                await store.log.append(transition("p1"))
            with pytest.raises(StoreUnavailable):
                await store.projections.load("p1")
            with pytest.raises(StoreUnavailable):
                await store.ping()
    finally:
        own_mongo.resume()
    await eventually(_asking(store), what="the store answers again")
    await store.log.append(transition("p1"))
    assert list(await store.log.read("p1")) == [transition("p1")]


def _asking(store: MongoStore) -> Callable[[], Awaitable[bool]]:
    async def answers() -> bool:
        try:
            await store.ping()
        except (StoreUnavailable, NotReady):
            return False
        return True

    return answers


async def test_a_store_opened_before_its_server_works_when_the_server_is_there(
    mongodb_database: str, driver: Driver
) -> None:
    """Until then every call says that the store was not reached, and its clock is not ready."""
    server = MongoServer(replica_set=None)
    async with _opened(server.url, mongodb_database, driver, timeout_ms=200) as store:
        for call in (
            store.log.append(transition("p1")),
            store.log.read("p1"),
            store.projections.save(projection("p1")),
            store.definitions.register(definition("trip")),
            store.ping(),
        ):
            with pytest.raises(StoreUnavailable):
                await call
        with pytest.raises(NotReady):
            store.clock.now()
        with server:
            await eventually(_asking(store), what="the store prepared itself")
            await store.log.append(replace(transition("p1"), mark="later"))


async def test_a_closed_store_refuses_at_once(
    own_mongo: MongoServer, mongodb_database: str, driver: Driver
) -> None:
    """Nobody waits for ever on a store that was closed."""
    async with _opened(own_mongo.url, mongodb_database, driver) as store:
        pass
    with pytest.raises(StoreUnavailable):
        await store.log.append(transition("p1"))
    with pytest.raises(StoreUnavailable):
        await store.projections.load("p1")
    with pytest.raises(StoreUnavailable):
        await store.definitions.get("abc")
