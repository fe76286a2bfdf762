"""The port to what processes tell the addresses that they were given, and the one that calls these addresses."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from saga.messages.json_text import JsonText
from saga.values import value


class DeliveryStatus(StrEnum):
    """Say where a delivery stands: to be sent, taken by its receiver, or given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@value
class DeliveryAttempt:
    """One call: the status that was answered, or the reason why there is none."""

    number: int
    at: int
    took_ms: int
    status: int | None
    error: str | None


@value
class WebhookDelivery:
    """What a process tells its callback address of one event, byte for byte, and how that went so far.

    `due_at` is when the next call is due, also while one is under way; None once it ended. `attempts` are the
    last ones, `attempts_made` counts all, and `budget_from` those before somebody had it sent again. A greater
    `version` is a later word.
    """

    process_id: str
    sequence: int
    kind: str
    url: str
    host: str
    body: JsonText
    traceparent: str
    created_at: int
    due_at: int | None
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[DeliveryAttempt, ...] = ()
    attempts_made: int = 0
    budget_from: int = 0
    ended_at: int | None = None
    version: int = 1

    @property
    def webhook_id(self) -> str:
        """Give what a receiver knows it by, the same over all calls."""
        return f"{self.process_id}:{self.sequence}"


class DeliveryStore(Protocol):
    """Keep the deliveries. Every call raises StoreUnavailable, and repeating it is safe."""

    async def add(self, delivery: WebhookDelivery) -> None:
        """Keep a delivery durably; where there is one of this process and number already, that one stays."""
        ...

    async def of_process(self, process_id: str) -> Sequence[WebhookDelivery]:
        """Give the deliveries of a process in the order of its events."""
        ...

    async def get(self, process_id: str, sequence: int) -> WebhookDelivery | None:
        """Give the delivery of one event."""
        ...

    async def lease_due(
        self, *, now: int, leased_until: int, limit: int, except_hosts: Collection[str] = ()
    ) -> Sequence[WebhookDelivery]:
        """Take deliveries that are due, the longest due first; each is due again at `leased_until`.

        Each is taken by one conditional write that also raises its version, so two callers never take the same
        one; while others take, fewer than are due may come.
        """
        ...

    async def replace(self, delivery: WebhookDelivery) -> bool:
        """Write a delivery whose version is the stored one's plus one; False where it is not, and nothing is."""
        ...

    async def purge(self, *, ended_before: int, limit: int) -> int:
        """Delete at most so many of those that ended before a point in time, and say how many were."""
        ...


@value
class CallOutcome:
    """What came of a call: the status of its answer, or why there is none; never anything of a body."""

    status: int | None = None
    error: str | None = None
    retry_after: str | None = None


class WebhookCaller(Protocol):
    """Call an address from outside."""

    async def call(self, url: str, headers: Mapping[str, str], body: bytes) -> CallOutcome:
        """POST within a deadline of its own, to an address that was checked. Never raises."""
        ...
