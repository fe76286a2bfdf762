"""A definition is changed under processes that run: what the report said, and what then became of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml

from tests.acceptance.conftest import Stage
from tests.acceptance.world import opened_world, step_of
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]


def _step(name: str, after: list[str]) -> dict[str, Any]:
    return {"name": name, "service": "work", "action": "do", "compensation": "undo", "after": after}


def _signal(name: str, after: list[str]) -> dict[str, Any]:
    return {"name": name, "signal": True, "after": after, "timeout": 600}


FIRST = [_signal("gate", []), _step("one", ["gate"]), _signal("word", ["one"]), _step("two", ["word"])]
TRIP = {"process_type": "changing", "timeout": 20, "steps": FIRST}
# The check stands before the first step, which some have behind them.
CHECKED = {
    **TRIP,
    "steps": [
        FIRST[0],
        _step("check", ["gate"]),
        _step("one", ["check"]),
        *FIRST[2:],
        _step("three", ["two"]),
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(amqp_url: str, mongodb_url: str) -> AsyncIterator[Stage]:
    """Give these tests two servers with a definition of their own."""
    async with opened_world(amqp_url, mongodb_url, [TRIP]) as world:
        await world.deployment.serve()
        yield Stage(world, await world.deployment.serve())


async def _saga(stage: Stage, *arguments: str, code: int) -> list[dict[str, Any]]:
    deployment = stage.world.deployment
    settings = {
        "SAGA_AMQP_URL": deployment.amqp_url,
        "SAGA_MONGODB_URL": deployment.mongodb_url,
        "SAGA_AMQP_PREFIX": deployment.prefix,
        "SAGA_MONGODB_DATABASE": deployment.database,
    }
    command = [sys.executable, "-m", "saga", *arguments, "--output", "jsonl"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, env={**os.environ, **settings}
    )
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def _waits_for(stage: Stage, process_id: str, step: str) -> str:
    """Wait until a process waits for a signal, and give its command."""

    async def look() -> str:
        document = await stage.world.get(stage.server, f"/process/{process_id}")
        found = (wait for wait in document["waiting_for"] if wait.get("step") == step)
        return next((str(wait["command_id"]) for wait in found), "")

    return await eventually(look, within_s=30, what=f"{process_id} waits for {step}")


async def _give(stage: Stage, process_id: str, step: str) -> None:
    command = await _waits_for(stage, process_id, step)
    body = json.dumps({"command_id": command, "output": None}).encode()
    await stage.world.broker.publish("step.completed", body, exchange="events")


async def test_processes_go_where_the_impact_report_said(stage: Stage, tmp_path: Path) -> None:
    """Those that it fits go on by the version; the others are refused, and end by their own."""
    early = [await stage.start("changing") for _ in range(3)]
    late = [await stage.start("changing") for _ in range(3)]
    ended = await stage.start("changing")
    for process_id in (*late, ended):
        await _give(stage, process_id, "gate")
        await _waits_for(stage, process_id, "word")
    await _give(stage, ended, "word")
    await stage.world.becomes(stage.server, ended, "completed")
    for process_id in early:
        await _waits_for(stage, process_id, "gate")
    version = tmp_path / "checked.yaml"
    version.write_text(yaml.safe_dump(CHECKED, sort_keys=False), encoding="utf-8")

    impact = {one["process_id"]: one for one in await _saga(stage, "impact", str(version), code=1)}
    assert {process_id: impact[process_id]["effect"] for process_id in early} == dict.fromkeys(
        early, "unaffected"
    )
    assert {impact[process_id]["ahead"][0]["step"] for process_id in early} == {"check"}
    assert {impact[process_id]["effect"] for process_id in late} == {"cannot_go_on"}
    assert (impact[ended]["is_running"], impact[ended]["effect"]) == (False, "cannot_go_on")

    tried = await _saga(stage, "migrate", "--to", str(version), code=1)
    assert sorted(one["outcome"] for one in tried) == ["fits"] * 3 + ["refused"] * 3
    words = ("migrate", "--to", str(version), "--yes", "--reason", "a check is missing")
    moved = {one["process_id"]: one for one in await _saga(stage, *words, code=1)}
    assert {moved[process_id]["outcome"] for process_id in early} == {"migrated"}
    assert {moved[process_id]["outcome"] for process_id in late} == {"refused"}

    for process_id in early:
        await _give(stage, process_id, "gate")
    for process_id in (*early, *late):
        await _give(stage, process_id, "word")
    for process_id in early:
        document = await stage.world.becomes(stage.server, process_id, "completed")
        assert step_of(document, "check")["status"] == step_of(document, "three")["status"] == "completed"
        migrated = next(one for one in await stage.events(process_id) if one["type"] == "migrated")
        assert migrated["data"]["definition_hash"] == document["definition"]
        assert migrated["data"]["reason"] == "a check is missing"
    for process_id in late:
        document = await stage.world.becomes(stage.server, process_id, "completed")
        assert document["definition"] == moved[process_id]["from"]

    assert await _saga(stage, "verify", code=0) == []
    assert await _saga(stage, "replay", "--all", code=0) == []
