"""`saga redrive` beside a running server, on RabbitMQ and MongoDB: what the broker lost comes back the same."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aio_pika
import httpx
import pytest

from tests.support.deployment import SagaServer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.acceptance

SAGA = Path(sys.executable).with_name("saga")
DEFINITION = """
process_type: packing
steps:
  - {name: pack, service: depot, action: pack, compensation: unpack, timeout: 3600}
"""


def _run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    return subprocess.run(
        [SAGA, *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def _taken(url: str, queue: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
    """Take all messages off a queue."""
    taken = []
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        found = await channel.get_queue(queue, ensure=False)
        while (message := await found.get(fail=False, no_ack=True)) is not None:
            taken.append(message)
    return taken


def _sent(message: aio_pika.abc.AbstractIncomingMessage) -> tuple[Any, ...]:
    return (
        message.body, message.message_id, message.correlation_id, message.type, message.timestamp,
        message.app_id, message.delivery_mode, message.routing_key, message.headers["traceparent"],
    )  # fmt: skip


def test_a_lost_command_is_published_again_just_as_it_was(
    amqp_url: str, mongodb_url: str, amqp_prefix: str, mongodb_database: str, tmp_path: Path
) -> None:
    """A dry run sends nothing; a redrive sends the same message; the process then ends as if nothing was."""
    (tmp_path / "packing.yaml").write_text(DEFINITION)
    environment = {
        "SAGA_AMQP_URL": amqp_url,
        "SAGA_MONGODB_URL": mongodb_url,
        "SAGA_AMQP_PREFIX": amqp_prefix,
        "SAGA_MONGODB_DATABASE": mongodb_database,
    }
    queue = f"{amqp_prefix}.step.depot"
    with (
        SagaServer(["serve"], {**environment, "SAGA_DEFINITIONS": str(tmp_path / "packing.yaml")}) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client,
        asyncio.Runner() as runner,
    ):
        body = {"process_type": "packing", "parameters": {}, "labels": {"team": "a"}}
        location = client.post("/process", json=body).headers["location"]
        process_id = location.rpartition("/")[2]
        wait_until(
            lambda: client.get(location).json()["steps"][0]["status"] == "running",
            within_s=30,
            what="it runs",
        )
        lost = wait_until(
            lambda: runner.run(_taken(amqp_url, queue)), within_s=30, what="the command is lost"
        )

        dry = _run(environment, "redrive", "--label", "team:a", "--dry-run", "-o", "jsonl")
        assert dry.returncode == 0, dry.stderr
        commands = json.loads(dry.stdout)["commands"]
        assert [(one["command_id"], one["outcome"]) for one in commands] == [
            (f"{process_id}.pack.a1", "not_sent")
        ]
        assert runner.run(_taken(amqp_url, queue)) == []

        for words in ((process_id,), ("--type", "packing"), ()):
            done = _run(environment, "redrive", *words)
            assert done.returncode == 0, done.stderr
            assert "1 commands outstanding: 1 published" in done.stderr
            again = runner.run(_taken(amqp_url, queue))
            assert [_sent(message) for message in again] == [_sent(lost[0])]

        assert client.post(f"/step/{process_id}.pack.a1/completed", json={}).status_code == 202
        wait_until(
            lambda: client.get(location).json()["status"] == "completed", within_s=30, what="it completes"
        )
        ended = _run(environment, "redrive", process_id, "-o", "jsonl")
        assert (ended.returncode, json.loads(ended.stdout)["commands"]) == (0, [])
        assert runner.run(_taken(amqp_url, queue)) == []
    nobody = _run(environment, "redrive", "00000000-0000-4000-8000-000000000000")
    assert nobody.returncode == 3
    away = _run({**environment, "SAGA_AMQP_URL": "amqp://127.0.0.1:1/"}, "redrive", process_id)
    assert (away.returncode, "broker is not reachable" in away.stderr) == (6, True)
    assert _run(environment, "redrive", process_id, "--status", "started", "--type", "x").returncode == 2
    assert _run(environment, "redrive", "--status", "unheard").returncode == 2
