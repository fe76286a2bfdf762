"""The locks in MongoDB: one document per lock that is held, in the collection `locks`."""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol, cast

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from adapters.mongodb.client import Collection as PlainCollection
from adapters.mongodb.client import Database, Document
from adapters.mongodb.failures import encoded, unavailable
from saga.ports.locks import LockQueue, Released


class _Locks(PlainCollection, Protocol):
    """The calls that only locks need; both clients have them with these meanings."""

    def find_one_and_update(
        self,
        chosen: Mapping[str, object],
        update: Sequence[Mapping[str, object]],
        *,
        upsert: bool = False,
        return_document: bool,
    ) -> Awaitable[Document | None]: ...

    def find_one_and_delete(self, chosen: Mapping[str, object]) -> Awaitable[Document | None]: ...


class MongoLockStore:
    """Keep the locks: `holder` is a root, `queue` who stands behind it, the longest first.

    Every change is one write to one document, so the server puts all of them in an order. A document exists
    only while the lock is held: the last release deletes it, on condition that nobody waits at that moment.
    """

    def __init__(self, database: Database) -> None:
        """Take the database that holds the collection `locks`."""
        self._locks = cast("_Locks", database["locks"])

    async def take(self, key: str, *, root_id: str, process_id: str, queue: LockQueue, at: int) -> str:
        """Take a free lock, or queue up as `queue` says; give the root that holds it now."""
        place: Document = {
            "process": process_id,
            "root": root_id,
            "waits": queue is LockQueue.WAIT,
            "asked_at": at,
        }
        encoded({"_id": key, **place})  # what can't be stored is no fault of the store
        update = _taking(place, is_queued=queue is not LockQueue.NONE)
        with unavailable():
            while True:
                try:
                    held = await self._locks.find_one_and_update(
                        {"_id": {"$eq": key}}, update, upsert=True, return_document=ReturnDocument.AFTER
                    )
                except DuplicateKeyError:
                    # Another insert of this key came first; most servers go on by themselves, and don't say so.
                    continue
                return cast("str", cast("Document", held)["holder"])

    async def withdraw(self, key: str, *, process_id: str) -> None:
        """Leave the queue; harmless for who isn't in it."""
        with unavailable():
            await self._locks.update_one(
                {"_id": {"$eq": key}}, {"$pull": {"queue": {"process": {"$eq": process_id}}}}
            )

    async def release_all(self, root_id: str) -> Sequence[Released]:
        """Release every lock that this root holds, in the order of the keys."""
        with unavailable():
            found = await self._locks.find({"holder": {"$eq": root_id}}, {"_id": 1}).to_list(None)
        released = [
            await self.release(key, root_id=root_id)
            for key in sorted(cast("str", document["_id"]) for document in found)
        ]
        return [one for one in released if one is not None]

    async def release(self, key: str, *, root_id: str) -> Released | None:
        """Pass the lock on to the first that waits; None where this root doesn't hold it."""
        held: Document = {"_id": {"$eq": key}, "holder": {"$eq": root_id}}
        waiting: Document = {"$elemMatch": {"waits": True, "root": {"$ne": root_id}}}
        with unavailable():
            while True:
                last = await self._locks.find_one_and_delete({**held, "queue": {"$not": waiting}})
                if last is not None:
                    return _released(last, root_id)
                before = await self._locks.find_one_and_update(
                    held, _passing_on(root_id), return_document=ReturnDocument.BEFORE
                )
                if before is None:
                    return None
                released = _released(before, root_id)
                if released.next_process_id is not None:
                    return released
                # Who waited withdrew between the two writes, and the second one changed nothing: again.

    async def awaited_by(self, root_id: str) -> Collection[str]:
        """Give the roots that hold what processes of this root wait for now."""
        query: Document = {
            # The plain condition is what the index answers.
            "queue.root": {"$eq": root_id},
            "queue": {"$elemMatch": {"root": {"$eq": root_id}, "waits": True}},
            "holder": {"$ne": root_id},
        }
        with unavailable():
            found = await self._locks.find(query, {"holder": 1}).to_list(None)
        return {cast("str", document["holder"]) for document in found}


def _taking(place: Document, *, is_queued: bool) -> list[Document]:
    """Write the update of `take`. In it the users' text is literal: a `$` in front means nothing."""
    root, process = {"$literal": place["root"]}, {"$literal": place["process"]}
    fresh: Document = {
        "holder": {"$ifNull": ["$holder", root]},
        "asked_at": {"$ifNull": ["$asked_at", place["asked_at"]]},
        "queue": {"$ifNull": ["$queue", []]},
    }
    others = {"$filter": {"input": "$queue", "as": "place", "cond": {"$ne": ["$$place.process", process]}}}
    joined: object = "$queue"
    if is_queued:
        longer = {"$concatArrays": ["$queue", [{"$literal": place}]]}
        joined = {"$cond": [{"$in": [process, "$queue.process"]}, "$queue", longer]}
    queue = {"$cond": [{"$eq": ["$holder", root]}, others, joined]}
    return [{"$set": fresh}, {"$set": {"queue": queue}}]


def _passing_on(root_id: str) -> list[Document]:
    """Write the update of `release`, which changes nothing where nobody else waits."""
    is_next = {"$and": ["$$place.waits", {"$ne": ["$$place.root", {"$literal": root_id}]}]}
    waiting = {"$filter": {"input": "$queue", "as": "place", "cond": is_next}}
    rest = {"$filter": {"input": "$waiting", "as": "place", "cond": {"$ne": ["$$place", "$next"]}}}
    passed: Document = {
        "holder": {"$ifNull": ["$next.root", "$holder"]},
        "asked_at": {"$ifNull": ["$next.asked_at", "$asked_at"]},
        "queue": {"$cond": [{"$eq": ["$waiting", []]}, "$queue", rest]},
    }
    return [
        {"$set": {"waiting": waiting}},
        {"$set": {"next": {"$first": "$waiting"}}},
        {"$set": passed},
        {"$unset": ["waiting", "next"]},
    ]


def _released(before: Document, root_id: str) -> Released:
    queue = cast("list[Document]", before["queue"])
    waiting = [
        cast("str", place["process"]) for place in queue if place["waits"] and place["root"] != root_id
    ]
    joiners = tuple(cast("str", place["process"]) for place in queue if not place["waits"])
    return Released(cast("str", before["_id"]), waiting[0] if waiting else None, joiners)
