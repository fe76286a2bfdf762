"""Drawn sagas against the real command, with participants that misbehave as the contract allows.

A failure prints the definitions, the script and what was wrong. `SAGA_TEST_SAGA=<seed>` plays that one alone,
`SEED=<number>` another forty from there on.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.acceptance.world import opened_world
from tests.support.random_case import Case, family
from tests.support.random_judge import check_commands, judge_family
from tests.support.random_participants import RandomParticipants, fencing_steps
from tests.support.random_people import People
from tests.support.random_sagas import SERVICES, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.world import World
    from tests.support.deployment import SagaServer
    from tests.support.random_sagas import RandomSaga

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

ALONE = os.environ.get("SAGA_TEST_SAGA")
FIRST = int(os.environ.get("SEED", "1"))
SEEDS = [int(ALONE)] if ALONE else list(range(FIRST, FIRST + 40))


@pytest.mark.timeout(240)
async def test_drawn_sagas_end_as_they_must(amqp_url: str, mongodb_url: str) -> None:
    """Forty at once: order, conditions, inputs, attempts, undo and end are those of their definitions."""
    await _play(amqp_url, mongodb_url, [draw(seed) for seed in SEEDS], kills=0)


@pytest.mark.faults
@pytest.mark.timeout(400)
async def test_drawn_sagas_end_as_they_must_while_their_server_is_killed(
    amqp_url: str, mongodb_url: str
) -> None:
    """The same with kill -9 of the only server, five times while they run."""
    await _play(amqp_url, mongodb_url, [draw(seed) for seed in SEEDS], kills=5)


async def _play(amqp_url: str, mongodb_url: str, sagas: Sequence[RandomSaga], *, kills: int) -> None:
    definitions = [definition for saga in sagas for definition in saga.definitions]
    script = {name: words for saga in sagas for name, words in saga.script.items()}
    async with opened_world(amqp_url, mongodb_url, definitions) as world, world.participants.absent():
        prefix, fencing = world.deployment.prefix, fencing_steps(definitions)
        async with RandomParticipants(amqp_url, prefix, SERVICES, script, fencing) as participants:
            server = await world.deployment.serve()
            people = People(server.url, world.broker, participants, sagas)
            await people.start_all()
            killing = asyncio.create_task(_kill(server, participants, kills))
            documents = await people.attend(killing, within_s=60 + 10 * kills)
            await killing
            _judge(world, people, documents, is_disturbed=kills > 0)


async def _kill(server: SagaServer, participants: RandomParticipants, kills: int) -> None:
    """Kill the server at random moments of its work, and bring it back."""
    chance = random.Random(FIRST)
    for _ in range(kills):
        goal = len(participants.record.arrivals) + chance.randrange(1, 60)
        for _ in range(40):  # two seconds at most: sometimes nothing more arrives
            if len(participants.record.arrivals) >= goal:
                break
            await asyncio.sleep(0.05)
        server.kill()
        server.begin()
        await server.ready()


def _judge(world: World, people: People, documents: list[dict[str, Any]], *, is_disturbed: bool) -> None:
    record = people.participants.record
    by_run = {saga.run: saga for saga in people.sagas}
    types = {str(one["process_type"]): dict(one) for one in world.deployment.definitions}
    cases = {
        one["process_id"]: Case(
            by_run[one["parameters"]["run"]], types[one["process_type"]], one, record, people.signals
        )
        for one in documents
    }
    for arrival in record.arrivals:
        command = arrival.command
        effort = (command["step"], command.get("index"), command["kind"])
        found = cases[command["process_id"]].arrivals.setdefault(effort, {})
        found.setdefault(command["attempt"], arrival)
    roots, strays = family(cases, people.roots)
    assert {case.saga.run for case in roots} == set(by_run), "some were never there"
    assert strays == [], "these belong to nobody"
    assert check_commands(record.arrivals) == []
    problems: dict[str, list[str]] = {}
    for root in roots:
        is_cancelled = root.saga.run in people.cancelled
        wrong = judge_family(root, is_disturbed=is_disturbed, is_cancelled=is_cancelled)
        if wrong:
            problems[root.saga.run] = wrong
    print(f"ends: {dict(Counter(case.status for case in cases.values()))}")  # noqa: T201 - shown at a failure
    assert not problems, "\n\n".join(
        _story(by_run[run], wrong, [case for case in cases.values() if case.saga.run == run])
        for run, wrong in problems.items()
    )


def _story(saga: RandomSaga, problems: list[str], cases: list[Case]) -> str:
    """Tell all that is needed to look into one saga, and how it is played alone."""
    happened = []
    for case in cases:
        for found in case.arrivals.values():
            happened += [(one.order, one.at_ms, f"-> {one.command['command_id']}") for one in found.values()]
        for command_id, answers in case.record.said.items():
            if command_id.startswith(case.process_id):
                happened += [
                    (one.order, one.at_ms, f"<- {command_id} {one.word} {one.body.get('error', '')}")
                    for one in answers
                ]
    words = {
        name: found
        for name, found in saga.script.items()
        if any(word not in {"ok", "twice", "give"} for word in found)
    }
    return "\n".join(
        [
            f"SAGA_TEST_SAGA={saga.seed} plays this one alone: {len(problems)} problems",
            *problems[:10],
            yaml.safe_dump_all(saga.definitions, sort_keys=False, default_flow_style=None, width=150),
            yaml.safe_dump(
                {"parameters": saga.parameters, "script": words}, default_flow_style=None, width=150
            ),
            *(f"{order} {at_ms % 1_000_000} {what}" for order, at_ms, what in sorted(happened)),
        ]
    )
