"""The embedded store when its file takes no writes (a full disk, a foreign lock): loud, and without loss."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.embedded.folder import FILE_NAME
from adapters.embedded.store import EmbeddedStore
from saga.errors import BusUnavailable, StoreUnavailable
from saga.ports.participants import ReplyMessage
from tests.support.embedded import Inbox, first_transition, rows, start_message
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

ROOMY = 1_000_000
BODY = b"x" * 20_000


async def _limit_pages(store: EmbeddedStore, pages: int) -> None:
    # SQLite's own limit ends in the same error as a full disk, and can be lifted again.
    await store._writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").close())


async def test_a_full_disk_is_told_and_what_was_confirmed_stays(tmp_path: Path) -> None:
    """Publishing and appending fail as unavailable, and every confirmed message is delivered later."""
    store = await EmbeddedStore.open(tmp_path)
    try:
        await store.bus.declare([])
        returned = asyncio.Event()
        store.bus.on_return(returned.set)
        await _limit_pages(store, 60)

        outcomes = await asyncio.gather(
            *(store.bus.publish(start_message(f"p{n}", body=BODY + b"%d" % n)) for n in range(40)),
            return_exceptions=True,
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert failed
        assert all(isinstance(outcome, BusUnavailable) for outcome in failed)
        with pytest.raises(StoreUnavailable):
            await store.log.append(first_transition("p" + "x" * 10_000))

        await _limit_pages(store, ROOMY)
        await asyncio.wait_for(returned.wait(), timeout=15)
        await store.log.append(first_transition("p1"))
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=100)
        confirmed = len(outcomes) - len(failed)
        await eventually(lambda: inbox.has(confirmed))
        assert rows(tmp_path, "SELECT count(*) FROM messages") == [(confirmed,)]
    finally:
        await store.close()


async def test_a_reply_waits_for_room_and_is_then_sent(tmp_path: Path) -> None:
    """A participant's work isn't repeated because its reply found no room at first."""
    store = await EmbeddedStore.open(tmp_path)
    try:
        worked: list[bytes] = []

        async def carry_out(body: bytes) -> ReplyMessage:
            worked.append(body)
            await _limit_pages(store, 1)
            return ReplyMessage("step.completed", BODY * 5, "r1", "p1")

        await store.participants.serve("work", carry_out, concurrency=1)
        await store.log.append(first_transition("p1"))
        await eventually(lambda: store._switch._mending is not None)
        await _limit_pages(store, ROOMY)

        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=1)
        await eventually(lambda: inbox.has(1))
        assert inbox.bodies == [BODY * 5]
        assert len(worked) == 1
    finally:
        await store.close()


async def test_a_foreign_write_lock_fails_the_batch_and_heals(tmp_path: Path) -> None:
    """Somebody's SQLite shell holds the file: all callers hear of it, and afterwards everything works."""
    store = await EmbeddedStore.open(tmp_path)
    try:
        inbox = Inbox()
        await store.bus.consume(inbox, prefetch=100)
        returned = asyncio.Event()
        store.bus.on_return(returned.set)
        await store._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 20").close())
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await store.log.append(first_transition("p1"))
            with pytest.raises(BusUnavailable):
                await store.bus.publish(start_message("p1"))
            shell.execute("ROLLBACK")

        await asyncio.wait_for(returned.wait(), timeout=15)
        await store.bus.publish(start_message("p1"))
        await eventually(lambda: inbox.has(1))
        await store.log.append(first_transition("p1", tag=inbox.deliveries[0].tag))
        assert rows(tmp_path, "SELECT position FROM messages") == []
    finally:
        await store.close()
