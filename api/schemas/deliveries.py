"""The delivery log of a process, as it is read."""

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeliveryAttempt(_Answer):
    """One call: the status that was answered, or why there is none."""

    number: int
    at: str
    took_ms: int
    status_code: int | None
    error: str | None


class WebhookDelivery(_Answer):
    """What the callback address is told of one event, and how that went; `attempts` are the last ones."""

    sequence: int
    webhook_id: str
    type: str
    url: str
    status: str
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None
    attempts_made: int
    attempts: list[DeliveryAttempt]


class DeliveryLog(_Answer):
    """What the callback address of a process was told, in the order of the events."""

    process_id: str
    callback_url: str | None
    deliveries: list[WebhookDelivery]
