"""Deliveries as JSON text, for the stores; what a store searches by stands in columns of its own beside it."""

from dataclasses import asdict
from typing import cast

from saga.messages.json_text import JsonObject, JsonText, from_text, to_text
from saga.ports.deliveries import DeliveryAttempt, DeliveryStatus, WebhookDelivery

# A lease changes these, without reading the rest.
_APART = ("due_at", "version")


def to_document(delivery: WebhookDelivery) -> JsonText:
    """Write all of a delivery but when it is due, and its version."""
    members = cast("JsonObject", asdict(delivery))
    members["attempts"] = [list(one) for one in map(_attempt_row, delivery.attempts)]
    return to_text({name: value for name, value in members.items() if name not in _APART})


def from_document(text: str, *, due_at: int | None, version: int) -> WebhookDelivery:
    """Read what `to_document` wrote; a member that a later version added is ignored."""
    members = cast("dict[str, object]", from_text(text))
    known = {
        name: value
        for name, value in members.items()
        if name in WebhookDelivery.__dataclass_fields__ and name not in {*_APART, "attempts", "status"}
    }
    rows = cast("list[list[object]]", members["attempts"])
    return WebhookDelivery(
        **known,  # type: ignore[arg-type] - the members that `to_document` wrote, by their names
        attempts=tuple(DeliveryAttempt(*row) for row in rows),  # type: ignore[arg-type] - likewise
        status=DeliveryStatus(cast("str", members["status"])),
        due_at=due_at,
        version=version,
    )


def _attempt_row(attempt: DeliveryAttempt) -> tuple[int, int, int, int | None, str | None]:
    return attempt.number, attempt.at, attempt.took_ms, attempt.status, attempt.error
