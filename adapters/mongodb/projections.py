"""The projections in MongoDB: one document per process in the collection `processes`."""

import logging
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from adapters.mongodb.batching import BatchLimits, Coalescer
from adapters.mongodb.client import Collection, Database, Document
from adapters.mongodb.failures import (
    DUPLICATE_KEY,
    describe,
    encoded,
    has_concern_error,
    unavailable,
    write_errors,
)
from adapters.mongodb.queries import filter_query, label_key
from saga.errors import StoreUnavailable
from saga.messages.json_text import from_text, to_text
from saga.messages.timestamps import is_point_in_time
from saga.ports.projections import NO_SNAPSHOT, DueTimer, Position, Projection, ProjectionFilter
from saga.process.timers import WakeReason

_SAVES = BatchLimits(items_max=500, bytes_max=16 * 1024 * 1024)
_LOADS = BatchLimits(items_max=200)
_NEWEST_FIRST = (("started_at", -1), ("_id", -1))
_COUNTS_S = 30
_LEASE_MS_MAX = 3_600_000
_PAGE = 500
_MAJORITY: Document = {"readConcern": {"level": "majority"}}
_REASONS = frozenset(map(str, WakeReason))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Save:
    process_id: str
    version: int
    values: RawBSONDocument

    def request(self, *, upsert: bool) -> UpdateOne:
        # `$set`, never a replacement: the lease of the timer stands in fields of its own.
        chosen = {"_id": self.process_id, "version": {"$lt": self.version}}
        return UpdateOne(chosen, {"$set": self.values}, upsert=upsert)


