"""Send what is due: lease it, call, and record what came of it; a few at a time, and fewer of one host.

Every coordinator has one. Who dies between the lease and the record is followed, once the lease is over, by
whoever looks next: a receiver hears of an event at least once. No order is kept between deliveries.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from saga.coordinator.patience import TRANSIENT, GaveUp, patiently
from saga.messages.timestamps import rfc3339
from saga.ports.clock import Clock
from saga.ports.deliveries import CallOutcome, DeliveryStatus, DeliveryStore, WebhookCaller, WebhookDelivery
from saga.ports.observer import Observer
from saga.webhooks.deciding import after_call
from saga.webhooks.policy import CallbackPolicy
from saga.webhooks.signature import sign

# Longer than the deadline of a call, with the time that the record may need.
LEASE_MS = 60_000
POLL_EVERY_S = 1.0
AT_ONCE_MAX = 32
# A host that hangs has so many calls under way, and at most twice as many for a moment.
AT_ONCE_PER_HOST = 4
KEPT_AFTER_END_MS = 30 * 24 * 3_600 * 1_000
PURGE_EVERY_S = 600.0
PURGE_LIMIT = 500
PURGES_MAX = 20

_log = logging.getLogger("saga.webhooks")


class WebhookSender:
    """Send deliveries while it runs; `wake` tells it that something may be due."""

    def __init__(
        self,
        *,
        store: DeliveryStore,
        caller: WebhookCaller,
        policy: CallbackPolicy,
        keys: Sequence[bytes],
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._store = store
        self._caller = caller
        self._policy = policy
        self._keys = tuple(keys)
        self._clock = clock
        self._observer = observer
        self._woken = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._under_way: Counter[str] = Counter()

    def wake(self) -> None:
        """Have it look at once."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event, *, grace_s: float) -> None:
        """Send until `stopping` is set; then take no more, and give the calls under way the grace."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look())
            purging = tasks.create_task(self._purge())
            await stopping.wait()
            looking.cancel()
            purging.cancel()
        if self._calls:
            _, late = await asyncio.wait(self._calls, timeout=grace_s)
            for call in late:
                call.cancel()  # its lease ends, and it is sent again

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            found = 0
            if len(self._calls) <= AT_ONCE_MAX - AT_ONCE_PER_HOST:
                found = await self._take_due_whatever_happens()
            if not found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_EVERY_S):
                        await self._woken.wait()

    async def _take_due_whatever_happens(self) -> int:
        try:
            return await self._take_due()
        except TRANSIENT:
            return 0
        except Exception:  # noqa: BLE001 - a delivery that can't be read must not end the sender
            _log.exception("deliveries that are due could not be read")
            self._observer.counted("defect")
            return 0

    async def _take_due(self) -> int:
        busy = [host for host, calls in self._under_way.items() if calls >= AT_ONCE_PER_HOST]
        now = self._clock.now()
        due = await self._store.lease_due(
            now=now, leased_until=now + LEASE_MS, limit=AT_ONCE_PER_HOST, except_hosts=busy
        )
        for delivery in due:
            self._under_way[delivery.host] += 1
            call = asyncio.get_running_loop().create_task(self._send_and_let_go(delivery))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return len(due)

    async def _send_and_let_go(self, delivery: WebhookDelivery) -> None:
        try:
            await self._send(delivery)
        except GaveUp:
            pass  # the store is away: its lease is over, and it is sent again
        finally:
            self._under_way[delivery.host] -= 1
            if not self._under_way[delivery.host]:
                del self._under_way[delivery.host]
            self._woken.set()

    async def _send(self, delivery: WebhookDelivery) -> None:
        self._observer.reached("webhook_leased")
        began_at = await patiently(self._now, self._observer)
        outcome = await self._call(delivery, began_at)
        self._observer.reached("webhook_called")
        now = await patiently(self._now, self._observer)
        after = after_call(delivery, outcome, began_at=began_at, now=now)
        # False where the lease was over and somebody else took it: then his record is the one that counts.
        if not await patiently(lambda: self._store.replace(after), self._observer):
            return
        self._observer.reached("webhook_recorded")
        result = "failed" if after.status is DeliveryStatus.PENDING else str(after.status)
        self._observer.counted("webhook_attempt", result=result)
        if after.status is DeliveryStatus.GIVEN_UP:
            _log.warning(
                "webhook %s to %s is given up after %d attempts; once its receiver is well, "
                "`saga deliveries %s --retry %d` sends it again",
                delivery.webhook_id,
                delivery.host,
                after.attempts_made,
                delivery.process_id,
                delivery.sequence,
            )

    async def _call(self, delivery: WebhookDelivery, at: int) -> CallOutcome:
        # The settings may have changed since the process was started.
        problem = self._policy.problem_with(delivery.url)
        if problem is not None:
            return CallOutcome(error=f"not called: the address {problem}")
        body = delivery.body.encode()
        try:
            return await self._caller.call(delivery.url, self._headers(delivery, body, at), body)
        except Exception:  # noqa: BLE001 - a defect of ours counts as an attempt: nothing is tried for ever
            _log.exception("webhook %s could not be sent", delivery.webhook_id)
            self._observer.counted("defect")
            return CallOutcome(error="not called: something went wrong here, see the logs")

    def _headers(self, delivery: WebhookDelivery, body: bytes, at: int) -> dict[str, str]:
        timestamp = at // 1_000
        return {
            "content-type": "application/json",
            "user-agent": "batuta",
            "webhook-id": delivery.webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(
                self._keys, webhook_id=delivery.webhook_id, timestamp=timestamp, body=body
            ),
            # CloudEvents in HTTP's binary mode, as they travel with the life events on the broker.
            "ce-specversion": "1.0",
            "ce-id": delivery.webhook_id,
            "ce-source": f"/process/{delivery.process_id}",
            "ce-type": delivery.kind,
            "ce-time": rfc3339(delivery.created_at),
            "traceparent": delivery.traceparent,
        }

    async def _purge(self) -> None:
        while True:
            with suppress(*TRANSIENT):
                before = self._clock.now() - KEPT_AFTER_END_MS
                for _ in range(PURGES_MAX):
                    if await self._store.purge(ended_before=before, limit=PURGE_LIMIT) < PURGE_LIMIT:
                        break
            await asyncio.sleep(PURGE_EVERY_S)

    async def _now(self) -> int:
        return self._clock.now()
