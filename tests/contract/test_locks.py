"""The contract of the locks: one holder per key, a queue that loses nobody, and nothing left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.embedded import schema
from adapters.embedded.folder import FILE_NAME
from adapters.embedded.store import EmbeddedStore
from adapters.mongodb import Driver, MongoStore
from saga.errors import StoreUnavailable, Unstorable
from saga.ports.locks import LockQueue, Released
from saga.testing import InMemoryLockStore
from tests.contract.factories import NASTY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Store
    from tests.support.servers import MongoServer

_KEYS = ("$set", "$$ROOT", "a.b", "_id", "clé/鍵 \U0001f511", NASTY, "é", "e\u0301", " ", "x" * 512)


async def _take(
    store: Store,
    key: str,
    root_id: str,
    process_id: str | None = None,
    *,
    queue: LockQueue = LockQueue.WAIT,
    at: int = 1_000,
) -> str:
    """Take for a process, the root itself if none is named."""
    return await store.locks.take(key, root_id=root_id, process_id=process_id or root_id, queue=queue, at=at)


async def _left_behind(store: Store) -> list[object]:
    """Look into the store itself: the port shows no lock that nobody holds."""
    if isinstance(store, MongoStore):
        return list(await store.locks._locks.find({}).to_list(None))
    if isinstance(store, EmbeddedStore):

        def rows(connection: sqlite3.Connection) -> list[object]:
            held = connection.execute("SELECT key FROM locks").fetchall()
            return held + connection.execute("SELECT key FROM lock_queue").fetchall()

        return await store._reader.run(rows)
    assert isinstance(store.locks, InMemoryLockStore)
    return list(store.locks._locks)


async def test_a_free_lock_is_taken_and_a_busy_one_is_not(store: Store) -> None:
    """The answer names the holder; keys don't touch each other."""
    assert await _take(store, "k", "a") == "a"
    assert await _take(store, "k", "b") == "a"
    assert await _take(store, "other", "b") == "b"


async def test_of_many_takers_at_once_one_wins(store: Store) -> None:
    """All are told of the same holder, and each of the others gets the lock later, once."""
    roots = [f"r{index}" for index in range(25)]
    answers = await asyncio.gather(*(_take(store, "k", root) for root in roots))
    holder = answers[0]
    assert answers == [holder] * 25
    order = [holder]
    for _ in roots[1:]:
        released = await store.locks.release("k", root_id=order[-1])
        assert released is not None
        assert released.next_process_id is not None
        order.append(released.next_process_id)
    assert sorted(order) == sorted(roots)
    assert await store.locks.release("k", root_id=order[-1]) == Released("k", None, ())
    assert await _left_behind(store) == []


async def test_the_lock_is_passed_on_in_the_order_of_asking(store: Store) -> None:
    """First come, first served, whatever the times say; to ask again neither moves nor doubles a place."""
    await _take(store, "k", "a")
    for root, at in (("d", 30), ("b", 20), ("c", 10)):
        await _take(store, "k", root, f"{root}.child", at=at)
    for root in ("d", "c", "b", "d"):
        assert await _take(store, "k", root, f"{root}.child", at=99) == "a"
    passed = [await store.locks.release("k", root_id=root) for root in ("a", "d", "b", "c")]
    assert [one and one.next_process_id for one in passed] == ["d.child", "b.child", "c.child", None]
    assert await _left_behind(store) == []


async def test_who_got_the_lock_holds_it(store: Store) -> None:
    """The one whose turn came finds itself the holder, the next one finds it too, and the old one waits."""
    await _take(store, "k", "a")
    await _take(store, "k", "b", "b.child")
    await _take(store, "k", "c")
    assert await store.locks.release("k", root_id="a") == Released("k", "b.child", ())
    assert await _take(store, "k", "b", "b.child") == "b"
    assert await _take(store, "k", "c") == "b"
    assert await _take(store, "k", "a") == "b"
    assert await store.locks.release("k", root_id="b") == Released("k", "c", ())
    assert await store.locks.release("k", root_id="c") == Released("k", "a", ())