class MongoProjectionStore:
    """Keep the projections; a write takes effect only if its version is greater than the stored one."""

    def __init__(self, database: Database) -> None:
        """Take the database that holds the collection `processes`."""
        self._database = database
        self._processes: Collection = database["processes"]
        self._saves: Coalescer[_Save, None] = Coalescer(self._save_batch, _SAVES)
        self._loads: Coalescer[str, Document | None] = Coalescer(self._load_batch, _LOADS)

    async def save(self, projection: Projection) -> None:
        """Write durably on a majority, together with the others that wait."""
        values = encoded(_document(projection))
        await self._saves.submit(
            _Save(projection.process_id, projection.version, values), size_bytes=len(values.raw)
        )

    async def rewrite(self, projection: Projection, *, seen: int) -> bool:
        """Replace all that stands in the document, unless a coordinator wrote a greater version meanwhile."""
        values = encoded(_whole_document(projection))
        # Said so that a version that is missing, or is no number, is replaced too.
        chosen = {
            "_id": projection.process_id,
            "$nor": [{"version": {"$gt": projection.version, "$ne": seen}}],
        }
        with unavailable():
            for upsert in (True, False):
                try:
                    done = await self._processes.update_one(chosen, {"$set": values}, upsert=upsert)
                except DuplicateKeyError:
                    continue  # it is there and not ours to replace, or came just now: the plain update tells
                return done.matched_count > 0 or done.upserted_id is not None
        return False

    async def read_all(self, after: str = "") -> AsyncIterator[Projection]:
        """Stream the projections in the order of their ids; page by page, so that no cursor is ever lost."""
        while True:
            found = 0
            with unavailable():
                page = self._processes.find({"_id": {"$gt": after}}).sort([("_id", 1)]).limit(_PAGE)
                async for document in page:
                    found += 1
                    after = str(document["_id"])
                    yield _projection(document)
            if found < _PAGE:
                return

    async def load(self, process_id: str) -> Projection | None:
        """Give the stored projection; concurrent calls travel in one query."""
        document = await self._loads.submit(process_id)
        return None if document is None else _projection(document)

    async def page(
        self, chosen: ProjectionFilter, *, after: Position | None, limit: int
    ) -> Sequence[Projection]:
        """List from the newest start to the oldest, by an index in this order.

        So a page reads about what it gives, for each filter and for any two of type, status and a label.
        With more of them it may read long, where many processes have any two and few have all.
        """
        with unavailable():
            cursor = self._processes.find(filter_query(chosen, after)).sort(_NEWEST_FIRST).limit(limit)
            return [_projection(document) for document in await cursor.to_list(limit)]

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Count by type and status from the index alone; the cost grows with the number of processes.

        Each pair is counted at its own moment: a process that moves on meanwhile may count twice, or not at all.
        To group all of the index in one go takes five times as long.
        """
        found: dict[tuple[str, str], int] = {}
        with unavailable(), pymongo.timeout(_COUNTS_S):
            for process_type in await self._distinct("process_type", {}):
                for status in await self._distinct("status", {"process_type": {"$eq": process_type}}):
                    pair = {"process_type": {"$eq": process_type}, "status": {"$eq": status}}
                    answer = await self._database.command({"count": "processes", "query": pair, **_MAJORITY})
                    found[process_type, status] = cast("int", answer["n"])
        return {pair: count for pair, count in found.items() if count}

    async def _distinct(self, field: str, query: Document) -> list[str]:
        answer = await self._database.command(
            {"distinct": "processes", "key": field, "query": query, **_MAJORITY}
        )
        # What somebody damaged belongs to no type and has no status.
        return [value for value in cast("list[object]", answer["values"]) if type(value) is str]

    async def lease_due(self, *, before: int, leased_until: int, now: int, limit: int) -> Sequence[DueTimer]:
        """Take due timers in three round trips: look, claim with a token, read back what the token won.

        Each claim is one conditional write, so two callers never win the same timer; a caller may get fewer
        than are due while others take, and finds the rest at its next call. A claim whose answer was lost
        ends with its lease.
        """
        # A lease that ends much later was damaged: it would keep the timer from ever going off.
        a_lease = {"$gt": now, "$lt": now + _LEASE_MS_MAX}
        free: Document = {
            "wake_at": {"$gte": 0, "$lt": before},  # the lower bound lets the partial index serve
            "$nor": [{"lease_until": a_lease, "$expr": {"$eq": ["$lease_for", "$wake_at"]}}],
        }
        token = secrets.token_hex(8)
        with unavailable():
            due = self._processes.find(free, {"_id": 1}).sort([("wake_at", 1)]).limit(limit)
            ids = [str(document["_id"]) for document in await due.to_list(limit)]
            if not ids:
                return []
            claim: Document = {"lease_for": "$wake_at", "lease_until": leased_until, "lease_token": token}
            await self._processes.bulk_write(
                [UpdateOne({"_id": process_id, **free}, [{"$set": claim}]) for process_id in ids],
                ordered=False,
            )
            won = self._processes.find(
                {
                    "_id": {"$in": ids},
                    "lease_token": token,
                    "$expr": {"$eq": ["$lease_for", "$wake_at"]},
                },
                {"version": 1, "wake_at": 1, "wake_for": 1},
            )
            timers = [_due_timer(document) for document in await won.to_list(None)]
            return [timer for timer in timers if timer is not None]

    async def close(self) -> None:
        """Finish what is in hand and take nothing more."""
        await self._saves.close()
        await self._loads.close()

    async def _save_batch(self, batch: Sequence[_Save]) -> Sequence[StoreUnavailable | None]:
        results = await self._write(batch, upsert=True)
        # No document matched, and the insert found one: the stored version is as great already, or another
        # first save came in between, with a smaller one maybe. The document exists now, so that a plain
        # update settles which.
        again = [index for index, result in enumerate(results) if isinstance(result, _Taken)]
        if again:
            for index, result in zip(
                again, await self._write([batch[index] for index in again], upsert=False), strict=True
            ):
                results[index] = result
        return results

    async def _write(self, batch: Sequence[_Save], *, upsert: bool) -> list[StoreUnavailable | None]:
        try:
            await self._processes.bulk_write([save.request(upsert=upsert) for save in batch], ordered=False)
        except BulkWriteError as error:
            refused = write_errors(error)
            problem = describe(error)
            rest = StoreUnavailable(problem) if has_concern_error(error) else None
            results: list[StoreUnavailable | None] = [rest] * len(batch)
            for index, code in refused.items():
                results[index] = _Taken(problem) if code == DUPLICATE_KEY else StoreUnavailable(problem)
            return results
        except PyMongoError as error:
            return [StoreUnavailable(describe(error))] * len(batch)
        return [None] * len(batch)

    async def _load_batch(self, batch: Sequence[str]) -> Sequence[Document | None]:
        with unavailable():
            found = await self._processes.find({"_id": {"$in": sorted(set(batch))}}).to_list(None)
        documents = {str(document["_id"]): document for document in found}
        return [documents.get(process_id) for process_id in batch]


class _Taken(StoreUnavailable):
    """Mark a save whose insert met a document."""


def _document(projection: Projection) -> Document:
    document = {
        "process_type": projection.process_type,
        "definition_hash": projection.definition_hash,
        "status": projection.status,
        "version": projection.version,
        # User text is only ever a value: pairs as text for the index, and all of them as JSON text.
        "labels": [label_key(key, value) for key, value in projection.labels.items()],
        "labels_text": to_text(dict(projection.labels)),
        "attention": projection.attention,
        "wake_at": projection.wake_at,
        "wake_for": projection.wake_for,
        "started_at": projection.started_at,
        "updated_at": projection.updated_at,
        "ended_at": projection.ended_at,
    }
    if projection.state_format != NO_SNAPSHOT:
        document |= {"state": projection.state, "state_format": projection.state_format}
    return document


def _whole_document(projection: Projection) -> Document:
    return {**_document(projection), "state": projection.state, "state_format": projection.state_format}


def _projection(document: Document) -> Projection:
    """Read a document; what somebody damaged reads as nothing, so that a listing with it can be read."""
    found = _readable(document)
    damaged = tuple(_damaged(document, found))
    return replace(found, damaged=damaged) if damaged else found


def _damaged(document: Document, found: Projection) -> Iterator[str]:
    """Name the columns that hold something else than what was read from them."""
    for name, value in _document(found).items():
        stored = document.get(name)
        if stored != value or isinstance(stored, bool) is not isinstance(value, bool):
            yield "labels" if name == "labels_text" else name


def _readable(document: Document) -> Projection:
    return Projection(
        process_id=str(document["_id"]),
        process_type=_text(document, "process_type"),
        definition_hash=_text(document, "definition_hash"),
        status=_text(document, "status"),
        version=_number(document, "version") or 0,
        state=_text(document, "state"),
        state_format=_number(document, "state_format") or NO_SNAPSHOT,
        labels=_labels(document),
        attention=document.get("attention") is True,
        wake_at=_time(document, "wake_at"),
        wake_for=_text(document, "wake_for") or None,
        started_at=_time(document, "started_at") or 0,
        updated_at=_time(document, "updated_at") or 0,
        ended_at=_time(document, "ended_at"),
    )


def _text(document: Document, name: str) -> str:
    value = document.get(name)
    return value if type(value) is str else ""  # JavaScript is a text too for the driver, without a hash


def _number(document: Document, name: str) -> int | None:
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(document: Document, name: str) -> int | None:
    value = _number(document, name)
    return value if value is not None and is_point_in_time(value) else None


def _labels(document: Document) -> dict[str, str]:
    try:
        labels = from_text(_text(document, "labels_text"))
    except ValueError:
        return {}
    pairs = labels.items() if isinstance(labels, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _due_timer(document: Document) -> DueTimer | None:
    """Read a timer; None, and a word in the log, where somebody damaged it: the others must go off."""
    version, wake_at = _number(document, "version"), _time(document, "wake_at")
    wake_for = _text(document, "wake_for")
    if version is None or wake_at is None or wake_for not in _REASONS:
        process_id = str(document["_id"])
        _log.error(
            "the projection of process %s is damaged, its timer can't go off: saga replay %s --repair",
            process_id,
            process_id,
        )
        return None
    return DueTimer(str(document["_id"]), version, wake_at, wake_for)
