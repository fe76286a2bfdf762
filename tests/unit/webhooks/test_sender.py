"""The sender in virtual time: what it takes, when it calls again, and that nothing is lost or tried for ever."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from saga.errors import StoreUnavailable
from saga.ports.deliveries import CallOutcome, DeliveryStatus
from saga.testing import InMemoryDeliveryStore, LoopClock, VirtualTimeLoop
from saga.webhooks import verify_signature
from saga.webhooks.deciding import ATTEMPTS_MAX, sent_again
from saga.webhooks.policy import CallbackPolicy
from saga.webhooks.sender import AT_ONCE_MAX, AT_ONCE_PER_HOST, KEPT_AFTER_END_MS, LEASE_MS, WebhookSender
from saga.webhooks.signature import parse_secret
from tests.contract.test_deliveries import NOW, delivery
from tests.integration.coordinator_world import Watch
from tests.unit.webhooks.test_signature import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence

    from saga.ports.deliveries import WebhookDelivery

HOUR_S = 3_600
EVERYBODY = CallbackPolicy(hosts=("*",))


@dataclass
class Receiver:
    """Answer in turn what a test wants, the last of it for ever; a call may take its time."""

    answers: list[CallOutcome | Exception] = field(default_factory=lambda: [CallOutcome(204)])
    takes_s: float = 0.0
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    hosts_that_hang: tuple[str, ...] = ()
    at_once: int = 0
    most_at_once: int = 0

    async def call(self, url: str, headers: Mapping[str, str], body: bytes) -> CallOutcome:
        """Take a call."""
        self.calls.append((url, dict(headers), body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            hangs = any(host in url for host in self.hosts_that_hang)
            await asyncio.sleep(15 if hangs else self.takes_s)
        finally:
            self.at_once -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class World:
    """A store, a receiver and senders, in virtual time."""

    store: InMemoryDeliveryStore
    receiver: Receiver
    clock: LoopClock

    @asynccontextmanager
    async def sending(self, policy: CallbackPolicy = EVERYBODY) -> AsyncIterator[WebhookSender]:
        """Run a sender as long as the block lasts."""
        sender = WebhookSender(
            store=self.store,
            caller=self.receiver,
            policy=policy,
            keys=[parse_secret(SECRET)],
            clock=self.clock,
            observer=Watch(),
        )
        stopping = asyncio.Event()
        running = asyncio.create_task(sender.run(stopping, grace_s=60))
        try:
            yield sender
        finally:
            stopping.set()
            await running

    async def stored(self, sequence: int = 7) -> WebhookDelivery:
        """Read a delivery back."""
        found = await self.store.get("p", sequence)
        assert found is not None
        return found


def in_virtual_time(
    scene: Callable[[World], Coroutine[None, None, None]],
    receiver: Receiver | None = None,
    store: InMemoryDeliveryStore | None = None,
) -> None:
    """Play a scene where hours cost nothing."""

    async def play() -> None:
        await scene(World(store or InMemoryDeliveryStore(), receiver or Receiver(), LoopClock(NOW)))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())


def test_what_is_due_is_sent_once_and_signed() -> None:
    """The receiver can verify it, knows it by its id, and is told what it is."""

    async def scene(world: World) -> None:
        await world.store.add(delivery())
        async with world.sending():
            await asyncio.sleep(HOUR_S)
        ((url, headers, body),) = world.receiver.calls
        assert url == "https://hooks.example.com/a?b=c"
        assert verify_signature(headers, body, SECRET, now=NOW // 1_000) == "p:7"
        assert json.loads(body) == {"$set": {"a.b": 1}}
        assert (headers["ce-type"], headers["ce-id"]) == ("process.trip.completed", "p:7")
        assert (await world.stored()).status is DeliveryStatus.DELIVERED

    in_virtual_time(scene)


def test_what_is_added_meanwhile_is_sent_at_once_when_it_is_told_of() -> None:
    """And within a second where it was added by another server."""

    async def scene(world: World) -> None:
        async with world.sending() as sender:
            await asyncio.sleep(0.5)
            await world.store.add(delivery())
            sender.wake()
            await asyncio.sleep(0.01)
            assert len(world.receiver.calls) == 1
            await world.store.add(delivery(sequence=8))
            await asyncio.sleep(1.01)
            assert len(world.receiver.calls) == 2

    in_virtual_time(scene)


def test_the_same_bytes_and_the_same_id_are_sent_until_they_are_taken() -> None:
    """The time and the signature are those of each call."""

    async def scene(world: World) -> None:
        await world.store.add(delivery())
        async with world.sending():
            await asyncio.sleep(HOUR_S)
        assert len(world.receiver.calls) == 4
        assert len({(url, headers["webhook-id"], body) for url, headers, body in world.receiver.calls}) == 1
        times = [int(headers["webhook-timestamp"]) for _, headers, _ in world.receiver.calls]
        assert times == sorted(set(times))
        for (_, headers, body), at in zip(world.receiver.calls, times, strict=True):
            verify_signature(headers, body, SECRET, now=at)
        stored = await world.stored()
        assert [(one.status, one.error) for one in stored.attempts] == [
            (500, None), (None, "no answer within 15 s"), (302, None), (200, None),
        ]  # fmt: skip

    answers = [
        CallOutcome(500),
        CallOutcome(error="no answer within 15 s"),
        CallOutcome(302),
        CallOutcome(200),
    ]
    in_virtual_time(scene, Receiver([*answers]))


def test_what_is_never_taken_is_given_up_and_can_be_sent_again() -> None:
    """Nothing is tried for ever, also where our own code breaks at each call."""

    async def scene(world: World) -> None:
        await world.store.add(replace(delivery(), attempts_made=ATTEMPTS_MAX - 1))
        async with world.sending():
            await asyncio.sleep(HOUR_S)
            assert len(world.receiver.calls) == 1
            given_up = await world.stored()
            assert given_up.status is DeliveryStatus.GIVEN_UP
            assert await world.store.replace(sent_again(given_up, now=world.clock.now()))
            await asyncio.sleep(10)
            assert len(world.receiver.calls) == 3

    for answer in (CallOutcome(503), RuntimeError("a defect")):
        in_virtual_time(scene, Receiver([answer]))


def test_a_call_that_was_broken_off_is_made_again_when_its_lease_ends() -> None:
    """A server that dies in the middle of a call leaves it to the others."""

    async def scene(world: World) -> None:
        await world.store.add(delivery())
        taken = await world.store.lease_due(now=NOW, leased_until=NOW + LEASE_MS, limit=1)
        assert len(taken) == 1  # and its server dies here
        async with world.sending():
            await asyncio.sleep(LEASE_MS / 1_000 - 1)
            assert world.receiver.calls == []
            await asyncio.sleep(2.5)
            assert len(world.receiver.calls) == 1
        assert (await world.stored()).status is DeliveryStatus.DELIVERED

    in_virtual_time(scene)


def test_two_senders_share_the_work() -> None:
    """Each delivery is sent by one of them."""

    async def scene(world: World) -> None:
        for sequence in range(1, 101):
            await world.store.add(delivery(sequence=sequence))
        async with world.sending(), world.sending():
            await asyncio.sleep(HOUR_S)
        assert sorted(headers["webhook-id"] for _, headers, _ in world.receiver.calls) == sorted(
            f"p:{sequence}" for sequence in range(1, 101)
        )

    in_virtual_time(scene, Receiver(takes_s=0.2))


def test_a_host_that_hangs_does_not_stand_in_the_way_of_others() -> None:
    """A thousand deliveries wait for it, and one for another host is sent within a second."""

    async def scene(world: World) -> None:
        for sequence in range(1, 1_001):
            await world.store.add(delivery(sequence=sequence, due_at=NOW - 1_000))
        async with world.sending():
            await asyncio.sleep(3)
            assert world.receiver.at_once <= 2 * AT_ONCE_PER_HOST
            quick = replace(delivery("q"), url="https://quick.example.com/", host="quick.example.com")
            await world.store.add(quick)
            await asyncio.sleep(1.01)
            assert world.receiver.calls[-1][0] == "https://quick.example.com/"

    in_virtual_time(scene, Receiver(hosts_that_hang=("hooks.example.com",)))


def test_no_more_than_a_bound_are_under_way() -> None:
    """However many hosts there are."""

    async def scene(world: World) -> None:
        for sequence in range(1, 201):
            await world.store.add(replace(delivery(sequence=sequence), host=f"h{sequence}.example.com"))
        async with world.sending():
            await asyncio.sleep(HOUR_S)
        assert len(world.receiver.calls) == 200
        assert AT_ONCE_PER_HOST < world.receiver.most_at_once <= AT_ONCE_MAX

    in_virtual_time(scene, Receiver(takes_s=1.0))


def test_a_host_that_is_no_longer_allowed_is_not_called() -> None:
    """The settings at the time of the call count; the record says why."""

    async def scene(world: World) -> None:
        await world.store.add(delivery())
        async with world.sending(CallbackPolicy(hosts=("other.example.com",))):
            await asyncio.sleep(10)
        assert world.receiver.calls == []
        stored = await world.stored()
        assert stored.status is DeliveryStatus.PENDING
        assert "SAGA_WEBHOOK_HOSTS" in str(stored.attempts[0].error)

    in_virtual_time(scene)


def test_who_stops_finishes_the_calls_under_way() -> None:
    """What was called is recorded; nothing new is taken."""

    async def scene(world: World) -> None:
        await world.store.add(delivery())
        async with world.sending():
            await asyncio.sleep(0.1)
            await world.store.add(delivery(sequence=8))
        assert (await world.stored()).status is DeliveryStatus.DELIVERED
        assert (await world.stored(8)).attempts == ()

    in_virtual_time(scene, Receiver(takes_s=5.0))


class MoodyStore(InMemoryDeliveryStore):
    """A store that is away at first, and holds what can't be read after that."""

    def __init__(self) -> None:
        super().__init__()
        self.moods: list[Exception] = [StoreUnavailable("away")] * 3 + [KeyError("damaged")] * 3

    async def lease_due(
        self, *, now: int, leased_until: int, limit: int, except_hosts: Collection[str] = ()
    ) -> Sequence[WebhookDelivery]:
        """Fail as long as it is in the mood."""
        if self.moods:
            raise self.moods.pop()
        return await super().lease_due(
            now=now, leased_until=leased_until, limit=limit, except_hosts=except_hosts
        )


def test_trouble_with_the_store_ends_nothing() -> None:
    """The sender looks again each second."""

    async def scene(world: World) -> None:
        await world.store.add(delivery())
        async with world.sending():
            await asyncio.sleep(10)
        assert (await world.stored()).status is DeliveryStatus.DELIVERED

    in_virtual_time(scene, store=MoodyStore())


def test_what_ended_is_kept_for_thirty_days() -> None:
    """Then it goes, also where thousands ended on one day; what is not delivered yet stays."""

    async def scene(world: World) -> None:
        ended_at = NOW - KEPT_AFTER_END_MS + 60_000
        for sequence in range(1, 1_101):
            await world.store.add(replace(delivery(sequence=sequence, due_at=None), ended_at=ended_at))
        await world.store.add(delivery(sequence=2_000, due_at=NOW + 10**12))
        async with world.sending():
            await asyncio.sleep(59)
            assert len(await world.store.of_process("p")) == 1_101
            await asyncio.sleep(HOUR_S)
            assert [one.sequence for one in await world.store.of_process("p")] == [2_000]

    in_virtual_time(scene)