async def test_processes_below_one_root_share_its_lock(store: Store) -> None:
    """A child enters again, a repeated take is harmless, and one release ends it all."""
    assert await _take(store, "k", "a") == "a"
    for process_id in ("a.child", "a", "a.child.child", "a"):
        for queue in LockQueue:
            assert await _take(store, "k", "a", f"{process_id}.{queue}", queue=queue) == "a"
            assert await _take(store, "k", "a", process_id, queue=queue) == "a"
    assert await store.locks.release("k", root_id="a") == Released("k", None, ())
    assert await _left_behind(store) == []


async def test_waiters_below_the_new_holder_enter_and_none_of_them_outlives_it(store: Store) -> None:
    """Two children of one root waited: the first one's turn is the root's, who takes again holds it too."""
    await _take(store, "k", "a")
    for root, process_id in (("b", "b1"), ("b", "b2"), ("b", "b3"), ("c", "c")):
        await _take(store, "k", root, process_id)
    assert await store.locks.release("k", root_id="a") == Released("k", "b1", ())
    assert await _take(store, "k", "b", "b2") == "b"
    assert await store.locks.release("k", root_id="b") == Released("k", "c", ())
    for process_id in ("d1", "d2"):
        await _take(store, "k", "d", process_id)
    assert await store.locks.release("k", root_id="c") == Released("k", "d1", ())
    assert await store.locks.release("k", root_id="d") == Released("k", None, ())
    assert await _left_behind(store) == []


async def test_a_joiner_is_told_once_and_never_holds(store: Store) -> None:
    """Joiners hear of the end they asked about, those in front of a waiter and those behind it."""
    await _take(store, "k", "a")
    assert await _take(store, "k", "j1", queue=LockQueue.JOIN) == "a"
    await _take(store, "k", "b")
    await _take(store, "k", "j2", "j2.child", queue=LockQueue.JOIN)
    await _take(store, "k", "j1", queue=LockQueue.JOIN)
    assert await store.locks.release("k", root_id="a") == Released("k", "b", ("j1", "j2.child"))
    assert await _take(store, "k", "j3", queue=LockQueue.JOIN) == "b"
    assert await store.locks.release("k", root_id="b") == Released("k", None, ("j3",))
    assert await _left_behind(store) == []


async def test_the_first_call_decides_on_which_terms_a_process_stands_in_the_queue(store: Store) -> None:
    """A waiter doesn't become a joiner by asking again, nor the other way, nor does it lose its place."""
    await _take(store, "k", "a")
    await _take(store, "k", "b")
    await _take(store, "k", "c", queue=LockQueue.JOIN)
    await _take(store, "k", "b", queue=LockQueue.JOIN)
    await _take(store, "k", "b", queue=LockQueue.NONE)
    await _take(store, "k", "c", queue=LockQueue.WAIT)
    assert await store.locks.release("k", root_id="a") == Released("k", "b", ("c",))


async def test_who_does_not_queue_leaves_no_trace(store: Store) -> None:
    """A busy lock forgets who asked; a free one is taken as by anybody."""
    await _take(store, "k", "a")
    assert await _take(store, "k", "b", queue=LockQueue.NONE) == "a"
    assert await store.locks.release("k", root_id="a") == Released("k", None, ())
    assert await _left_behind(store) == []
    assert await _take(store, "k", "b", queue=LockQueue.NONE) == "b"
    assert await store.locks.release("k", root_id="b") == Released("k", None, ())


async def test_releasing_everything_passes_each_key_on(store: Store) -> None:
    """In the order of the keys; what others hold stays, and a second call finds nothing."""
    for key in ("k3", "k1", "k2"):
        await _take(store, key, "a")
    await _take(store, "k0", "z")
    await _take(store, "k0", "a")
    await _take(store, "k1", "b")
    await _take(store, "k3", "j", queue=LockQueue.JOIN)
    await _take(store, "k3", "c", "c.child")
    assert list(await store.locks.release_all("a")) == [
        Released("k1", "b", ()),
        Released("k2", None, ()),
        Released("k3", "c.child", ("j",)),
    ]
    assert list(await store.locks.release_all("a")) == []
    holders = [await _take(store, key, "x", queue=LockQueue.NONE) for key in ("k0", "k1", "k3")]
    assert holders == ["z", "b", "c"]


