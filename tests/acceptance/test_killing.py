"""Kill, freeze and restart everything while processes run: each ends rightly, and no promise is broken."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from tests.acceptance.world import opened_world
from tests.support.rabbit_server import QUORUM_QUEUE_SETTLES_AFTER_S
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.world import World
    from tests.support.deployment import SagaServer
    from tests.support.mongo_server import MongoServer
    from tests.support.rabbit_server import RabbitServer

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
SHUTDOWN_GRACE_S = 8.0
# Beyond the grace, what an interpreter needs to end on a busy machine.
EXIT_SLACK_S = 4.0
WORKERS = "coordinator"


@pytest.mark.timeout(180)
async def test_sixty_processes_survive_coordinators_that_are_killed(amqp_url: str, mongodb_url: str) -> None:
    """Two coordinators, killed and replaced four times at random moments (SEED repeats them)."""
    async with opened_world(amqp_url, mongodb_url) as world:
        await _run_under_fire(world, coordinators=2, processes=60, kills=4)


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_five_hundred_processes_survive_coordinators_that_are_killed(
    amqp_url: str, mongodb_url: str
) -> None:
    """Three coordinators, killed and replaced thirty times while work keeps coming in."""
    async with opened_world(amqp_url, mongodb_url) as world:
        await _run_under_fire(world, coordinators=3, processes=500, kills=30)


async def _run_under_fire(world: World, *, coordinators: int, processes: int, kills: int) -> None:
    chance = random.Random(SEED)
    print(f"SEED={SEED}")  # noqa: T201 - shown where the test fails, to repeat it
    servers = [await world.deployment.serve(WORKERS) for _ in range(coordinators)]
    share = processes // (kills + 1)
    for _ in range(kills):
        await world.start_mix(share)
        victim = chance.choice(servers)
        await _passed(world, chance.randrange(1, 6 * share))
        victim.kill()
        victim.begin()
        if chance.random() < 0.5:
            await victim.ready()
    await world.start_mix(processes - share * kills)
    await world.all_settle(within_s=180)
    await world.judge()


async def _passed(world: World, arrivals: int) -> None:
    """Wait until so many more commands arrived, or until nothing comes any more."""
    ledger = world.participants.ledger
    goal = len(ledger.arrivals) + arrivals
    seen, since = len(ledger.arrivals), time.monotonic()

    def is_reached() -> bool:
        nonlocal seen, since
        if len(ledger.arrivals) != seen:
            seen, since = len(ledger.arrivals), time.monotonic()
        return len(ledger.arrivals) >= goal or time.monotonic() - since > 3

    await eventually(is_reached, within_s=120)


@pytest.mark.timeout(180)
async def test_a_server_that_is_told_to_stop_finishes_and_loses_nothing(
    amqp_url: str, mongodb_url: str
) -> None:
    """SIGTERM in the middle of work: it exits with 0 within its grace, and another one goes on."""
    async with opened_world(amqp_url, mongodb_url) as world:
        first = await world.deployment.serve(WORKERS, SAGA_SHUTDOWN_GRACE=str(SHUTDOWN_GRACE_S))
        await world.start_mix(60)
        await _passed(world, 20)
        told_at = time.monotonic()
        first.terminate()
        assert await first.ended() == 0
        assert time.monotonic() - told_at < SHUTDOWN_GRACE_S + EXIT_SLACK_S
        await world.deployment.serve(WORKERS)
        await world.all_settle()
        await world.judge()


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_a_frozen_coordinator_does_no_harm_when_it_thaws(amqp_url: str, mongodb_url: str) -> None:
    """Ten seconds of SIGSTOP in the middle of work; the other coordinator and the thawed one agree."""
    async with opened_world(amqp_url, mongodb_url) as world:
        frozen, other = await world.deployment.serve(WORKERS), await world.deployment.serve(WORKERS)
        await world.start_mix(120)
        await _passed(world, 40)
        frozen.pause()
        await world.start_mix(60)
        await asyncio.sleep(10)  # the fault itself takes this long
        frozen.resume()
        await world.start_mix(60)
        await world.all_settle(within_s=180)
        assert other.is_running()
        await world.judge()


@pytest.mark.timeout(240)
async def test_processes_survive_a_restart_of_everything(
    own_rabbit: RabbitServer, own_mongo: MongoServer
) -> None:
    """Broker, store and coordinator are killed in the middle of work, and all goes on where it was."""
    async with opened_world(own_rabbit.url, own_mongo.url) as world:
        server = await _settled_server(world)
        await world.start_mix(36)
        await _passed(world, 30)
        server.kill()
        await asyncio.to_thread(own_rabbit.kill)
        await asyncio.to_thread(own_mongo.kill)
        await asyncio.gather(asyncio.to_thread(own_rabbit.start), asyncio.to_thread(own_mongo.start))
        server.begin()
        await world.all_settle(within_s=120)
        await world.judge()


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_a_broker_that_is_killed_loses_nothing(
    own_rabbit: RabbitServer, own_mongo: MongoServer
) -> None:
    """Two times kill -9 of the broker under a running coordinator, which needs no restart."""
    async with opened_world(own_rabbit.url, own_mongo.url) as world:
        await _settled_server(world)
        for _ in range(2):
            await world.start_mix(60)
            await _passed(world, 60)
            await asyncio.to_thread(own_rabbit.kill)
            await asyncio.to_thread(own_rabbit.start)
        await world.all_settle(within_s=180)
        await world.judge()


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_a_store_that_is_killed_loses_nothing(own_rabbit: RabbitServer, own_mongo: MongoServer) -> None:
    """Two times kill -9 of mongod under a running coordinator, which needs no restart."""
    async with opened_world(own_rabbit.url, own_mongo.url) as world:
        await _settled_server(world)
        for _ in range(2):
            await world.start_mix(60)
            await _passed(world, 60)
            await asyncio.to_thread(own_mongo.kill)
            await asyncio.to_thread(own_mongo.start)
        await world.all_settle(within_s=180)
        await world.judge()


@pytest.mark.timeout(180)
async def test_two_coordinators_keep_to_their_processes_and_one_takes_over_from_the_other(
    amqp_url: str, mongodb_url: str
) -> None:
    """A process stays where it began; when its coordinator is killed for good, the other goes on with it."""
    async with opened_world(amqp_url, mongodb_url) as world:
        lives = await world.deployment.serve("coordinator")
        dies = await world.deployment.serve("coordinator")
        await world.start_mix(60)
        await world.all_settle()
        writers = await asyncio.to_thread(_writers_without_timers, mongodb_url, world.deployment.database)
        assert all(len(each) == 1 for each in writers.values())
        assert len(set().union(*writers.values())) == 2  # both have worked

        await world.start_mix(60)
        await _passed(world, 150)
        dies.kill()
        await world.all_settle(within_s=60)

        assert lives.is_running()
        await world.judge()


def _writers_without_timers(url: str, database: str) -> dict[str, set[str]]:
    """Say who wrote the log of each process that met no timer: those may be taken by anybody."""
    client: MongoClient[dict[str, Any]] = MongoClient(url, timeoutMS=30_000)
    writers: defaultdict[str, set[str]] = defaultdict(set)
    with client:
        events = client[database]["events"]
        woken = set(events.distinct("p", {"$or": [{"cause.kind": "wake"}, {"causes.kind": "wake"}]}))
        for document in events.find({}, {"p": 1, "by": 1}):
            if document["p"] not in woken:
                writers[document["p"]].add(document["by"])
    return dict(writers)


async def _settled_server(world: World) -> SagaServer:
    """Start a server and wait until its queues are old enough to survive a kill of this broker."""
    server = await world.deployment.serve(WORKERS)
    await asyncio.sleep(QUORUM_QUEUE_SETTLES_AFTER_S)
    return server
