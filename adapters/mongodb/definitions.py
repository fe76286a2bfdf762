"""The definitions in MongoDB: one document per hash in the collection `definitions`."""

from collections.abc import Sequence
from typing import cast

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from adapters.mongodb.client import Database, Document
from adapters.mongodb.failures import encoded, unavailable
from saga.messages.timestamps import is_point_in_time
from saga.ports.definitions import StoredDefinition

_BEHIND_ALL = -1
_TYPES_MAX = 10_000


class MongoDefinitionStore:
    """Keep the definitions; of each type, the one with the greatest `current_since` is current.

    So registering is one insert: no second document that a crash could leave pointing at the old one.
    """

    def __init__(self, database: Database) -> None:
        """Take the database that holds the collection `definitions`."""
        self._database = database
        self._definitions = database["definitions"]
        self._types = database["process_types"]

    async def register(self, definition: StoredDefinition) -> bool:
        """Store a new hash and make it current. Raises StoreUnavailable (repeating is safe) or Unstorable."""
        with unavailable():
            current_since = await self._next_current_since(definition.process_type, definition.registered_at)
            return await self._insert(definition, current_since)

    async def restore(self, definition: StoredDefinition) -> bool:
        """Store a definition of another store; every other one of its type goes before it."""
        with unavailable():
            others = self._definitions.find({"process_type": {"$eq": definition.process_type}}, {"_id": 1})
            is_first = not await others.limit(1).to_list(1)
            return await self._insert(definition, 0 if is_first else _BEHIND_ALL)

    async def _insert(self, definition: StoredDefinition, current_since: int) -> bool:
        document = encoded(
            {
                "_id": definition.hash,
                "process_type": definition.process_type,
                "text": definition.text,
                "registered_at": definition.registered_at,
                "current_since": current_since,
            }
        )
        try:
            await self._definitions.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def get(self, definition_hash: str) -> StoredDefinition | None:
        """Give a definition by its hash."""
        found = await self._find({"_id": {"$eq": definition_hash}})
        return found[0] if found else None

    async def current(self) -> Sequence[StoredDefinition]:
        """Give the current definition of every type, in the order of the types' names."""
        pipeline = [
            {"$sort": {"process_type": 1, "current_since": -1, "_id": -1}},
            {"$group": {"_id": "$process_type", "hash": {"$first": "$_id"}}},
        ]
        with unavailable():
            answer = await self._database.command(
                {
                    "aggregate": "definitions",
                    "pipeline": pipeline,
                    "cursor": {"batchSize": _TYPES_MAX},
                    "readConcern": {"level": "majority"},
                }
            )
        cursor = cast("dict[str, list[Document]]", answer["cursor"])
        found = await self._find({"_id": {"$in": [group["hash"] for group in cursor["firstBatch"]]}})
        return sorted(found, key=lambda definition: definition.process_type)

    async def make_current(self, definition_hash: str) -> bool:
        """Make a known definition current again; False for one that is not stored."""
        known = await self.get(definition_hash)
        if known is None:
            return False
        with unavailable():
            current_since = await self._next_current_since(known.process_type, known.registered_at)
            change = UpdateOne({"_id": {"$eq": definition_hash}}, {"$set": {"current_since": current_since}})
            await self._definitions.bulk_write([change], ordered=True)
        return True

    async def set_paused(self, process_type: str, *, paused: bool) -> None:
        """Note that processes of a type are not to go on, or are again."""
        change = UpdateOne({"_id": {"$eq": process_type}}, {"$set": {"paused": paused}}, upsert=True)
        with unavailable():
            await self._types.bulk_write([change], ordered=True)

    async def paused_types(self) -> Sequence[str]:
        """Name the types that are paused, in order."""
        with unavailable():
            documents = await self._types.find({"paused": True}).sort([("_id", 1)]).to_list(None)
        return [cast("str", document["_id"]) for document in documents]

    async def _next_current_since(self, process_type: str, at: int) -> int:
        """Give a time later than that of the one that is current now, also when the writer's clock lags."""
        newest = self._definitions.find({"process_type": {"$eq": process_type}}, {"current_since": 1})
        before = await newest.sort([("current_since", -1)]).limit(1).to_list(1)
        return max(at, *(_number(item, "current_since") + 1 for item in before), 0)

    async def versions(self, process_type: str) -> Sequence[StoredDefinition]:
        """Give all definitions of a type, the newest first."""
        return await self._find({"process_type": {"$eq": process_type}})

    async def _find(self, query: Document) -> list[StoredDefinition]:
        newest_first = [("registered_at", -1), ("current_since", -1), ("_id", -1)]
        with unavailable():
            documents = await self._definitions.find(query).sort(newest_first).to_list(None)
        return [
            StoredDefinition(
                hash=str(document["_id"]),
                process_type=_text(document, "process_type"),
                text=_text(document, "text"),
                registered_at=_number(document, "registered_at"),
            )
            for document in documents
        ]


def _text(document: Document, name: str) -> str:
    """Read a text; what somebody damaged reads as nothing, which no hash is that of."""
    value = document.get(name)
    return value if type(value) is str else ""


def _number(document: Document, name: str) -> int:
    value = document.get(name)
    return value if isinstance(value, int) and is_point_in_time(value) else 0
