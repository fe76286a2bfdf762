"""Read message properties that the driver's decoder chokes on.

The decoder (pamqp) raises for a timestamp beyond the year 9999, for text that isn't UTF-8 and for header
types that it doesn't know, and the driver then drops the whole connection. The broker passes them on unread.
So one message of a sloppy producer (a timestamp in nanoseconds is enough) would come back with each new
connection and cut off the coordinators until the delivery limit of a thousand. What can't be read is left
out instead; the body alone is what counts, and whoever needs a property refuses the message for its absence.
"""

import datetime as dt
from collections.abc import Callable

import pamqp.decode
from pamqp.common import FieldTable, FieldValue

_Decoder = Callable[[bytes], tuple[int, FieldValue]]
_UNREADABLE = "x-saga-unreadable"
_UNKNOWN_TIME = dt.datetime.fromtimestamp(0, tz=dt.UTC)


def install() -> None:
    """Put the tolerant decoders in the place of the strict ones; doing it again changes nothing."""
    methods = pamqp.decode.METHODS
    methods["timestamp"] = _timestamp
    methods["shortstr"] = _short_text
    methods["table"] = _headers
    pamqp.decode.TABLE_MAPPING[b"T"] = _timestamp


def _timestamp(value: bytes) -> tuple[int, FieldValue]:
    try:
        return pamqp.decode.timestamp(value)
    except (ValueError, OverflowError, OSError):
        if len(value) < 8:  # noqa: PLR2004 - the width of the field
            raise
        return 8, _UNKNOWN_TIME


def _short_text(value: bytes) -> tuple[int, FieldValue]:
    try:
        return pamqp.decode.short_str(value)
    except UnicodeDecodeError:
        end = value[0] + 1
        return end, value[1:end].decode("utf-8", "replace")


def _headers(value: bytes) -> tuple[int, FieldValue]:
    try:
        return pamqp.decode.field_table(value)
    except (ValueError, IndexError, OverflowError, OSError, ArithmeticError, RecursionError):
        length = int.from_bytes(value[:4], "big")
        if length + 4 > len(value):
            raise
        unreadable: FieldTable = {_UNREADABLE: True}
        return length + 4, unreadable
