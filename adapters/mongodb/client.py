"""The one place that makes a client: motor, or PyMongo's own async client, behind the calls that both share.

Motor is at its end of life; PyMongo's client takes over by the switch here, and the contract tests run over
both. What they don't share (closing, `aggregate`) stands here or isn't used.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, cast

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, IndexModel, UpdateOne
from pymongo.results import UpdateResult

Document: TypeAlias = dict[str, object]


class Driver(StrEnum):
    """Name the two clients that the adapter works with."""

    MOTOR = "motor"
    PYMONGO = "pymongo"


class Cursor(Protocol):
    """Read what a query found."""

    def sort(self, keys: Sequence[tuple[str, int]]) -> "Cursor":
        """Order by these fields, 1 ascending and -1 descending."""
        ...

    def limit(self, count: int) -> "Cursor":
        """Stop after so many documents."""
        ...

    def to_list(self, length: int | None) -> Awaitable[list[Document]]:
        """Read at most `length` documents, or all."""
        ...

    def __aiter__(self) -> AsyncIterator[Document]: ...


class Collection(Protocol):
    """Read and write the documents of one collection."""

    def insert_one(self, document: Mapping[str, object]) -> Awaitable[object]:
        """Insert one document."""
        ...

    def insert_many(self, documents: Sequence[Mapping[str, object]], *, ordered: bool) -> Awaitable[object]:
        """Insert several; unordered, one that is refused doesn't stop the others."""
        ...

    def update_one(
        self, chosen: Mapping[str, object], update: Mapping[str, object], *, upsert: bool = False
    ) -> Awaitable[UpdateResult]:
        """Change one document; with `upsert` insert it where none is chosen."""
        ...

    def bulk_write(self, requests: Sequence[UpdateOne], *, ordered: bool) -> Awaitable[object]:
        """Carry out several updates; unordered, one that is refused doesn't stop the others."""
        ...

    def find(
        self,
        chosen: Mapping[str, object],
        projection: Mapping[str, object] | None = None,
        *,
        batch_size: int = 0,
    ) -> Cursor:
        """Begin a query; nothing is asked before the cursor is read."""
        ...

    def with_options(self, *, codec_options: CodecOptions[RawBSONDocument]) -> "Collection":
        """Give the same collection, whose documents are read in another form."""
        ...

    def create_indexes(self, indexes: list[IndexModel]) -> Awaitable[object]:
        """Create the indexes that don't exist yet."""
        ...


class Database(Protocol):
    """Give the collections of one database, and run commands on its primary."""

    def __getitem__(self, name: str) -> Collection: ...

    def command(self, command: Mapping[str, object]) -> Awaitable[Document]:
        """Run one command; the client's read concern does not apply to it."""
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """Hold a database, and the client behind it until it is closed."""

    database: Database
    _client: object

    async def close(self) -> None:
        """Let go of the sockets; what is under way fails."""
        if isinstance(self._client, AsyncMongoClient):
            await self._client.close()
        else:
            # It says goodbye to the server and waits for the answer: a frozen one would freeze the loop.
            await asyncio.to_thread(cast("AsyncIOMotorClient[Document]", self._client).close)


def connect(url: str, database: str, *, driver: Driver, timeout_ms: int) -> Connection:
    """Make a client; it connects by itself when it is first used. Call it inside the running loop.

    A write is acknowledged when a majority has it in its journal, a read sees what a majority has, on the
    primary. These stand here and not in the URL, because the protocol is wrong without them. Without
    `timeoutMS` a frozen server would hold a call for ever; it bounds the search for a server too: a call
    under it looks at no other time-out.
    """
    options: dict[str, object] = {
        "appname": "batuta",
        "timeoutMS": timeout_ms,
        "connectTimeoutMS": timeout_ms,
        "serverSelectionTimeoutMS": timeout_ms,  # what closing obeys, while the server is away
        "tz_aware": True,
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "readPreference": "primary",
        "retryWrites": True,
        "retryReads": True,
    }
    client = _CLIENTS[driver](url, **options)
    # Both clients have these calls with these meanings; their own annotations differ only in form.
    return Connection(cast("Mapping[str, Database]", client)[database], client)


_CLIENTS: Mapping[Driver, Callable[..., object]] = {
    Driver.MOTOR: AsyncIOMotorClient,
    Driver.PYMONGO: AsyncMongoClient,
}
