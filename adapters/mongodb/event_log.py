"""The log in MongoDB: insert only, one document per append, the unique `_id` as the optimistic lock."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, PyMongoError

from adapters.mongodb.batching import BatchLimits, Coalescer
from adapters.mongodb.client import Collection, Document
from adapters.mongodb.failures import (
    DUPLICATE_KEY,
    describe,
    encoded,
    has_concern_error,
    unavailable,
    was_never_sent,
    write_errors,
)
from saga.errors import OutcomeUnknown, StoreUnavailable, UnreadableLog, VersionConflict
from saga.process.codec import decode_transitions, encode_transitions
from saga.process.transition import Transition

# Well below what one message to the server may hold (48 MB, 100,000 documents): a batch is one message, so
# that an error which isn't about one document speaks about all of them.
_APPENDS = BatchLimits(items_max=1_000, bytes_max=16 * 1024 * 1024)
_READS = BatchLimits(items_max=200)
_PAGE = 500
_TRIES_MAX = 6
_PAUSE_S = 0.02
_LAST_NUMBER = 99_999_999


class _Outcome(Enum):
    WRITTEN = auto()
    TAKEN = auto()  # some document, ours or another's, has the key
    UNKNOWN = auto()
    NOT_SENT = auto()


@dataclass(frozen=True, slots=True)
class _Insert:
    document: Mapping[str, object]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Tail:
    process_id: str
    after: int

    def query(self) -> Document:
        # `p` sends the query to one shard, the range of `_id` is what the index answers.
        return {
            "p": self.process_id,
            "_id": {
                "$gte": document_id(self.process_id, self.after + 1),
                "$lte": document_id(self.process_id, _LAST_NUMBER),
            },
        }


def document_id(process_id: str, number: int) -> str:
    """Write the key of the transition whose first event has this number; keys sort like the numbers."""
    return f"{process_id}:{number:08d}"


class MongoEventLog:
    """Keep the log in the collection `events`.

    Why the key of the first event is lock enough, although a document holds several events: a writer decides
    on a state that was folded from whole documents, so the number it appends at is the last number of some
    document plus one. Let the log be documents d1..dk. A writer that saw d1..di (i < k) appends at the end
    of di, where d(i+1) already begins: the same key, a conflict. So no two documents can overlap, and none
    can begin inside another. This needs that the state was read from the log by whole documents, which
    `read` and the projection's version (always the end of a document) give, and that an append at n + 1
    begins only after the one that ends at n was acknowledged: else a lost first write would leave a gap.
    """

    def __init__(self, events: Collection, *, settle_within_s: float = 10.0) -> None:
        """Take the collection; `settle_within_s` bounds for how long an unknown outcome is asked about."""
        self._events = events
        # A page stays as bytes until its turn comes: as objects, a few megabytes of it lie idle in the caches.
        self._raw = events.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
        self._settle_within_s = settle_within_s
        self._inserts: Coalescer[_Insert, tuple[_Outcome, str]] = Coalescer(self._insert, _APPENDS)
        self._marks: Coalescer[tuple[str, str], str | None] = Coalescer(self._find_marks, _READS)
        self._tails: Coalescer[_Tail, list[Document]] = Coalescer(self._find_tails, _READS)

    async def append(self, transition: Transition, *more: Transition) -> None:
        """Insert one document with all of it, and settle what became of it where the server doesn't say.

        After an error the same insert is repeated: it either succeeds, or meets a document under its key
        whose mark, once a majority has it, tells whose it is. See the port for the errors.
        """
        insert = _encode(transition, *more)
        give_up_at = time.monotonic() + self._settle_within_s
        is_unsure = False
        problem = ""
        for tries in range(_TRIES_MAX):
            outcome, problem = await self._inserts.submit(insert, size_bytes=insert.size_bytes)
            match outcome:
                case _Outcome.WRITTEN:
                    return
                case _Outcome.NOT_SENT if not is_unsure:
                    raise StoreUnavailable(problem)
                case _Outcome.TAKEN:
                    if await self._is_stored(transition):
                        return
                    problem = "a document has the key, but no majority shows it yet"
                case _:
                    pass
            is_unsure = True
            if time.monotonic() > give_up_at:
                break
            await asyncio.sleep(_PAUSE_S * 2**tries)
        raise OutcomeUnknown(f"event {transition.first} of process {transition.process_id}: {problem}")

    async def restore(self, transition: Transition, *more: Transition) -> None:
        """Do what `append` does: nothing here sends anything by itself."""
        await self.append(transition, *more)

    async def read(self, process_id: str, after: int = 0) -> Sequence[Transition]:
        """Give the transitions after a number; the tails of several processes travel in one query."""
        tail = _Tail(process_id, after)
        if after:
            documents = await self._tails.submit(tail)
        else:
            # A whole history may be large: it must not hold up those who want a short tail.
            with unavailable():
                documents = await self._events.find(tail.query()).to_list(None)
        documents.sort(key=lambda document: str(document["_id"]))
        return _dense([one for document in documents for one in _decoded(document)], after)

    async def read_all(self, after: str = "") -> AsyncIterator[Transition | UnreadableLog]:
        """Stream the whole log in the order of its keys.

        It reads page by page, so that a slow caller never loses a cursor that the server timed out. While the
        caller works on one page the next is read, never more.
        """
        last = document_id(after, _LAST_NUMBER) if after else ""
        reading = asyncio.create_task(self._page(last))
        try:
            while True:
                page = await reading
                is_last = len(page) < _PAGE
                if not is_last:
                    reading = asyncio.create_task(self._page(str(page[-1]["_id"])))
                    await asyncio.sleep(
                        0
                    )  # the query leaves now, not when the caller next waits for something
                for raw in page:
                    for transition in _decoded_or_error(bson.decode(raw.raw)):
                        yield transition
                if is_last:
                    return
        finally:
            reading.cancel()

    async def _page(self, last: str) -> list[RawBSONDocument]:
        with unavailable():
            # In one answer: by itself the server gives 101 documents first, and waits to be asked for more.
            found = self._raw.find({"_id": {"$gt": last}}, batch_size=_PAGE).sort([("_id", 1)])
            return cast("list[RawBSONDocument]", await found.limit(_PAGE).to_list(None))

    async def close(self) -> None:
        """Finish what is in hand and take nothing more."""
        for coalescer in (self._inserts, self._marks, self._tails):
            await coalescer.close()

    async def _insert(self, batch: Sequence[_Insert]) -> Sequence[tuple[_Outcome, str]]:
        try:
            await self._events.insert_many([insert.document for insert in batch], ordered=False)
        except BulkWriteError as error:
            return _outcomes(error, len(batch))
        except PyMongoError as error:
            outcome = _Outcome.NOT_SENT if was_never_sent(error) else _Outcome.UNKNOWN
            return [(outcome, describe(error))] * len(batch)
        return [(_Outcome.WRITTEN, "")] * len(batch)

    async def _is_stored(self, transition: Transition) -> bool:
        """Say whether a majority has our document; raises VersionConflict if it has another's."""
        key = document_id(transition.process_id, transition.first)
        try:
            mark = await self._marks.submit((transition.process_id, key))
        except StoreUnavailable:
            return False
        if mark is not None and mark != transition.mark:
            raise VersionConflict(transition.process_id, transition.first)
        return mark is not None

    async def _find_marks(self, batch: Sequence[tuple[str, str]]) -> Sequence[str | None]:
        processes = sorted({process_id for process_id, _ in batch})
        keys = sorted({key for _, key in batch})
        with unavailable():
            found = await self._events.find(
                {"p": {"$in": processes}, "_id": {"$in": keys}}, {"mark": 1}
            ).to_list(None)
        marks = {str(document["_id"]): str(document.get("mark")) for document in found}
        return [marks.get(key) for _, key in batch]

    async def _find_tails(self, batch: Sequence[_Tail]) -> Sequence[list[Document]]:
        tails = sorted(set(batch), key=lambda tail: (tail.process_id, tail.after))
        # Two callers may want the same process from different numbers: the longest tail serves both.
        longest: dict[str, _Tail] = {}
        for tail in tails:
            longest.setdefault(tail.process_id, tail)
        found: dict[str, list[Document]] = {process_id: [] for process_id in longest}
        with unavailable():
            query = {"$or": [tail.query() for tail in longest.values()]}
            async for document in self._events.find(query):
                found[str(document["p"])].append(document)
        return [
            [
                document
                for document in found[tail.process_id]
                if str(document["_id"]) >= document_id(tail.process_id, tail.after + 1)
            ]
            for tail in batch
        ]


