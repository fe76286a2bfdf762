"""What a coordinator keeps for the callback address of a process, and when."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from saga.coordinator.callbacks import Callbacks
from saga.errors import StoreUnavailable
from saga.testing import InMemoryDeliveryStore
from tests.integration.coordinator_world import ID, Handed, Watch, World, reply, start
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.messages.json_text import Json, JsonObject
    from saga.ports.deliveries import WebhookDelivery
    from tests.integration.coordinator_world import Member

URL = "https://hooks.example.com/done"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


def asked(word: str, **more: Any) -> Handed:
    """Make a request of a person."""
    body = json.dumps({"process_id": ID, "reason": "a person said so", "request_id": word, **more})
    return Handed(f"process.{word}", body.encode(), exchange="saga.commands")


async def told(world: World) -> list[tuple[int, str]]:
    """Name what is kept for the receiver."""
    return [
        (one.sequence, json.loads(one.body)["status"]) for one in await world.store.deliveries.of_process(ID)
    ]


async def test_the_end_is_kept_once_however_often_its_message_comes(world: World) -> None:
    """A redelivery to another coordinator keeps it again, which changes nothing."""
    one, other = await world.member(), await world.member()
    await one.handle(start(callback_url=URL))
    await one.handle(reply("completed", "one.a1"))
    assert await told(world) == []
    await one.handle(reply("completed", "two.a1"))
    await other.handle(reply("completed", "two.a1"))
    await one.handle(reply("completed", "two.a1"))
    assert await told(world) == [(await world.version(), "completed")]
    (delivery,) = await world.store.deliveries.of_process(ID)
    assert (delivery.url, delivery.host) == (URL, "hooks.example.com")
    assert delivery.due_at == world.clock.now()


async def test_what_a_server_ended_that_keeps_nothing_is_kept_when_its_message_comes_again(
    world: World,
) -> None:
    """An older version, say, that died before it acknowledged."""
    older, one = await world.member(), await world.member()
    older.handler._parts = replace(older.handler._parts, callbacks=None)
    for message in (start(callback_url=URL), reply("completed", "one.a1"), reply("completed", "two.a1")):
        await older.handle(message)
    assert await told(world) == []
    await one.handle(reply("completed", "two.a1"))
    assert await told(world) == [(7, "completed")]


async def test_of_a_process_without_an_address_nothing_is_kept(world: World) -> None:
    """And nothing is looked at."""
    one = await world.member()
    for message in (start(), reply("completed", "one.a1"), reply("completed", "two.a1")):
        await one.handle(message)
    assert await world.version() == 7
    assert "webhook_kept" not in one.watch.points
    assert await told(world) == []


async def test_a_suspension_and_what_a_person_makes_of_it_are_both_told(world: World) -> None:
    """Each is an event of its own, under a number of its own."""
    one = await world.member()
    await one.handle(start(callback_url=URL))
    await one.handle(reply("completed", "one.a1"))
    final: Json = {"code": "refused", "retryable": False}
    await one.handle(reply("failed", "two.a1", error=final))
    await one.handle(reply("failed", "one.c1", error=final))
    await one.handle(asked("fail"))
    assert [status for _, status in await told(world)] == ["suspended", "failed"]
    suspended, failed = await world.store.deliveries.of_process(ID)
    assert json.loads(suspended.body)["data"]["reason"]
    assert json.loads(failed.body)["data"] == {"reason": "a person said so"}


async def test_a_process_that_was_undone_says_so(world: World) -> None:
    """Also where it turned back by a person's word."""
    one = await world.member()
    await one.handle(start(callback_url=URL))
    await one.handle(asked("cancel"))
    await one.handle(reply("completed", "one.a1"))
    await one.handle(reply("completed", "one.c1"))
    assert [status for _, status in await told(world)] == ["compensated"]


async def test_a_start_over_the_broker_with_an_address_that_is_not_allowed_is_a_dead_letter(
    world: World,
) -> None:
    """Whole, with the reason; no process begins."""
    one = await world.member()
    await one.consume()
    for url in ("https://other.example.com/", "http://127.0.0.1/", "nonsense"):
        body: JsonObject = {
            "process_type": "two_steps",
            "parameters": {},
            "process_id": ID,
            "callback_url": url,
        }
        await world.put("process.start", body)
    await world.quiet()
    assert world.dead_letters() == ["callback-refused"] * 3
    assert await world.events() == []


async def test_a_start_that_another_server_accepted_is_begun_whatever_is_allowed_here(world: World) -> None:
    """What was promised with 202 is kept; whether it is called is seen at the call."""
    one, other = await world.member(), await world.member()
    await one.handle(start(callback_url=URL))
    other.handler._parts = replace(
        other.handler._parts, may_call_back=type(one.handler._parts.may_call_back)()
    )
    await other.handle(start(callback_url=URL))
    await other.handle(reply("completed", "one.a1"))
    assert world.dead_letters() == []
    assert (await world.events())[0] == "accepted"


class Gate(InMemoryDeliveryStore):
    """A store that is away, and then keeps nothing before it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()
        self.asked = 0

    async def add(self, delivery: WebhookDelivery) -> None:
        """Fail once, then wait."""
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("away")
        await self.opened.wait()
        await super().add(delivery)


def behind(member: Member, gate: Gate) -> None:
    """Have a coordinator keep what is to be told behind a gate."""
    callbacks = Callbacks(gate, Watch(), on_kept=lambda: None)
    member.handler._parts = replace(member.handler._parts, callbacks=callbacks)


async def test_nothing_projects_an_end_before_what_is_to_be_told_is_kept(world: World) -> None:
    """Or a crash in between would lose it: a later message of the process waits too."""
    one = await world.member()
    gate = Gate()
    behind(one, gate)
    await one.handle(start(callback_url=URL))
    await one.handle(reply("completed", "one.a1"))
    ending = asyncio.create_task(one.handle(reply("completed", "two.a1")))
    await eventually(lambda: gate.asked == 2, what="it is kept at the second try")
    late = asyncio.create_task(one.handle(reply("failed", "two.a1", error={"code": "late"})))
    await asyncio.sleep(0.05)
    assert (await world.version(), ending.done(), late.done()) == (5, False, False)
    assert (await world.events())[-1] == "completed"
    gate.opened.set()
    await asyncio.gather(ending, late)
    assert len(await gate.of_process(ID)) == 1
    assert await world.version() >= 7
