"""A delivery as people and programs read it: no signature, and of a receiver's answer only the status."""

from saga.messages.json_text import Json, JsonObject
from saga.messages.timestamps import rfc3339
from saga.ports.deliveries import DeliveryAttempt, WebhookDelivery


def delivery_document(delivery: WebhookDelivery) -> JsonObject:
    """Write a delivery and its last attempts."""
    attempts: list[Json] = [_attempt_document(attempt) for attempt in delivery.attempts]
    return {
        "sequence": delivery.sequence,
        "webhook_id": delivery.webhook_id,
        "type": delivery.kind,
        "url": delivery.url,
        "status": str(delivery.status),
        "created_at": rfc3339(delivery.created_at),
        "next_attempt_at": None if delivery.due_at is None else rfc3339(delivery.due_at),
        "ended_at": None if delivery.ended_at is None else rfc3339(delivery.ended_at),
        "attempts_made": delivery.attempts_made,
        "attempts": attempts,
    }


def _attempt_document(attempt: DeliveryAttempt) -> JsonObject:
    return {
        "number": attempt.number,
        "at": rfc3339(attempt.at),
        "took_ms": attempt.took_ms,
        "status_code": attempt.status,
        "error": attempt.error,
    }