async def test_only_the_holder_releases(store: Store) -> None:
    """Releasing twice, or what another holds, or what nobody holds, changes nothing."""
    await _take(store, "k", "a")
    await _take(store, "k", "b")
    assert await store.locks.release("k", root_id="b") is None
    assert await store.locks.release("unknown", root_id="a") is None
    assert await store.locks.release("k", root_id="a") == Released("k", "b", ())
    assert await store.locks.release("k", root_id="a") is None
    assert await _take(store, "k", "a") == "b"


async def test_of_concurrent_releases_one_passes_the_lock_on(store: Store) -> None:
    """Ten repetitions at once: nobody is skipped."""
    await _take(store, "k", "a")
    for root in ("b", "c"):
        await _take(store, "k", root)
    released = await asyncio.gather(*(store.locks.release("k", root_id="a") for _ in range(10)))
    assert [one for one in released if one is not None] == [Released("k", "b", ())]
    assert await _take(store, "k", "c") == "b"


async def test_who_withdraws_is_passed_over(store: Store) -> None:
    """Waiter or joiner; for who isn't in the queue, holds the lock, or names an unknown key nothing happens."""
    await _take(store, "k", "a")
    await _take(store, "k", "b")
    await _take(store, "k", "c")
    await _take(store, "k", "j", queue=LockQueue.JOIN)
    for process_id in ("b", "b", "j", "stranger", "a"):
        await store.locks.withdraw("k", process_id=process_id)
    await store.locks.withdraw("unknown", process_id="b")
    assert await store.locks.release("k", root_id="a") == Released("k", "c", ())
    await store.locks.withdraw("k", process_id="c")
    assert await _take(store, "k", "x", queue=LockQueue.NONE) == "c"


async def test_who_withdrew_may_come_back_to_the_end_of_the_queue(store: Store) -> None:
    """The old place is gone."""
    await _take(store, "k", "a")
    await _take(store, "k", "b")
    await _take(store, "k", "c")
    await store.locks.withdraw("k", process_id="b")
    await _take(store, "k", "b")
    assert await store.locks.release("k", root_id="a") == Released("k", "c", ())
    assert await store.locks.release("k", root_id="c") == Released("k", "b", ())


async def test_the_awaited_roots_are_known(store: Store) -> None:
    """Of waiting processes of this root only; neither joiners nor what the root holds by now count."""
    for key, root in (("k1", "a"), ("k2", "b"), ("k3", "b"), ("k4", "c"), ("k5", "d")):
        await _take(store, key, root)
    assert set(await store.locks.awaited_by("w")) == set()
    for key, process_id in (("k1", "w"), ("k2", "w.1"), ("k3", "w.2")):
        await _take(store, key, "w", process_id)
    await _take(store, "k4", "w", "w.3", queue=LockQueue.JOIN)
    await _take(store, "k4", "other")
    assert set(await store.locks.awaited_by("w")) == {"a", "b"}
    await _take(store, "k1", "w", "w.4")
    assert await store.locks.release("k1", root_id="a") == Released("k1", "w", ())
    assert set(await store.locks.awaited_by("w")) == {"b"}
    await store.locks.withdraw("k2", process_id="w.1")
    await store.locks.withdraw("k3", process_id="w.2")
    assert set(await store.locks.awaited_by("w")) == set()


async def test_of_two_that_close_a_circle_one_at_least_sees_it(store: Store) -> None:
    """Each takes what the other holds and then asks: they can't both miss it."""
    for turn in range(15):
        a, b = f"a{turn}", f"b{turn}"
        await _take(store, a, a)
        await _take(store, b, b)

        async def takes_and_asks(mine: str, wanted: str) -> bool:
            await _take(store, wanted, mine)
            return mine in await store.locks.awaited_by(wanted)

        assert any(await asyncio.gather(takes_and_asks(a, b), takes_and_asks(b, a)))


async def test_any_text_may_be_a_key(store: Store) -> None:
    """Operators, dots, NUL and text that only looks alike: each is a lock of its own, so are ids like these."""
    for key in _KEYS:
        assert await _take(store, key, f"$a.{key}", "$$ROOT") == f"$a.{key}"
        assert await _take(store, key, "$holder", "$queue") == f"$a.{key}"
        assert await _take(store, key, "$j", NASTY, queue=LockQueue.JOIN) == f"$a.{key}"
    for key in _KEYS:
        assert list(await store.locks.release_all(f"$a.{key}")) == [Released(key, "$queue", (NASTY,))]
    released = await store.locks.release_all("$holder")
    assert [one.key for one in released] == sorted(_KEYS)
    assert await _left_behind(store) == []


