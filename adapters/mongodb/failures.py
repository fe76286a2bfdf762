"""What the driver's errors mean to us: the border where they become errors of `saga.errors`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import bson
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    BulkWriteError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from saga.errors import StoreUnavailable, Unstorable

DUPLICATE_KEY = 11000
# The server's own bound; what is larger would fail every document that travels in the same message.
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
_UNAUTHORIZED = frozenset({13, 18})
_TEXT_MAX = 300


@contextmanager
def unavailable() -> Iterator[None]:
    """Raise StoreUnavailable for what the driver raises: for reads, and for writes that may be repeated."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(describe(error)) from error


def describe(error: PyMongoError) -> str:
    """Say in one short line what went wrong; it holds no address with a password, the driver keeps none."""
    return f"{type(error).__name__}: {str(error)[:_TEXT_MAX]}"


def was_never_sent(error: PyMongoError) -> bool:
    """Say whether it is certain that the server did nothing: no server was found, or it refused us."""
    if isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError):
        # The driver raises these only where no earlier try of the same call was sent.
        return True
    return isinstance(error, OperationFailure) and error.code in _UNAUTHORIZED


def write_errors(error: BulkWriteError) -> Mapping[int, int]:
    """Give the error code of each document that was refused, by its place in the batch."""
    found = cast("list[dict[str, int]]", error.details.get("writeErrors", []))
    return {item["index"]: item["code"] for item in found}


def has_concern_error(error: BulkWriteError) -> bool:
    """Say whether the batch is written but was not acknowledged by a majority."""
    return bool(error.details.get("writeConcernErrors"))


def encoded(document: Mapping[str, object]) -> RawBSONDocument:
    """Encode a document, so that one that can't be stored fails before it meets others in a batch.

    Raises Unstorable.
    """
    try:
        raw = bson.encode(document)
    except (InvalidDocument, OverflowError, UnicodeError) as error:
        raise Unstorable(f"MongoDB can't hold it: {error}") from error
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise Unstorable(f"{len(raw)} bytes are more than a document can hold ({DOCUMENT_BYTES_MAX})")
    return RawBSONDocument(raw)
