"""Signatures: those of the published scheme, and what a receiver must refuse."""

from __future__ import annotations

import base64

import pytest

from saga.webhooks import InvalidSignature, verify_signature
from saga.webhooks.signature import parse_secret, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = b'{"test": 2432232314}'
NOW = 1_614_265_330


def headers(**changes: str) -> dict[str, str]:
    """Give the headers of a genuine request, but for the changes."""
    given = {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": str(NOW),
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    return given | {name.replace("_", "-").title(): value for name, value in changes.items()}


def test_the_signature_is_that_of_the_published_scheme() -> None:
    """The example that the libraries of Standard Webhooks are tested with has the same signature here."""
    given = headers()
    made = sign([parse_secret(SECRET)], webhook_id=given["Webhook-Id"], timestamp=NOW, body=BODY)
    assert made == given["Webhook-Signature"]
    assert verify_signature(given, BODY, SECRET, now=NOW) == given["Webhook-Id"]


def test_each_of_two_secrets_verifies_while_one_replaces_the_other() -> None:
    """What is signed with both is genuine for a receiver that knows either."""
    keys = [parse_secret(SECRET), parse_secret(OTHER)]
    signature = sign(keys, webhook_id="p:1", timestamp=NOW, body=BODY)
    given = headers(webhook_id="p:1", webhook_signature=signature)
    assert verify_signature(given, BODY, SECRET, now=NOW) == "p:1"
    assert verify_signature(given, BODY, OTHER, now=NOW) == "p:1"


@pytest.mark.parametrize(
    ("changes", "body", "secret"),
    [
        ({}, BODY + b" ", SECRET),
        ({}, BODY, OTHER),
        ({"webhook_id": "msg_other"}, BODY, SECRET),
        ({"webhook_timestamp": str(NOW + 1)}, BODY, SECRET),
        ({"webhook_signature": "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, BODY, SECRET),
        ({"webhook_signature": ""}, BODY, SECRET),
        ({"webhook_signature": "v1,é\udcff"}, BODY, SECRET),
        ({"webhook_id": "\udcff"}, BODY, SECRET),
    ],
)
def test_what_was_changed_on_its_way_is_refused(changes: dict[str, str], body: bytes, secret: str) -> None:
    """Any change of the id, the time or a byte of the body, and any other secret."""
    with pytest.raises(InvalidSignature, match="no signature fits"):
        verify_signature(headers(**changes), body, secret, now=NOW)


@pytest.mark.parametrize("away_s", [301, -301])
def test_a_request_from_another_time_is_refused(away_s: int) -> None:
    """Who recorded one can't send it again later."""
    verify_signature(headers(), BODY, SECRET, now=NOW + (away_s // 301) * 300)
    with pytest.raises(InvalidSignature, match="300 s"):
        verify_signature(headers(), BODY, SECRET, now=NOW + away_s)


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "1e9", "٣", "1" * 400, f" {NOW}"])
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    """It costs nothing to look at, and never raises anything else."""
    with pytest.raises(InvalidSignature, match="webhook-timestamp"):
        verify_signature(headers(webhook_timestamp=timestamp), BODY, SECRET, now=NOW)


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_request_without_one_of_the_headers_is_refused(missing: str) -> None:
    """The error names the one that is missing."""
    given = {name: value for name, value in headers().items() if name != missing}
    with pytest.raises(InvalidSignature, match=missing.lower()):
        verify_signature(given, BODY, SECRET, now=NOW)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "hunter2", SECRET.removeprefix("whsec_"), "whsec_not base64", "whsec_c2hvcnQ="]
)
def test_a_secret_that_is_none_is_named_without_its_value(secret: str) -> None:
    """Too short, not base64, or without the word in front; the sentence says how to make one."""
    with pytest.raises(ValueError, match="openssl rand") as refusal:
        parse_secret(secret)
    assert not secret or secret.removeprefix("whsec_") == "" or secret not in str(refusal.value)
