"""What follows from a call: delivered, again later, or given up. Time is an argument, jitter is derived."""

import hashlib
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime

from saga.ports.deliveries import CallOutcome, DeliveryAttempt, DeliveryStatus, WebhookDelivery

# The waits after the first, second, … failed attempt: twelve attempts over about a day.
WAITS_S = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
ATTEMPTS_MAX = len(WAITS_S) + 1
ATTEMPTS_KEPT = 30
RETRY_AFTER_MAX_S = 6 * 3_600
ERROR_MAX = 200
_JITTER = 0.1
_GONE = 410


def after_call(
    delivery: WebhookDelivery, outcome: CallOutcome, *, began_at: int, now: int
) -> WebhookDelivery:
    """Give the delivery as it stands after a call."""
    number = delivery.attempts_made + 1
    error = None if outcome.error is None else outcome.error[:ERROR_MAX]
    attempt = DeliveryAttempt(number, began_at, max(0, now - began_at), outcome.status, error)
    tried = replace(
        delivery,
        attempts=(*delivery.attempts, attempt)[-ATTEMPTS_KEPT:],
        attempts_made=number,
        version=delivery.version + 1,
    )
    if outcome.status is not None and 200 <= outcome.status < 300:  # noqa: PLR2004 - the class of success
        return replace(tried, status=DeliveryStatus.DELIVERED, due_at=None, ended_at=now)
    spent = number - delivery.budget_from
    if outcome.status == _GONE or spent >= ATTEMPTS_MAX:
        return replace(tried, status=DeliveryStatus.GIVEN_UP, due_at=None, ended_at=now)
    wait_ms = max(_wait_ms(delivery, number, spent), _asked_for_ms(outcome.retry_after, now))
    return replace(tried, due_at=now + wait_ms)


def sent_again(delivery: WebhookDelivery, *, now: int) -> WebhookDelivery:
    """Give the delivery as it stands when somebody has it sent again: due now, with a whole new budget."""
    return replace(
        delivery,
        status=DeliveryStatus.PENDING,
        due_at=now,
        ended_at=None,
        budget_from=delivery.attempts_made,
        version=delivery.version + 1,
    )


def _wait_ms(delivery: WebhookDelivery, number: int, spent: int) -> int:
    """Give the wait after an attempt: its place in the table, moved by a chance derived from what it is."""
    digest = hashlib.blake2b(f"{delivery.webhook_id}.{number}".encode(), digest_size=8).digest()
    chance = int.from_bytes(digest, "big") / 2**64
    return round(WAITS_S[spent - 1] * 1_000 * (1 + _JITTER * (2 * chance - 1)))


def _asked_for_ms(retry_after: str | None, now: int) -> int:
    """Read Retry-After, seconds or a date, up to a bound; what can't be read asks for nothing."""
    if retry_after is None:
        return 0
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now / 1_000
        except (ValueError, TypeError, OverflowError):
            return 0
    return round(min(max(seconds, 0.0), RETRY_AFTER_MAX_S) * 1_000)
