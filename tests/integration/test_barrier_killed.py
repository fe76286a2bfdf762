"""A participant that is killed around its commit has done its work once, and says so when it is back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.rabbitmq.bus import RabbitBus
from tests.contract.carriers import Inbox, message
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND = json.dumps({"command_id": "p1.stock.a1", "action": "reserve", "parameters": {}}).encode()


@pytest.mark.parametrize("dies", ["before", "behind"])
async def test_a_kill_around_the_commit_leaves_one_effect(
    amqp_url: str, amqp_prefix: str, tmp_path: Path, dies: str
) -> None:
    """Before it nothing is there, behind it the effect: the command comes again, and is answered once."""
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare(["stock"])
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)
    await bus.publish(message(_COMMAND, key="step.stock.reserve"))

    first = await _start(amqp_url, amqp_prefix, tmp_path, dies)
    assert await asyncio.wait_for(first.wait(), 20) == -signal.SIGKILL
    assert not inbox.deliveries
    second = await _start(amqp_url, amqp_prefix, tmp_path, dies)
    try:
        await eventually(lambda: inbox.deliveries, within_s=30)
    finally:
        second.terminate()
        await asyncio.wait_for(second.wait(), 20)

    worked = second.pid if dies == "before" else first.pid
    assert json.loads(inbox.bodies[0])["output"] == {"pid": worked}
    with closing(sqlite3.connect(tmp_path / "stock.db")) as database:
        assert database.execute("SELECT pid FROM work").fetchall() == [(worked,)]
    await bus.close()


async def _start(url: str, prefix: str, folder: Path, dies: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.dying_participant",
        str(folder),
        dies,
        env=os.environ | {"SAGA_AMQP_URL": url, "SAGA_AMQP_PREFIX": prefix},
    )
