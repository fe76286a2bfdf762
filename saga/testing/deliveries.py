"""The deliveries in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from saga.ports.deliveries import WebhookDelivery


class InMemoryDeliveryStore:
    """Keep deliveries; implements `saga.ports.deliveries.DeliveryStore`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], WebhookDelivery] = {}

    async def add(self, delivery: WebhookDelivery) -> None:
        """Keep a delivery, unless one of this process and number is there."""
        self._kept.setdefault((delivery.process_id, delivery.sequence), delivery)

    async def of_process(self, process_id: str) -> Sequence[WebhookDelivery]:
        """Give the deliveries of a process in the order of its events."""
        found = [one for one in self._kept.values() if one.process_id == process_id]
        return sorted(found, key=lambda one: one.sequence)

    async def get(self, process_id: str, sequence: int) -> WebhookDelivery | None:
        """Give the delivery of one event."""
        return self._kept.get((process_id, sequence))

    async def lease_due(
        self, *, now: int, leased_until: int, limit: int, except_hosts: Collection[str] = ()
    ) -> Sequence[WebhookDelivery]:
        """Take deliveries that are due, the longest due first."""
        due = sorted(
            (one.due_at, key)
            for key, one in self._kept.items()
            if one.due_at is not None and one.due_at <= now and one.host not in except_hosts
        )
        taken = []
        for _, key in due[:limit]:
            one = self._kept[key]
            self._kept[key] = replace(one, due_at=leased_until, version=one.version + 1)
            taken.append(self._kept[key])
        return taken

    async def replace(self, delivery: WebhookDelivery) -> bool:
        """Write a delivery whose version is the stored one's plus one."""
        key = (delivery.process_id, delivery.sequence)
        stored = self._kept.get(key)
        if stored is None or stored.version != delivery.version - 1:
            return False
        self._kept[key] = delivery
        return True

    async def purge(self, *, ended_before: int, limit: int) -> int:
        """Delete at most so many of those that ended before a point in time."""
        old = sorted(
            (one.ended_at, key)
            for key, one in self._kept.items()
            if one.ended_at is not None and one.ended_at < ended_before
        )
        for _, key in old[:limit]:
            del self._kept[key]
        return len(old[:limit])
