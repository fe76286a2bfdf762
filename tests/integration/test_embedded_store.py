"""Opening the embedded store, and the one transaction of an append with its messages."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from adapters.embedded.folder import FILE_NAME, StoreInUse
from adapters.embedded.schema import SCHEMA_VERSION, NewerSchema
from adapters.embedded.store import EmbeddedStore
from saga.errors import NotReady, StoreUnavailable, VersionConflict
from saga.ports.bus import PublishResult
from saga.ports.participants import ReplyMessage
from tests.contract.factories import transition
from tests.contract.test_deliveries import delivery
from tests.support.embedded import (
    SERVICE,
    Inbox,
    command,
    command_message,
    first_transition,
    last_transition,
    projection,
    rows,
    start_message,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.ports.bus import Delivery


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[EmbeddedStore]:
    store = await EmbeddedStore.open(folder)
    try:
        yield store
    finally:
        await store.close()


async def _received(store: EmbeddedStore, process_id: str) -> Delivery:
    """Publish a start message and take it in hand."""
    inbox = Inbox()
    await store.bus.consume(inbox, prefetch=10)
    await store.bus.publish(start_message(process_id))
    await eventually(lambda: inbox.has(1))
    return inbox.deliveries[0]


async def test_a_second_server_is_refused_with_a_way_out(tmp_path: Path) -> None:
    """The refusal names the folder, the holder and the setting, and harms the first server in no way."""
    async with _opened(tmp_path) as store:
        with pytest.raises(StoreInUse, match=r"process \d+.*SAGA_DATA") as refused:
            await EmbeddedStore.open(tmp_path)
        await store.ping()

    assert str(tmp_path) in str(refused.value)
    assert isinstance(refused.value, NotReady)


async def test_a_closed_store_lets_the_next_server_in(tmp_path: Path) -> None:
    """What the first one stored is there for the second one."""
    async with _opened(tmp_path) as store:
        await store.log.append(first_transition("p1"))

    async with _opened(tmp_path) as store:
        assert await store.log.read("p1") == [first_transition("p1")]


async def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """An older version never writes into a newer file, and keeps no lock on it."""
    async with _opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION + 1,))

    for _ in range(2):
        with pytest.raises(NewerSchema, match="upgrade Batuta"):
            await EmbeddedStore.open(tmp_path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """The error is of our family and names the file."""
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)

    with pytest.raises(StoreUnavailable, match=FILE_NAME):
        await EmbeddedStore.open(tmp_path)


async def test_an_append_puts_its_command_in_line_and_takes_its_message_off_at_once(tmp_path: Path) -> None:
    """Right after the append, before anything is published or acknowledged, the file shows all three."""
    async with _opened(tmp_path) as store:
        await store.bus.declare([SERVICE])
        delivery = await _received(store, "p1")

        await store.log.append(first_transition("p1", tag=delivery.tag))

        assert rows(tmp_path, "SELECT message_id FROM messages") == [(command("p1").command_id,)]
        assert rows(tmp_path, "SELECT process_id, first FROM events") == [("p1", 1)]


async def test_a_refused_append_moves_no_message(tmp_path: Path) -> None:
    """After a version conflict the incoming message is still there, and the loser's command is not."""
    async with _opened(tmp_path) as store:
        await store.bus.declare([SERVICE, "other"])
        await store.log.append(first_transition("p1", mark="winner"))
        delivery = await _received(store, "p1")

        with pytest.raises(VersionConflict):
            await store.log.append(first_transition("p1", tag=delivery.tag, service="other", mark="loser"))

        queues = rows(tmp_path, "SELECT queue FROM messages ORDER BY queue")
        assert queues == [("saga.coordinator",), ("saga.step.work",)]


async def test_appends_that_share_a_transaction_fail_for_themselves_only(tmp_path: Path) -> None:
    """Of a hundred concurrent appends every tenth conflicts; the others are stored."""
    async with _opened(tmp_path) as store:
        for number in range(0, 100, 10):
            await store.log.append(first_transition(f"p{number}"))

        outcomes = await asyncio.gather(
            *(store.log.append(first_transition(f"p{number}", mark="new")) for number in range(100)),
            return_exceptions=True,
        )

        refused = [number for number, outcome in enumerate(outcomes) if outcome is not None]
        assert refused == list(range(0, 100, 10))
        assert rows(tmp_path, "SELECT count(*) FROM events") == [(100,)]


async def test_publishing_an_appended_command_sends_nothing_twice(tmp_path: Path) -> None:
    """Also when the participant was done with it before the coordinator came to publish it."""
    async with _opened(tmp_path) as store:
        taken: list[bytes] = []

        async def carry_out(body: bytes) -> ReplyMessage:
            taken.append(body)
            return ReplyMessage("nobody.listens", b"{}", "r", "p")

        await store.participants.serve(SERVICE, carry_out, concurrency=1)
        await store.log.append(first_transition("p1"))
        await eventually(lambda: not rows(tmp_path, "SELECT 1 FROM messages"))

        result = await store.bus.publish(command_message(command("p1"), "p1"))
        await store.log.append(first_transition("p2"))
        await eventually(lambda: command("p2").body.encode() in taken)

        assert result is PublishResult.CONFIRMED
        assert taken == [command("p1").body.encode(), command("p2").body.encode()]