async def test_text_that_no_store_can_hold_is_refused(store: Store) -> None:
    """A lone surrogate is the caller's fault and no outage."""
    with pytest.raises(Unstorable):
        await _take(store, "\ud800", "a")
    assert await _left_behind(store) == []


async def test_a_waiter_that_comes_while_the_lock_is_released_is_never_lost(store: Store) -> None:
    """It found the lock free, or it was passed to it: there is no third way."""
    for turn in range(60):
        key = f"k{turn}"
        await _take(store, key, "a")
        answer, released = await asyncio.gather(_take(store, key, "b"), store.locks.release(key, root_id="a"))
        assert released is not None
        assert (answer, released.next_process_id) in {("b", None), ("a", "b")}
        assert await _take(store, key, "c") == "b"


async def test_who_withdraws_while_the_lock_is_released_got_it_or_did_not(store: Store) -> None:
    """The release says which, and what it says is true."""
    for turn in range(60):
        key = f"k{turn}"
        await _take(store, key, "a")
        await _take(store, key, "b")
        released, _ = await asyncio.gather(
            store.locks.release(key, root_id="a"), store.locks.withdraw(key, process_id="b")
        )
        assert released is not None
        holder = await _take(store, key, "c", queue=LockQueue.NONE)
        assert (released.next_process_id, holder) in {("b", "b"), (None, "c")}


async def test_in_a_crowd_everybody_holds_every_lock_once_and_alone(store: Store) -> None:
    """Twenty roots take three keys in order and release them: no turn is lost, none overlaps, nothing stays."""
    roots = [f"r{index:02d}" for index in range(20)]
    turns = {(key, root): asyncio.Event() for key in ("k1", "k2", "k3") for root in roots}
    inside: dict[str, str] = {}
    held: list[tuple[str, str]] = []

    async def works(root: str) -> None:
        for key in ("k1", "k2", "k3"):
            if await _take(store, key, root) != root:
                await turns[key, root].wait()
                assert await _take(store, key, root) == root
            assert inside.setdefault(key, root) == root
            held.append((key, root))
            await asyncio.sleep(0)
        for key in ("k1", "k2", "k3"):
            del inside[key]
        for released in await store.locks.release_all(root):
            if released.next_process_id is not None:
                turns[released.key, released.next_process_id].set()

    async with asyncio.timeout(60):
        await asyncio.gather(*map(works, roots))
    assert sorted(held) == sorted(turns)
    assert await _left_behind(store) == []


@pytest.mark.parametrize("driver", list(Driver))
async def test_a_take_that_no_majority_acknowledged_may_be_repeated(
    own_mongo: MongoServer, mongodb_database: str, driver: Driver
) -> None:
    """The caller is told that it is unsure; the same call again finds its place, which is there once."""
    store = await MongoStore.open(own_mongo.url, mongodb_database, driver=driver, timeout_ms=800)
    try:
        await _take(store, "k", "a")
        unsure = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
        failing = {"failCommands": ["findAndModify"], "appName": "batuta", **unsure}
        own_mongo.admin({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": failing})
        with pytest.raises(StoreUnavailable):
            await _take(store, "k", "b")
        assert await _take(store, "k", "b") == "a"
        assert await store.locks.release("k", root_id="a") == Released("k", "b", ())
        assert await store.locks.release("k", root_id="b") == Released("k", None, ())
    finally:
        own_mongo.admin({"configureFailPoint": "failCommand", "mode": "off"})
        await store.close()


async def test_a_folder_from_before_there_were_locks_gets_them(tmp_path: Path) -> None:
    """The tables are added when it is opened, and what is taken then is there after the next start."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript(schema._TABLES)
        connection.execute("INSERT INTO schema_version VALUES (1)")
        connection.commit()

    for root in ("a", "b"):
        store = await EmbeddedStore.open(tmp_path)
        try:
            assert await _take(store, "k", root) == "a"
        finally:
            await store.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        found = connection.execute("SELECT version FROM schema_version").fetchall()
    assert found == [(schema.SCHEMA_VERSION,)]
