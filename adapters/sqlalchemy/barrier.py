"""The barrier of a participant that keeps its data in PostgreSQL or SQLite."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from saga.errors import NotReady
from saga.messages.json_text import JsonText
from saga.participant.barrier import BarrierTransaction, Memory, Standing

T = TypeVar("T")

TABLE = "saga_barrier"
KEEP_DAYS = 90
_PURGE_EVERY = 500
_PURGE_AT_ONCE = 1_000
_TRIES_MAX = 5
_PAUSE_S = 0.05
_DAY_MS = 86_400_000
# Serialization failure and deadlock: the server has taken everything back, and asks to be asked again.
_IN_THE_WAY = frozenset({"40001", "40P01"})
_INSERTS = MappingProxyType({"postgresql": postgresql.insert, "sqlite": sqlite.insert})


class SqlBarrier:
    """Remember in a table; implements `saga.participant.barrier.Barrier`. A handler asks for an `AsyncSession`.

    Rows are kept for `keep_days`: a command that comes again later than that is carried out again. They are
    purged a thousand at most at a time.
    """

    handle_types: tuple[type, ...] = (AsyncSession,)

    def __init__(
        self, engine: AsyncEngine | str, *, table: str = TABLE, keep_days: float = KEEP_DAYS
    ) -> None:
        """Take an engine, or the address of a database. Raises NotReady for a database that is neither."""
        self._is_own = isinstance(engine, str)
        self._engine = create_async_engine(engine) if isinstance(engine, str) else engine
        dialect = self._engine.dialect.name
        if dialect not in _INSERTS:
            raise NotReady(f"the barrier works on {', '.join(_INSERTS)}, not on {dialect}")
        self._rows = Table(
            table,
            MetaData(),
            Column("key", String(300), primary_key=True),
            Column("standing", String(10), nullable=False),
            Column("text", Text),
            Column("attempt", Integer, nullable=False),
            Column("at", BigInteger, nullable=False),
            Index(f"{table}_at", "at"),
        )
        self._insert = _INSERTS[dialect]
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._keep_ms = round(keep_days * _DAY_MS)
        self._preparing = asyncio.Lock()
        self._is_prepared = False
        self._runs = 0

    async def run(self, work: Callable[[BarrierTransaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; again, five times at most, where another was in the way."""
        await self._prepare()
        self._runs += 1
        if self._runs % _PURGE_EVERY == 0:
            await self.purge()
        for tries in itertools.count(1):
            try:
                async with self._sessions.begin() as session:
                    return await work(_Transaction(session, self._rows, self._insert))
            except DBAPIError as error:
                if tries == _TRIES_MAX or _sql_state(error) not in _IN_THE_WAY:
                    raise
            await asyncio.sleep(_PAUSE_S * 2**tries)
        raise AssertionError("the count has no end")

    async def purge(self) -> int:
        """Forget what is older than it is kept, a thousand rows at most; give how many."""
        await self._prepare()
        rows = self._rows
        old = select(rows.c.key).where(rows.c.at < _now() - self._keep_ms).limit(_PURGE_AT_ONCE)
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(rows).where(rows.c.key.in_(old)))).rowcount

    async def close(self) -> None:
        """Let go of the connections, where the engine was made here."""
        if self._is_own:
            await self._engine.dispose()

    async def _prepare(self) -> None:
        """Make the table where there is none; a user who may not create must find it there."""
        async with self._preparing:
            if self._is_prepared:
                return
            try:
                await self._create()
            except DBAPIError:
                await self._create()  # another process was quicker, and now it is there
            self._is_prepared = True

    async def _create(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(self._rows.metadata.create_all)


class _Transaction:
    """One transaction; implements `saga.participant.barrier.BarrierTransaction`."""

    def __init__(self, session: AsyncSession, rows: Table, insert: Callable[..., object]) -> None:
        self._session = session
        self._rows = rows
        self._insert = insert

    @property
    def handle(self) -> object:
        """Give the session."""
        return self._session

    async def take(self, key: str, first: Memory) -> Memory | None:
        """Insert, or wait for whoever has inserted it and read what it left."""
        insert = self._insert(self._rows).values(_row(key, first)).on_conflict_do_nothing()  # type: ignore[attr-defined]  # both dialects' inserts have it
        if (await self._session.execute(insert.returning(self._rows.c.key))).first() is not None:
            return None
        return await self._read(key, locks=True)

    async def look(self, key: str) -> Memory | None:
        """Read a row."""
        return await self._read(key, locks=False)

    async def put(self, key: str, memory: Memory) -> None:
        """Update a row."""
        rows = self._rows
        await self._session.execute(update(rows).where(rows.c.key == key).values(_row(key, memory)))

    async def _read(self, key: str, *, locks: bool) -> Memory | None:
        query = select(self._rows).where(self._rows.c.key == key)
        found = (await self._session.execute(query.with_for_update() if locks else query)).mappings().first()
        return None if found is None else _memory(found)


def _row(key: str, memory: Memory) -> dict[str, object]:
    return {
        "key": key,
        "standing": str(memory.standing),
        "text": memory.text,
        "attempt": memory.attempt,
        "at": _now(),
    }


def _memory(row: RowMapping) -> Memory:
    text = row["text"]
    return Memory(
        Standing(str(row["standing"])),
        None if text is None else JsonText(str(text)),
        int(str(row["attempt"])),
    )


def _sql_state(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state if isinstance(state, str) else None


def _now() -> int:
    return time.time_ns() // 1_000_000
