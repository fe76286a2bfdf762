"""Signatures by the scheme of Standard Webhooks: made by the sender, checked by receivers with the same code.

What is signed is `<webhook-id>.<webhook-timestamp>.<body>`, by HMAC with SHA-256. See standardwebhooks.com.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from typing import ClassVar

from saga.errors import SagaError

TOLERANCE_S = 300
SECRET_PREFIX = "whsec_"  # noqa: S105 - the word in front of every secret
KEY_BYTES_MIN = 24
KEY_BYTES_MAX = 64
_VERSION = "v1,"
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


class InvalidSignature(SagaError):  # noqa: N818 - what the receiver found
    """Say why a request is not to be believed; answer it with 400 or 401 and do nothing."""

    code: ClassVar[str] = "invalid-signature"


def parse_secret(text: str) -> bytes:
    """Give the key in a secret, `whsec_` and the base64 of 24 to 64 bytes. Raises ValueError without it."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(
            f"a secret is {SECRET_PREFIX} and the base64 of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes; "
            f'make one: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return key


def sign(keys: Iterable[bytes], *, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Write the header `webhook-signature`: one signature per key, so that a secret can be changed."""
    return " ".join(_VERSION + _signature(key, webhook_id, str(timestamp), body) for key in keys)


def verify_signature(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    *,
    tolerance_s: int = TOLERANCE_S,
    now: float | None = None,
) -> str:
    """Give the `webhook-id` of a request that is genuine, by which a receiver knows one that it has seen before.

    `body` is the raw body: parsed and written again it has other bytes. `now` is the receiver's time in seconds
    since 1970, by default that of its clock. Compares in constant time. Raises InvalidSignature, and ValueError
    for a secret that is none.
    """
    key = parse_secret(secret)
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if name not in given]
    if missing:
        raise InvalidSignature(f"the request has no header {', '.join(missing)}")
    webhook_id, timestamp = given["webhook-id"], given["webhook-timestamp"]
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise InvalidSignature("webhook-timestamp is not a number of seconds")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance_s:
        raise InvalidSignature(f"webhook-timestamp is more than {tolerance_s} s away from the time here")
    expected = (_VERSION + _signature(key, webhook_id, timestamp, body)).encode()
    signatures = given["webhook-signature"].encode("utf-8", "replace").split(b" ")
    # All are compared, so that the time tells nothing.
    if not sum(hmac.compare_digest(expected, one) for one in signatures):
        raise InvalidSignature("no signature fits: another secret, or a changed body")
    return webhook_id


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{webhook_id}.{timestamp}.".encode("utf-8", "replace") + body
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
