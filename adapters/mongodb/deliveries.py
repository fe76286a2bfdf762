"""The deliveries in MongoDB: one document per event that a callback address is told of, in `deliveries`."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol, cast

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.results import DeleteResult

from adapters.mongodb.client import Collection as PlainCollection
from adapters.mongodb.client import Database, Document
from adapters.mongodb.failures import encoded, unavailable
from saga.ports.deliveries import WebhookDelivery
from saga.webhooks.codec import from_document, to_document


class _Deliveries(PlainCollection, Protocol):
    """The calls that only deliveries need; both clients have them with these meanings."""

    def find_one_and_update(
        self, chosen: Mapping[str, object], update: Mapping[str, object], *, return_document: bool
    ) -> Awaitable[Document | None]: ...

    def delete_many(self, chosen: Mapping[str, object]) -> Awaitable[DeleteResult]: ...


class MongoDeliveryStore:
    """Keep the deliveries. What is searched by stands in fields, all the rest is JSON text."""

    def __init__(self, database: Database) -> None:
        """Take the database that holds the collection `deliveries`."""
        self._deliveries = cast("_Deliveries", database["deliveries"])

    async def add(self, delivery: WebhookDelivery) -> None:
        """Keep a delivery durably, unless one of this process and number is there.

        Also where it is, the answer comes when a majority has it: an update that changes nothing waits for that.
        """
        document = encoded({"host": delivery.host, **_changing(delivery)})
        chosen = {"_id": {"$eq": _id(delivery.process_id, delivery.sequence)}}
        with unavailable():
            while True:
                try:
                    await self._deliveries.update_one(chosen, {"$setOnInsert": document}, upsert=True)
                except DuplicateKeyError:
                    continue  # somebody else inserted it at the same moment: now it is there
                return

    async def of_process(self, process_id: str) -> Sequence[WebhookDelivery]:
        """Give the deliveries of a process in the order of its events."""
        # The character behind the colon ends the range.
        chosen: Document = {"_id": {"$gte": f"{process_id}:", "$lt": f"{process_id};"}}
        with unavailable():
            found = await self._deliveries.find(chosen).sort([("_id", 1)]).to_list(None)
        return [_delivery(document) for document in found]

    async def get(self, process_id: str, sequence: int) -> WebhookDelivery | None:
        """Give the delivery of one event."""
        with unavailable():
            found = await self._deliveries.find({"_id": {"$eq": _id(process_id, sequence)}}).to_list(1)
        return _delivery(found[0]) if found else None

    async def lease_due(
        self, *, now: int, leased_until: int, limit: int, except_hosts: Collection[str] = ()
    ) -> Sequence[WebhookDelivery]:
        """Take deliveries that are due: a look, and one conditional write for each that was seen."""
        due: Document = {"due_at": {"$gte": 0, "$lte": now}, "host": {"$nin": sorted(except_hosts)}}
        with unavailable():
            order = [("due_at", 1), ("_id", 1)]
            seen = await self._deliveries.find(due, {"version": 1}).sort(order).limit(limit).to_list(limit)
            taken = await asyncio.gather(*(self._take(document, leased_until) for document in seen))
        return [_delivery(document) for document in taken if document is not None]

    async def _take(self, seen: Document, leased_until: int) -> Document | None:
        return await self._deliveries.find_one_and_update(
            {"_id": seen["_id"], "version": seen["version"]},
            {"$set": {"due_at": leased_until}, "$inc": {"version": 1}},
            return_document=ReturnDocument.AFTER,
        )

    async def replace(self, delivery: WebhookDelivery) -> bool:
        """Write a delivery whose version is the stored one's plus one."""
        chosen: Document = {
            "_id": {"$eq": _id(delivery.process_id, delivery.sequence)},
            "version": delivery.version - 1,
        }
        values = encoded(_changing(delivery))
        with unavailable():
            done = await self._deliveries.update_one(chosen, {"$set": values})
        return done.matched_count > 0

    async def purge(self, *, ended_before: int, limit: int) -> int:
        """Delete at most so many of those that ended before a point in time."""
        old: Document = {"ended_at": {"$gte": 0, "$lt": ended_before}}
        with unavailable():
            cursor = self._deliveries.find(old, {"_id": 1}).sort([("ended_at", 1)]).limit(limit)
            ids = [document["_id"] for document in await cursor.to_list(limit)]
            if not ids:
                return 0
            # The condition again: one of them may be sent once more by now.
            return (await self._deliveries.delete_many({"_id": {"$in": ids}, **old})).deleted_count


def _id(process_id: str, sequence: int) -> str:
    return f"{process_id}:{sequence:08}"


def _changing(delivery: WebhookDelivery) -> Document:
    return {
        "due_at": delivery.due_at,
        "ended_at": delivery.ended_at,
        "version": delivery.version,
        "document": to_document(delivery),
    }


def _delivery(document: Document) -> WebhookDelivery:
    return from_document(
        cast("str", document["document"]),
        due_at=cast("int | None", document["due_at"]),
        version=cast("int", document["version"]),
    )
