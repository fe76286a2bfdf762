"""Kill -9 at every named point while processes have children, locks, items, questions: nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from pymongo import MongoClient

from tests.acceptance.test_crash_points import COORDINATOR_POINTS
from tests.acceptance.test_semantics import DEFINITIONS
from tests.acceptance.world import opened_world

if TYPE_CHECKING:
    from tests.acceptance.world import World

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

_LEGS = [{"to": f"x{number}"} for number in range(6)]
# Type, parameters beside the script, script, and the end that it must come to.
_MIX: tuple[tuple[str, dict[str, Any], dict[str, str], str], ...] = (
    ("parent", {"value": 1}, {}, "completed"),
    ("parent", {"value": 2}, {"behind": "refuse"}, "compensated"),
    ("parent", {"value": 3}, {"inner": "refuse"}, "compensated"),
    ("listing", {"legs": _LEGS}, {}, "completed"),
    ("listing", {"legs": _LEGS}, {"ticket[4]": "refuse"}, "compensated"),
    ("locked", {"account": "A", "other": "B"}, {}, "completed"),
    ("locked", {"account": "B", "other": "A"}, {"only": "refuse"}, "compensated"),
    ("joining", {"account": "J"}, {}, "completed"),
    ("choosing", {"price": 500}, {}, "completed"),
    ("asking", {}, {"pay": "lost:1"}, "completed"),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("passing", [1, pytest.param(31, marks=pytest.mark.faults)])
async def test_a_coordinator_killed_at_each_point_leaves_no_lock_and_no_child_behind(
    passing: int, amqp_url: str, mongodb_url: str
) -> None:
    """Each coordinator takes over from one that died; in the end all is settled and every lock is free."""
    async with opened_world(amqp_url, mongodb_url, DEFINITIONS) as world:
        server = world.deployment.add("coordinator")
        for point in COORDINATOR_POINTS:
            server.begin(crash_at=f"{point}:{passing}")
            if not world.expected:
                await server.ready()  # it declares the queues that the starts go to
            await _start_mix(world)
            assert await server.ended() == -signal.SIGKILL, point
        server.begin()
        await world.all_settle(within_s=150)
        await asyncio.to_thread(_check_store, world)
        _check_effects(world)


async def _start_mix(world: World) -> None:
    async with await aio_pika.connect(world.broker.url) as connection:
        channel = await connection.channel(on_return_raises=True)
        target = await channel.get_exchange(f"{world.broker.prefix}.commands", ensure=False)
        for process_type, parameters, words, end in _MIX:
            process_id = str(uuid.uuid4())
            world.expected[process_id] = end
            body = {
                "process_type": process_type,
                "process_id": process_id,
                "parameters": {**parameters, "script": words},
            }
            await target.publish(
                aio_pika.Message(json.dumps(body).encode(), delivery_mode=2), "process.start"
            )


def _check_store(world: World) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(world.deployment.mongodb_url, timeoutMS=30_000)
    with client:
        database = client[world.deployment.database]
        ends = {found["_id"]: found["status"] for found in database["processes"].find({}, {"status": 1})}
        wrong = {one: ends.get(one) for one, end in world.expected.items() if ends.get(one) != end}
        assert wrong == {}
        assert list(database["locks"].find({})) == []
        children = database["processes"].count_documents({"process_type": "child"})
        parents = database["processes"].count_documents({"process_type": "parent"})
        assert children == parents, "one child for each attempt, and each step was tried once"


def _check_effects(world: World) -> None:
    """Of a compensated process every effect has its undo; of a completed one none has."""
    ledger = world.participants.ledger
    for process_id, end in world.expected.items():
        effects = {key for key in ledger.effects if key.startswith(f"{process_id}.")}
        done = {key.removesuffix(".a") for key in effects if key.endswith(".a")}
        undone = {key.removesuffix(".c") for key in effects if key.endswith(".c")}
        assert undone == (done if end == "compensated" else set()), process_id
