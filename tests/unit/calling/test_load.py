"""How the load is shared among good and bad addresses: over scripted services, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter

from saga.calling.caller import CallLimits
from tests.unit.calling.scripted import World, hangs, run, says


def test_no_address_has_more_calls_than_its_limit_and_the_rest_waits() -> None:
    """Thirty commands for two addresses that take five each: all are carried out."""

    async def test(world: World) -> None:
        replies = await asyncio.gather(*(world.command() for _ in range(30)))
        assert all(isinstance(reply, dict) and "output" in reply for reply in replies)
        assert world.services.most == {"a": 5, "b": 5}

    run(test, CallLimits(at_once=5), a=says(200, after_s=1), b=says(200, after_s=1))


def test_one_that_hangs_and_one_that_answers_500_cost_no_process_its_end() -> None:
    """Three addresses, one is well: every step completes, and within seconds all load goes to the good one."""

    async def test(world: World) -> None:
        steps = []
        for number in range(100):
            steps.append(asyncio.create_task(world.step(number=number)))
            await asyncio.sleep(0.05)
        assert Counter(await asyncio.gather(*steps)) == {"completed": 100}
        late = [
            host
            for host, command, _ in world.services.calls
            if int(command["process_id"][1:]) >= 40 and command["attempt"] == 1
        ]
        assert late.count("good") >= len(late) - 3

    run(test, hanging=hangs, failing=says(500), good=says(200, after_s=0.02))


def test_one_process_after_the_other_completes_too() -> None:
    """With little load each try of a bad address is felt, but none of the processes meets it twice in a row."""

    async def test(world: World) -> None:
        ends = [await world.step(number=number) for number in range(12)]
        assert Counter(ends) == {"completed": 12}

    run(test, hanging=hangs, failing=says(500), good=says(200, after_s=0.02))


def test_a_burst_at_the_start_costs_no_process_its_end() -> None:
    """Two hundred commands at once, before anything is known of the addresses; some of them hang."""

    async def test(world: World) -> None:
        ends = await asyncio.gather(*(world.step(number=number) for number in range(200)))
        assert Counter(ends) == {"completed": 200}
        assert world.services.most["hanging"] <= 3

    run(test, hanging=hangs, failing=says(500), good=says(200, after_s=0.1))
