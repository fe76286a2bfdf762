"""The properties of what we publish: exactly the contract's, and nothing that the broker could refuse.

A refused publish closes the channel and fails every other message in flight on it, and a header frame that
is too large closes the connection. So all that a user may have touched is checked or bounded here.
"""

import datetime as dt
import struct
from collections.abc import Mapping

from pamqp import encode
from pamqp.commands import Basic
from pamqp.common import FieldTable

from saga.ports.bus import APP_ID, Delivery, OutgoingMessage

SCHEMA_HEADER = "x-saga-schema"
SCHEMA = 1
_SHORT_BYTES_MAX = 255
_HEADERS_BYTES_MAX = 16 * 1024
_HEADER_NAME_BYTES_MAX = 128
_DETAIL_LENGTH_MAX = 1000
# RabbitMQ routes by CC and BCC and refuses those of a wrong type.
_HEADERS_WITH_MEANING = frozenset({"CC", "BCC"})
# The broker's own count of deliveries from the queue that the message now leaves.
_DELIVERY_COUNT = "x-delivery-count"


def outgoing_properties(message: OutgoingMessage) -> Basic.Properties:
    """Write the properties of a message of ours. Raises ValueError for what must not reach the channel."""
    check_short("routing key", message.routing_key)
    check_short("message id", message.message_id)
    check_short("correlation id", message.correlation_id)
    check_short("type", message.kind)
    if not message.message_id:
        raise ValueError("the message has no id")
    headers: FieldTable = {**_checked(message.headers), SCHEMA_HEADER: SCHEMA}
    return Basic.Properties(
        content_type="application/json",
        delivery_mode=2,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        message_type=message.kind,
        timestamp=dt.datetime.fromtimestamp(message.timestamp // 1000, dt.UTC),
        app_id=APP_ID,
        headers=headers,
    )


def check_short(what: str, text: str) -> None:
    """Refuse with ValueError what doesn't fit AMQP's short strings, or holds what isn't printable."""
    if not text.isprintable() or len(text.encode()) > _SHORT_BYTES_MAX:
        raise ValueError(f"the {what} is longer than {_SHORT_BYTES_MAX} bytes or has unprintable characters")


def dead_letter_properties(
    delivery: Delivery, received: Basic.Properties | None, *, reason: str, detail: str, seen: dt.datetime
) -> Basic.Properties:
    """Write the properties of a dead letter: those that it came with, and why it was refused.

    Left out is what would make the broker drop or refuse it (its expiration, its sender's user id), and its
    headers where they don't fit.
    """
    if received is None:
        received = Basic.Properties(
            message_id=delivery.message_id,
            app_id=delivery.app_id,
            content_encoding=delivery.content_encoding,
        )
    verdict: FieldTable = {
        "x-saga-reject-reason": _bounded(reason),
        "x-saga-reject-detail": _bounded(detail),
        "x-saga-first-seen": seen.astimezone(dt.UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "x-saga-original-exchange": delivery.exchange,
        "x-saga-original-routing-key": delivery.routing_key,
    }
    return Basic.Properties(
        content_type=received.content_type,
        content_encoding=received.content_encoding,
        headers={**_copied(delivery.headers), **verdict},
        delivery_mode=2,
        priority=received.priority,
        correlation_id=received.correlation_id,
        reply_to=received.reply_to,
        # Without an id the driver would make one up, which is right: it must be able to find it again.
        message_id=received.message_id,
        timestamp=received.timestamp,
        message_type=received.message_type,
        app_id=received.app_id,
    )


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    size = 0
    for name, text in headers.items():
        length = len(name.encode())
        if not 0 < length <= _HEADER_NAME_BYTES_MAX or name in _HEADERS_WITH_MEANING:
            raise ValueError(f"{name[:_HEADER_NAME_BYTES_MAX]!r} can't be the name of a header")
        size += length + len(text.encode())
    if size > _HEADERS_BYTES_MAX:
        raise ValueError(f"the headers are larger than {_HEADERS_BYTES_MAX} bytes")
    return headers


def _copied(headers: Mapping[str, object]) -> FieldTable:
    """Copy received headers one by one, as long as they can be written again and fit together."""
    copied: FieldTable = {}
    size = 0
    left_out = 0
    for name, value in headers.items():
        if name == _DELIVERY_COUNT:
            continue
        written = None if name in _HEADERS_WITH_MEANING else _written(name, value)
        if written is None or size + written > _HEADERS_BYTES_MAX:
            left_out += 1
            continue
        size += written
        copied[name] = value  # type: ignore[assignment]  # it was written just now: it is a field value
    if left_out:
        copied["x-saga-headers-left-out"] = left_out
    return copied


def _written(name: str, value: object) -> int | None:
    if len(name.encode("utf-8", "replace")) > _HEADER_NAME_BYTES_MAX:
        return None
    try:
        return len(encode.field_table({name: value}))  # type: ignore[dict-item]  # whatever can't be written raises
    except (TypeError, ValueError, ArithmeticError, RecursionError, OSError, struct.error):
        return None


def _bounded(text: str) -> str:
    return text[:_DETAIL_LENGTH_MAX].encode("utf-8", "replace").decode()
