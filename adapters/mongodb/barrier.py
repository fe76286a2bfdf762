"""The barrier of a participant that keeps its data in MongoDB, on a replica set: it needs transactions."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from adapters.mongodb.client import Document
from saga.messages.json_text import JsonText
from saga.participant.barrier import BarrierTransaction, Memory, Standing

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase
    from pymongo.asynchronous.database import AsyncDatabase

T = TypeVar("T")
# Both clients have the calls that are used here, with the same meaning; their annotations differ in form.
_Rows = Any

COLLECTION = "saga_barrier"
KEEP_DAYS = 90
_DAY_S = 86_400


class MongoBarrier:
    """Remember in a collection; implements `saga.participant.barrier.Barrier`.

    It takes a database of motor's or of PyMongo's asynchronous client, and a handler asks for that client's
    session (`AsyncIOMotorClientSession`, `AsyncClientSession`), which it passes to each of its calls. The server
    ends a transaction that takes more than a minute. What is remembered is kept for `keep_days`.
    """

    handle_types: tuple[type, ...] = (AsyncIOMotorClientSession, AsyncClientSession)

    def __init__(
        self,
        database: "AsyncIOMotorDatabase[Document] | AsyncDatabase[Document]",
        *,
        collection: str = COLLECTION,
        keep_days: float = KEEP_DAYS,
    ) -> None:
        self._client: Any = database.client
        self._rows: _Rows = database[collection].with_options(write_concern=WriteConcern("majority"))
        self._keep_s = round(keep_days * _DAY_S)
        self._is_prepared = False

    async def run(self, work: Callable[[BarrierTransaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; the driver repeats it for two minutes where another is in the way."""
        await self._prepare()

        async def within(session: object) -> T:
            return await work(_Transaction(session, self._rows))

        starting = self._client.start_session()
        session = await starting if inspect.isawaitable(starting) else starting
        async with session:
            done = await session.with_transaction(
                within,
                read_concern=ReadConcern("snapshot"),
                write_concern=WriteConcern("majority"),
                read_preference=ReadPreference.PRIMARY,
            )
        return cast("T", done)

    async def close(self) -> None:
        """Do nothing: the client is the participant's."""

    async def _prepare(self) -> None:
        """Make the collection, whose old documents the server forgets by itself."""
        if not self._is_prepared:
            await self._rows.create_index("at", expireAfterSeconds=self._keep_s)
            self._is_prepared = True


class _Transaction:
    """One transaction; implements `saga.participant.barrier.BarrierTransaction`."""

    def __init__(self, session: object, rows: _Rows) -> None:
        self._session = session
        self._rows = rows

    @property
    def handle(self) -> object:
        """Give the session."""
        return self._session

    async def take(self, key: str, first: Memory) -> Memory | None:
        """Insert, or read with a write, so that two transactions never both go on from the same row."""
        found = await self._rows.find_one_and_update(
            {"_id": key},
            {"$setOnInsert": _document(first), "$inc": {"looks": 1}},
            upsert=True,
            session=self._session,
        )
        return None if found is None else _memory(found)

    async def look(self, key: str) -> Memory | None:
        """Read a document."""
        found = await self._rows.find_one({"_id": key}, session=self._session)
        return None if found is None else _memory(found)

    async def put(self, key: str, memory: Memory) -> None:
        """Update a document."""
        await self._rows.update_one({"_id": key}, {"$set": _document(memory)}, session=self._session)


def _document(memory: Memory) -> Document:
    return {
        "standing": str(memory.standing),
        "text": memory.text,
        "attempt": memory.attempt,
        "at": datetime.now(UTC),
    }


def _memory(found: Document) -> Memory:
    text = found["text"]
    return Memory(
        Standing(str(found["standing"])),
        None if text is None else JsonText(str(text)),
        cast("int", found["attempt"]),
    )
