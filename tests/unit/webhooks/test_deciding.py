"""What follows from a call to a callback address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saga.ports.deliveries import CallOutcome, DeliveryStatus
from saga.webhooks.codec import from_document, to_document
from saga.webhooks.deciding import (
    ATTEMPTS_KEPT,
    ATTEMPTS_MAX,
    ERROR_MAX,
    RETRY_AFTER_MAX_S,
    WAITS_S,
    after_call,
    sent_again,
)
from tests.contract.test_deliveries import NOW, delivery

HOUR_MS = 3_600_000


def called(
    status: int | None = None, *, retry_after: str | None = None, error: str | None = None
) -> CallOutcome:
    """Make an outcome."""
    return CallOutcome(status, error, retry_after)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_success_delivers(status: int) -> None:
    """Any status of its class; the attempt stands in the record."""
    after = after_call(delivery(), called(status), began_at=NOW, now=NOW + 25)
    assert (after.status, after.due_at, after.ended_at) == (DeliveryStatus.DELIVERED, None, NOW + 25)
    assert [(one.number, one.status, one.took_ms) for one in after.attempts] == [(1, status, 25)]
    assert after.version == 2


@pytest.mark.parametrize("status", [100, 199, 300, 301, 307, 400, 401, 404, 408, 429, 500, 503, None])
def test_anything_else_is_tried_again(status: int | None) -> None:
    """A redirect too: it is not followed."""
    after = after_call(delivery(), called(status, error="no answer"), began_at=NOW, now=NOW)
    assert after.status is DeliveryStatus.PENDING
    assert after.due_at is not None
    assert 4_500 <= after.due_at - NOW <= 5_500


def test_gone_gives_up_at_once() -> None:
    """The receiver says that it wants no more of them."""
    after = after_call(delivery(), called(410, retry_after="60"), began_at=NOW, now=NOW)
    assert (after.status, after.due_at, after.ended_at) == (DeliveryStatus.GIVEN_UP, None, NOW)


def test_twelve_attempts_over_a_day_and_then_it_is_given_up() -> None:
    """The waits grow, no two deliveries keep step, and the end is sure."""
    one, now = delivery(), NOW
    waits = []
    while one.due_at is not None:
        now = one.due_at
        one = after_call(one, called(500), began_at=now, now=now)
        waits.append((one.due_at or now) - now)
    assert one.status is DeliveryStatus.GIVEN_UP
    assert one.attempts_made == ATTEMPTS_MAX == 12
    assert all(
        abs(wait / 1_000 - nominal) <= nominal * 0.1 for wait, nominal in zip(waits, WAITS_S, strict=False)
    )
    assert 20 * HOUR_MS < now - NOW < 28 * HOUR_MS
    other = after_call(delivery("q"), called(500), began_at=NOW, now=NOW)
    assert other.due_at != NOW + waits[0]


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("999999999999999999999", RETRY_AFTER_MAX_S),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120),
        ("Tue, 14 Nov 2023 22:15:20", 120),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S),
    ],
)
def test_retry_after_is_honoured_within_bounds(retry_after: str, wait_s: int) -> None:
    """Seconds or a date; never for more than some hours."""
    after = after_call(delivery(), called(429, retry_after=retry_after), began_at=NOW, now=NOW)
    assert after.due_at == NOW + wait_s * 1_000


@pytest.mark.parametrize(
    "retry_after", ["", "0", "-5", "soon", "1.5", "Tue, 14 Nov 2000 22:15:20 GMT", "²", "1" + "x" * 99]
)
def test_a_retry_after_that_asks_for_nothing_changes_nothing(retry_after: str) -> None:
    """It never makes the wait shorter."""
    plain = after_call(delivery(), called(503), began_at=NOW, now=NOW)
    assert (
        after_call(delivery(), called(503, retry_after=retry_after), began_at=NOW, now=NOW).due_at
        == plain.due_at
    )


def test_a_delivery_that_is_sent_again_has_a_whole_new_budget() -> None:
    """Numbers go on; the record keeps the last attempts only, each bounded."""
    one = delivery()
    for _ in range(4):
        while one.due_at is not None:
            one = after_call(one, called(error="x" * 1_000), began_at=one.due_at, now=one.due_at)
        assert one.status is DeliveryStatus.GIVEN_UP
        one = sent_again(one, now=NOW)
        assert (one.status, one.due_at, one.ended_at) == (DeliveryStatus.PENDING, NOW, None)
    assert one.attempts_made == 4 * ATTEMPTS_MAX
    assert [attempt.number for attempt in one.attempts] == list(range(49 - ATTEMPTS_KEPT, 49))
    assert {len(attempt.error or "") for attempt in one.attempts} == {ERROR_MAX}


def test_a_record_with_a_member_of_a_later_version_is_read() -> None:
    """Old and new coordinators run side by side."""
    one = replace(delivery(), ended_at=5)
    text = to_document(one)
    assert from_document(text[:-1] + ',"colour":"red"}', due_at=one.due_at, version=one.version) == one