async def test_a_command_for_an_undeclared_service_comes_back(tmp_path: Path) -> None:
    """The append keeps no row for it, and its publication is returned, as by a broker."""
    async with _opened(tmp_path) as store:
        await store.bus.declare([SERVICE])
        await store.log.append(first_transition("p1", service="nobody"))

        result = await store.bus.publish(command_message(command("p1", service="nobody"), "p1"))

        assert result is PublishResult.RETURNED
        assert rows(tmp_path, "SELECT position FROM messages") == []


async def test_repeating_an_append_stores_and_sends_nothing_new(tmp_path: Path) -> None:
    """The same write with the same mark returns, and its command is in line once."""
    async with _opened(tmp_path) as store:
        await store.bus.declare([SERVICE])
        for _ in range(2):
            await store.log.append(first_transition("p1"))

        assert rows(tmp_path, "SELECT count(*) FROM messages") == [(1,)]


async def test_a_process_whose_projection_was_left_behind_is_due_at_the_next_start(tmp_path: Path) -> None:
    """Its message is off the queue, so only this brings somebody to it; once repaired, no more."""
    async with _opened(tmp_path) as store:
        await store.log.append(first_transition("never-projected"))
        await store.log.append(first_transition("behind"))
        await store.projections.save(projection("behind", 1, wake_at=5_000))
        await store.log.append(last_transition("behind"))
        await store.log.append(first_transition("in-step"))
        await store.projections.save(projection("in-step", 1, wake_at=5_000))

    async with _opened(tmp_path) as store:
        due = await store.projections.lease_due(before=100, leased_until=50, now=10, limit=10)
        assert {(each.process_id, each.version) for each in due} == {("never-projected", 0), ("behind", 1)}
        assert await store.projections.lease_due(before=100, leased_until=60, now=20, limit=10) == []

        await store.projections.save(projection("behind", 2))
        again = await store.projections.lease_due(before=100, leased_until=200, now=51, limit=10)
        assert [each.process_id for each in again] == ["never-projected"]


async def test_a_caller_that_went_away_leaves_its_append_done(tmp_path: Path) -> None:
    """A cancelled append is committed all the same, and its command reaches the participant."""
    async with _opened(tmp_path) as store:
        taken: list[bytes] = []

        async def carry_out(body: bytes) -> ReplyMessage:
            taken.append(body)
            return ReplyMessage("nobody.listens", b"{}", "r", "p")

        await store.participants.serve(SERVICE, carry_out, concurrency=1)
        appending = asyncio.create_task(store.log.append(first_transition("p1")))
        await asyncio.sleep(0)  # it hands the write over, and is cancelled while that is under way
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending

        await eventually(lambda: taken)
        assert len(await store.log.read("p1")) == 1


async def test_a_missing_event_makes_the_log_unreadable(tmp_path: Path) -> None:
    """A gap is never guessed past."""
    async with _opened(tmp_path) as store:
        await store.log.append(first_transition("p1"))
        await store.log.append(replace(last_transition("p1"), first=3))

        with pytest.raises(Exception, match="event 2"):
            await store.log.read("p1")


async def test_a_restored_transition_puts_nothing_in_line(tmp_path: Path) -> None:
    """Its commands were sent by the store that it comes from."""
    async with _opened(tmp_path) as store:
        await store.bus.declare([SERVICE])
        await store.log.restore(first_transition("p1"))
        assert list(await store.log.read("p1")) == [first_transition("p1")]
        assert rows(tmp_path, "SELECT position FROM messages") == []


async def test_a_store_is_read_beside_the_server_that_has_it(tmp_path: Path) -> None:
    """It sees what the server has committed, also after it was opened, and can't write anything."""
    async with _opened(tmp_path) as store:
        await store.log.append(first_transition("p1"))
        reading = await EmbeddedStore.open_to_read(tmp_path)
        try:
            await store.log.append(last_transition("p1"))
            assert list(await reading.log.read("p1")) == [first_transition("p1"), last_transition("p1")]
            assert [one.process_id async for one in reading.log.read_all()] == ["p1", "p1"]
            with pytest.raises(StoreUnavailable, match="readonly"):
                await reading.log.append(first_transition("p2"))
        finally:
            await reading.close()
        await store.log.append(first_transition("p3"))


async def test_a_store_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    """The error names the file and the setting."""
    with pytest.raises(StoreUnavailable, match=r"saga\.db.*SAGA_DATA"):
        await EmbeddedStore.open_to_read(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("version", "error"), [(SCHEMA_VERSION + 1, NewerSchema), (1, StoreUnavailable)])
async def test_a_file_of_another_schema_is_not_read(
    tmp_path: Path, version: int, error: type[Exception]
) -> None:
    """A newer one asks for an upgrade, an older one for a start of the server."""
    async with _opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("UPDATE schema_version SET version = ?", (version,))
        connection.commit()
    with pytest.raises(error):
        await EmbeddedStore.open_to_read(tmp_path)


async def test_a_file_from_before_the_webhooks_is_brought_up_by_a_start(tmp_path: Path) -> None:
    """What it holds stays, and what is to be told can be kept in it."""
    async with _opened(tmp_path) as store:
        await store.log.append(transition("p"))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript("DROP TABLE deliveries; UPDATE schema_version SET version = 3;")
    async with _opened(tmp_path) as store:
        await store.deliveries.add(delivery())
        assert await store.deliveries.of_process("p") == [delivery()]
        assert len(await store.log.read("p")) == 1