def _encode(transition: Transition, *more: Transition) -> _Insert:
    key = document_id(transition.process_id, transition.first)
    document = encoded({"_id": key, **encode_transitions((transition, *more))})
    return _Insert(document, len(document.raw))


def _decoded(document: Document) -> Sequence[Transition]:
    """Read a document. Raises UnreadableLog, also where it says of itself that it stands elsewhere."""
    transitions = decode_transitions(document)
    first = transitions[0]
    if document["_id"] != document_id(first.process_id, first.first):
        process_id, _, number = str(document["_id"]).rpartition(":")
        field = "n" if process_id == first.process_id else "p"
        problem = f"the document says that it is event {first.first} of process {first.process_id}"
        raise UnreadableLog(process_id, int(number) if number.isdigit() else 0, problem, field=field)
    return transitions


def _decoded_or_error(document: Document) -> Sequence[Transition | UnreadableLog]:
    try:
        return _decoded(document)
    except UnreadableLog as error:
        process_id = str(document["_id"]).rpartition(":")[0]
        if error.process_id == process_id:
            return [error]
        return [UnreadableLog(process_id, error.number, error.problem, field=error.field)]


def _outcomes(error: BulkWriteError, count: int) -> list[tuple[_Outcome, str]]:
    refused = write_errors(error)
    # A write-concern error means that the data is written, but that a failover may take it back.
    accepted = _Outcome.UNKNOWN if has_concern_error(error) else _Outcome.WRITTEN
    problem = describe(error)
    outcomes: list[tuple[_Outcome, str]] = []
    for index in range(count):
        code = refused.get(index)
        if code is None:
            outcomes.append((accepted, problem))
        else:
            outcomes.append((_Outcome.TAKEN if code == DUPLICATE_KEY else _Outcome.UNKNOWN, problem))
    return outcomes


def _dense(transitions: list[Transition], after: int) -> Sequence[Transition]:
    """Refuse a log with a hole: a state that was folded over it would be wrong without a sign."""
    expected = 1 if after == 0 else None
    for transition in transitions:
        if expected is not None and transition.first != expected:
            raise UnreadableLog(transition.process_id, expected, f"the log goes on with {transition.first}")
        expected = transition.last + 1
    return transitions
