"""What every store of deliveries promises."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from saga.messages.json_text import JsonText
from saga.ports.deliveries import DeliveryAttempt, DeliveryStatus, WebhookDelivery
from tests.contract.factories import NASTY

if TYPE_CHECKING:
    from tests.contract.conftest import Store

NOW = 1_700_000_000_000


def delivery(process_id: str = "p", sequence: int = 7, *, due_at: int | None = NOW) -> WebhookDelivery:
    """Make a delivery that was never tried."""
    return WebhookDelivery(
        process_id=process_id,
        sequence=sequence,
        kind="process.trip.completed",
        url="https://hooks.example.com/a?b=c",
        host="hooks.example.com",
        body=JsonText('{"$set":{"a.b":1}}'),
        traceparent="00-1-2-01",
        created_at=NOW,
        due_at=due_at,
    )


async def leased(store: Store, *, now: int = NOW, limit: int = 10) -> list[tuple[str, int]]:
    """Lease for a minute, and name what was taken."""
    taken = await store.deliveries.lease_due(now=now, leased_until=now + 60_000, limit=limit)
    return [(one.process_id, one.sequence) for one in taken]


async def test_what_was_added_comes_back_equal(store: Store) -> None:
    """Whatever stands in it, and also with attempts."""
    attempts = (
        DeliveryAttempt(1, NOW, 17, 500, None),
        DeliveryAttempt(2, NOW, 15_000, None, NASTY),
    )
    given = replace(
        delivery(), body=JsonText(f'"{NASTY}"'), attempts=attempts, attempts_made=2, budget_from=1
    )
    await store.deliveries.add(given)
    assert await store.deliveries.get("p", 7) == given
    assert await store.deliveries.of_process("p") == [given]


async def test_a_second_copy_changes_nothing(store: Store) -> None:
    """A redelivered message adds what is there already, also what was sent since."""
    await store.deliveries.add(delivery())
    assert await leased(store) == [("p", 7)]
    before = await store.deliveries.get("p", 7)
    await asyncio.gather(*(store.deliveries.add(delivery(due_at=NOW - 5)) for _ in range(5)))
    assert await store.deliveries.get("p", 7) == before
    assert len(await store.deliveries.of_process("p")) == 1


async def test_copies_at_the_same_moment_are_one(store: Store) -> None:
    """Two coordinators that finish the same tail keep one delivery."""
    await asyncio.gather(*(store.deliveries.add(delivery()) for _ in range(8)))
    assert len(await store.deliveries.of_process("p")) == 1


async def test_the_deliveries_of_a_process_come_in_the_order_of_its_events(store: Store) -> None:
    """By number, and of no other process."""
    for process_id, sequence in (("p", 100), ("p", 9), ("p2", 1), ("p", 10), ("o", 3)):
        await store.deliveries.add(delivery(process_id, sequence))
    assert [one.sequence for one in await store.deliveries.of_process("p")] == [9, 10, 100]
    assert await store.deliveries.of_process("q") == []
    assert await store.deliveries.get("p", 1) is None


async def test_the_longest_due_is_leased_first(store: Store) -> None:
    """What is due later, or ended, is not leased at all."""
    for sequence, due_at in ((1, NOW), (2, NOW - 10), (3, NOW + 1), (4, None)):
        await store.deliveries.add(delivery(sequence=sequence, due_at=due_at))
    assert await leased(store, limit=1) == [("p", 2)]
    assert await leased(store) == [("p", 1)]
    assert await leased(store) == []


async def test_a_lease_ends(store: Store) -> None:
    """Who died while it called is followed by another one."""
    await store.deliveries.add(delivery())
    assert await leased(store) == [("p", 7)]
    assert await leased(store, now=NOW + 59_999) == []
    assert await leased(store, now=NOW + 60_000) == [("p", 7)]


async def test_no_two_callers_lease_the_same(store: Store) -> None:
    """Each due delivery is taken once, however many look at the same time."""
    for sequence in range(1, 21):
        await store.deliveries.add(delivery(sequence=sequence))
    taken = await asyncio.gather(*(leased(store, limit=20) for _ in range(4)))
    every = [one for some in taken for one in some]
    while more := await leased(store, limit=20):
        every += more
    assert sorted(every) == [("p", sequence) for sequence in range(1, 21)]


async def test_a_host_can_be_left_out(store: Store) -> None:
    """What waits for a busy host does not stand in the way of the others."""
    await store.deliveries.add(delivery(sequence=1, due_at=NOW - 10))
    await store.deliveries.add(replace(delivery(sequence=2), host="other.example.com"))
    taken = await store.deliveries.lease_due(
        now=NOW, leased_until=NOW + 1, limit=1, except_hosts={"hooks.example.com", "$ne"}
    )
    assert [one.sequence for one in taken] == [2]


async def test_only_the_next_version_replaces(store: Store) -> None:
    """Whose lease ended, and was taken by another, writes nothing any more."""
    await store.deliveries.add(delivery())
    (first,) = await store.deliveries.lease_due(now=NOW, leased_until=NOW + 10, limit=1)
    (second,) = await store.deliveries.lease_due(now=NOW + 10, leased_until=NOW + 20, limit=1)
    ended = {"status": DeliveryStatus.DELIVERED, "due_at": None, "ended_at": NOW + 15}
    after = replace(second, **ended, version=second.version + 1)  # type: ignore[arg-type]
    assert await store.deliveries.replace(replace(first, version=first.version + 1)) is False
    assert await store.deliveries.replace(after) is True
    assert await store.deliveries.replace(after) is False
    assert await store.deliveries.get("p", 7) == after
    assert await leased(store, now=NOW + 100_000) == []
    assert await store.deliveries.replace(replace(after, sequence=8)) is False


async def test_what_ended_long_ago_is_purged_in_bounded_batches(store: Store) -> None:
    """What is still to be sent stays, however old it is."""
    for sequence in range(1, 6):
        await store.deliveries.add(replace(delivery(sequence=sequence, due_at=None), ended_at=NOW + sequence))
    await store.deliveries.add(delivery(sequence=9, due_at=1))
    assert await store.deliveries.purge(ended_before=NOW + 4, limit=2) == 2
    assert await store.deliveries.purge(ended_before=NOW + 4, limit=2) == 1
    assert await store.deliveries.purge(ended_before=NOW + 4, limit=2) == 0
    assert [one.sequence for one in await store.deliveries.of_process("p")] == [4, 5, 9]
