"""Deliveries as JSON text, for the stores; what a store searches by stands in columns of its own beside it."""

from dataclasses import asdict
from typing import Any, cast  # noqa: TID251 - what this very file wrote, read member by member

from saga.messages.json_text import Json, JsonObject, JsonText, from_text, to_text
from saga.ports.deliveries import DeliveryAttempt, DeliveryStatus, WebhookDelivery

# A lease changes these, without reading the rest.
_APART = ("due_at", "version")


def to_document(delivery: WebhookDelivery) -> JsonText:
    """Write all of a delivery but when it is due, and its version."""
    members = cast("JsonObject", asdict(delivery))
    members["attempts"] = [_attempt_row(attempt) for attempt in delivery.attempts]
    return to_text({name: value for name, value in members.items() if name not in _APART})


def from_document(text: str, *, due_at: int | None, version: int) -> WebhookDelivery:
    """Read what `to_document` wrote; a member that a later version added is ignored."""
    members = cast("dict[str, Any]", from_text(text))
    return WebhookDelivery(
        process_id=members["process_id"],
        sequence=members["sequence"],
        kind=members["kind"],
        url=members["url"],
        host=members["host"],
        body=members["body"],
        traceparent=members["traceparent"],
        created_at=members["created_at"],
        due_at=due_at,
        status=DeliveryStatus(members["status"]),
        attempts=tuple(DeliveryAttempt(*row) for row in members["attempts"]),
        attempts_made=members["attempts_made"],
        budget_from=members["budget_from"],
        ended_at=members["ended_at"],
        version=version,
    )


def _attempt_row(attempt: DeliveryAttempt) -> list[Json]:
    return [attempt.number, attempt.at, attempt.took_ms, attempt.status, attempt.error]
