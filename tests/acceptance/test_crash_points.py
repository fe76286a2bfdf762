"""Kill -9 at every named point of the protocol: nothing is lost, nothing decided twice."""

from __future__ import annotations

import signal
import uuid

import httpx
import pytest

from tests.acceptance.world import opened_world
from tests.support.scripted_participant import script
from tests.support.waiting import eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

COORDINATOR_POINTS = (
    "received", "decided", "append_sent", "appended", "published", "confirmed", "projected", "acked",
)  # fmt: skip
LATER = 37
PROCESSES = 24


@pytest.mark.timeout(300)
@pytest.mark.parametrize("passing", [1, pytest.param(LATER, marks=pytest.mark.faults)])
async def test_a_coordinator_killed_at_each_point_in_turn_loses_nothing(
    passing: int, amqp_url: str, mongodb_url: str
) -> None:
    """Each coordinator takes over from one that died, gets work of its own and dies at the next point."""
    async with opened_world(amqp_url, mongodb_url) as world:
        server = world.deployment.add("coordinator")
        for point in COORDINATOR_POINTS:
            server.begin(crash_at=f"{point}:{passing}")
            if not world.expected:
                await server.ready()  # it declares the queues that the starts go to
            await world.start_mix(PROCESSES)
            assert await server.ended() == -signal.SIGKILL, point
        server.begin()
        await world.all_settle(within_s=120)
        await world.judge()


@pytest.mark.faults
@pytest.mark.timeout(180)
@pytest.mark.parametrize("passing", [1, LATER])
@pytest.mark.parametrize("point", COORDINATOR_POINTS)
async def test_a_coordinator_killed_at_one_point_loses_nothing(
    point: str, passing: int, amqp_url: str, mongodb_url: str
) -> None:
    """One coordinator dies at the point and comes back; every process ends rightly, no promise is broken."""
    async with opened_world(amqp_url, mongodb_url) as world:
        server = world.deployment.add("coordinator")
        server.begin(crash_at=f"{point}:{passing}")
        await server.ready()
        await world.start_mix(PROCESSES)
        assert await server.ended() == -signal.SIGKILL
        server.begin()
        await world.all_settle()
        await world.judge()


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("passing", [1, LATER, 150])
@pytest.mark.parametrize("point", COORDINATOR_POINTS)
async def test_three_coordinators_that_die_at_one_point_lose_nothing(
    point: str, passing: int, amqp_url: str, mongodb_url: str
) -> None:
    """Three coordinators share the work, each dies at the point and comes back; no promise is broken."""
    async with opened_world(amqp_url, mongodb_url) as world:
        servers = [world.deployment.add("coordinator") for _ in range(3)]
        for server in servers:
            server.begin(crash_at=f"{point}:{passing}")
        for server in servers:
            await server.ready()
        await world.start_mix(240)
        await eventually(lambda: any(not server.is_running() for server in servers), within_s=60)
        for server in servers:
            if not server.is_running():
                assert server.exit_code == -signal.SIGKILL
                server.begin()
        await world.all_settle(within_s=120)
        await world.judge()


@pytest.mark.timeout(300)
async def test_an_api_killed_at_any_point_keeps_what_it_accepted(amqp_url: str, mongodb_url: str) -> None:
    """It dies over starts, again and again; repeated with the same keys, each is one process that ends."""
    async with opened_world(amqp_url, mongodb_url) as world:
        await world.deployment.serve("coordinator")
        api = world.deployment.add("api")
        accepted: dict[str, str | None] = {}
        for crash_at in ("accepted:1", "published:1", "accepted:7", "published:7"):
            api.begin(crash_at=crash_at)
            await api.ready()
            while api.is_running():
                key = f"key-{uuid.uuid4()}"
                accepted[key] = await _started(api.url, key)
            assert api.exit_code == -signal.SIGKILL
        # At `published` it dies a moment later, when the message is on its way: the answer may still get out.
        assert list(accepted.values()).count(None) >= 2
        api.begin()
        await api.ready()
        for key, first in accepted.items():
            again = await _started(api.url, key)
            assert again is not None
            assert first in (None, again)
            world.expected[again] = "completed"
        assert len(world.expected) == len(accepted)
        await world.all_settle()
        await world.judge()


async def _started(url: str, key: str) -> str | None:
    """Start a process; None where the server died over it."""
    body = {"process_type": "document_analysis", "parameters": script(analysis="fail:1")}
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            answer = await client.post("/process", json=body, headers={"Idempotency-Key": key})
    except httpx.TransportError:
        return None
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["process_id"])
