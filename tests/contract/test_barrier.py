"""What every barrier must do: the cases of dtm's own tests (duplicates, empty undos, hanging actions), and more.

Each case runs in memory, on SQLite, on PostgreSQL, and on MongoDB by both of its clients. A handler writes what
it does in the barrier's transaction, and the test looks at what is there afterwards.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from saga.participant import BusinessFailure, Participant, StepCommand, mongo_barrier, sql_barrier
from saga.ports.participants import ReplyMessage
from saga.testing.barrier import InMemoryBarrier, InMemoryWork
from tests.support.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from saga.participant.barrier import Barrier

PROCESS = "p1"


@dataclass
class Place:
    """A barrier, how a handler writes in its transaction, and how a test reads what was committed."""

    barrier: Barrier
    session_type: type
    write: Callable[[Any, str], Awaitable[None]]
    written: Callable[[], Awaitable[list[str]]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """Give a private server, started when the first test wants it."""
    with PostgresServer() as server:
        yield server


_ON_SERVERS = [pytest.param(name, marks=pytest.mark.servers) for name in ("postgres", "motor", "pymongo")]


@pytest.fixture(params=["memory", "sqlite", *_ON_SERVERS])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give one of the databases, empty."""
    match request.param:
        case "memory":
            memory = InMemoryBarrier()

            async def append(session: InMemoryWork, word: str) -> None:
                session.append(word)

            async def appended() -> list[str]:
                return [str(one) for one in memory.work]

            yield Place(memory, InMemoryWork, append, appended)
        case "sqlite":
            async for opened in _sql(f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"):
                yield opened
        case "postgres":
            async for opened in _sql(request.getfixturevalue("postgres").url):
                yield opened
        case client:
            url, name = request.getfixturevalue("mongodb_url"), request.getfixturevalue("mongodb_database")
            async for opened in _mongo(client, url, name):
                yield opened


async def _sql(url: str) -> AsyncIterator[Place]:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for table in ("work", "saga_barrier"):
            await connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        await connection.execute(text("CREATE TABLE work (word TEXT)"))

    async def insert(session: AsyncSession, word: str) -> None:
        await session.execute(text("INSERT INTO work VALUES (:word)"), {"word": word})

    async def read() -> list[str]:
        async with engine.connect() as connection:
            return sorted((await connection.execute(text("SELECT word FROM work"))).scalars())

    yield Place(sql_barrier(engine), AsyncSession, insert, read)
    await engine.dispose()


async def _mongo(driver: str, url: str, name: str) -> AsyncIterator[Place]:
    client: Any = (AsyncIOMotorClient if driver == "motor" else AsyncMongoClient)(url)
    database = client[name]
    await database.create_collection("work")

    async def insert(session: object, word: str) -> None:
        await database["work"].insert_one({"word": word}, session=session)

    async def read() -> list[str]:
        return sorted([str(one["word"]) async for one in database["work"].find()])

    session_type = AsyncIOMotorClientSession if driver == "motor" else AsyncClientSession
    yield Place(mongo_barrier(database), session_type, insert, read)
    closing = client.close()
    if closing is not None:
        await closing


class Bank:
    """A participant behind a barrier, with a handler that does as the test says."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.failures: list[Exception] = []
        self.participant = Participant("bank", barrier=place.barrier)
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.began = 0

        async def charge(session: Any, command: StepCommand) -> dict[str, int]:
            self.began += 1
            await place.write(session, command.action)
            await self.may_end.wait()
            if self.failures:
                raise self.failures.pop(0)
            return {"attempt": command.attempt}

        charge.__annotations__["session"] = place.session_type
        self.participant.handles("charge")(charge)
        self.participant.handles("refund")(charge)

    async def charge(self, attempt: int = 1) -> tuple[str, Any]:
        """Ask for the action."""
        return await self._ask("charge", "a", attempt)

    async def refund(self, attempt: int = 1) -> tuple[str, Any]:
        """Ask for the undo."""
        undone = {"step": "pay", "index": None, "idempotency_key": f"{PROCESS}.pay.a", "output": None}
        return await self._ask("refund", "c", attempt, compensates=undone)

    async def look(self, attempt: int = 1) -> tuple[str, Any]:
        """Ask what became of an attempt."""
        asked = {
            "step": "pay", "index": None, "idempotency_key": f"{PROCESS}.pay.a",
            "command_id": f"{PROCESS}.pay.a{attempt}", "attempt": attempt,
        }  # fmt: skip
        return await self._ask("status", "v", attempt, kind="verify", verifies=asked)

    async def _ask(self, action: str, letter: str, attempt: int, **more: object) -> tuple[str, Any]:
        command = {
            "command_id": f"{PROCESS}.pay.{letter}{attempt}",
            "idempotency_key": f"{PROCESS}.pay.{letter}",
            "process_id": PROCESS,
            "action": action,
            "attempt": attempt,
            "parameters": {},
            **more,
        }
        reply = await self.participant.answer(json.dumps(command).encode())
        assert isinstance(reply, ReplyMessage)
        body = json.loads(reply.body)
        word = reply.routing_key.rpartition(".")[2]
        return word, body["output"] if word == "completed" else body["error"]["code"]


@pytest.fixture
async def bank(place: Place) -> Bank:
    """Give a participant on the database."""
    return Bank(place)


async def test_an_action_is_done_once(bank: Bank) -> None:
    """A command that comes again, and a further attempt, give the first output and do nothing."""
    first = await bank.charge()

    assert first == ("completed", {"attempt": 1})
    assert await bank.charge() == first
    assert await bank.charge(attempt=2) == first
    assert await bank.place.written() == ["charge"]


async def test_an_undo_is_done_once(bank: Bank) -> None:
    """It undoes what was done, and its repetition nothing."""
    await bank.charge()
    undone = await bank.refund()

    assert undone == ("completed", {"attempt": 1})
    assert await bank.refund() == undone
    assert await bank.refund(attempt=2) == undone
    assert await bank.place.written() == ["charge", "refund"]


async def test_an_undo_of_nothing_is_acknowledged_and_remembered(bank: Bank) -> None:
    """The undo overtook its action: nothing is undone, and the action that comes later is refused."""
    assert await bank.refund() == ("completed", {"nothing_to_undo": True})
    assert await bank.refund() == ("completed", {"nothing_to_undo": True})

    assert await bank.charge() == ("failed", "undone")
    assert await bank.charge(attempt=2) == ("failed", "undone")
    assert await bank.place.written() == []


async def test_an_action_after_its_undo_is_refused(bank: Bank) -> None:
    """A late repetition of what was undone is not done again."""
    await bank.charge()
    await bank.refund()

    assert await bank.charge() == ("failed", "undone")
    assert await bank.place.written() == ["charge", "refund"]


async def test_a_failure_leaves_nothing_and_is_said_again_to_the_same_command(bank: Bank) -> None:
    """What the handler wrote is rolled back; the command that comes twice is not tried twice."""
    bank.failures = [BusinessFailure("declined")]

    assert await bank.charge() == ("failed", "declined")
    assert await bank.charge() == ("failed", "declined")
    assert bank.began == 1
    assert await bank.place.written() == []


async def test_the_attempt_after_a_failure_is_a_real_one(bank: Bank) -> None:
    """A failure is remembered by the command, never by the effect."""
    bank.failures = [BusinessFailure("busy", retryable=True)]
    await bank.charge()

    assert await bank.charge(attempt=2) == ("completed", {"attempt": 2})
    assert await bank.place.written() == ["charge"]


async def test_a_handler_that_breaks_leaves_nothing(bank: Bank) -> None:
    """Its transaction is rolled back, and the same command is carried out when it comes again."""
    bank.failures = [RuntimeError("out of paper")]

    assert await bank.charge() == ("failed", "handler_error")
    assert await bank.charge() == ("completed", {"attempt": 1})
    assert await bank.place.written() == ["charge"]


async def test_an_undo_that_fails_can_be_tried_again(bank: Bank) -> None:
    """The action stays done until its undo is."""
    await bank.charge()
    bank.failures = [BusinessFailure("closed", retryable=True)]

    assert await bank.refund() == ("failed", "closed")
    assert await bank.charge() == ("completed", {"attempt": 1})
    assert await bank.refund(attempt=2) == ("completed", {"attempt": 2})
    assert await bank.place.written() == ["charge", "refund"]


async def test_two_at_once_do_it_once(bank: Bank) -> None:
    """Both get the same answer, whoever is first."""
    answers = await asyncio.gather(*(bank.charge() for _ in range(4)))

    assert answers == [("completed", {"attempt": 1})] * 4
    assert await bank.place.written() == ["charge"]


async def test_an_undo_waits_for_the_action_that_is_under_way(bank: Bank) -> None:
    """It must not find nothing while the action is about to commit."""
    bank.may_end.clear()
    charging = asyncio.create_task(bank.charge())
    refunding = asyncio.create_task(bank.refund())
    await asyncio.wait([charging, refunding], timeout=0.2)
    bank.may_end.set()
    charged, refunded = await asyncio.gather(charging, refunding)

    # Whichever came first: the effect is there and undone, or was never there.
    if charged[0] == "completed":
        assert refunded == ("completed", {"attempt": 1})
        assert await bank.place.written() == ["charge", "refund"]
    else:
        assert charged == ("failed", "undone")
        assert refunded == ("completed", {"nothing_to_undo": True})
        assert await bank.place.written() == []


async def test_what_was_done_is_told_to_whoever_asks(bank: Bank) -> None:
    """A question about an attempt that took effect gets its output; no handler is needed for it."""
    await bank.charge()

    assert await bank.look() == ("completed", {"attempt": 1})


async def test_an_attempt_that_was_not_found_never_happens(bank: Bank) -> None:
    """The answer is a fence: that attempt and earlier ones are refused, a later one is carried out."""
    assert await bank.look(attempt=2) == ("failed", "not_found")

    assert await bank.charge(attempt=1) == ("failed", "fenced")
    assert await bank.charge(attempt=2) == ("failed", "fenced")
    assert await bank.look(attempt=1) == ("failed", "not_found")
    assert await bank.charge(attempt=2) == ("failed", "fenced")
    assert await bank.charge(attempt=3) == ("completed", {"attempt": 3})
    assert await bank.place.written() == ["charge"]


async def test_what_was_fenced_and_undone_is_not_done(bank: Bank) -> None:
    """An undo after a fence finds nothing, and closes the effect for good."""
    await bank.look()

    assert await bank.refund() == ("completed", {"nothing_to_undo": True})
    assert await bank.charge(attempt=2) == ("failed", "undone")
    assert await bank.look() == ("failed", "not_found")


async def test_an_output_that_can_not_be_kept_leaves_nothing(place: Place) -> None:
    """It would be answered with something else the next time, so it is rolled back."""
    shop = Participant("shop", barrier=place.barrier)

    async def sell(session: Any) -> object:
        await place.write(session, "sell")
        return object()

    sell.__annotations__["session"] = place.session_type
    shop.handles("sell")(sell)

    reply = await shop.answer(b'{"command_id": "p1.sell.a1", "action": "sell"}')

    assert isinstance(reply, ReplyMessage)
    assert b'"unusable_output"' in reply.body
    assert await place.written() == []
