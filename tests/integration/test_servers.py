"""The private servers themselves: what the other tests believe about a crash must be true."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aio_pika
import pymongo
import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure

from tests.support.amqp_names import delete_names
from tests.support.servers import (
    QUORUM_QUEUE_SETTLES_AFTER_S,
    MongoServer,
    RabbitServer,
    ServerError,
    free_port,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.collection import Collection

# A server of two processes that would run on for ten minutes, in a test run that dies at once.
_A_TEST_RUN_THAT_DIES = """
import os, signal
from tests.support.servers import OwnedServer

class Sleepers(OwnedServer):
    name = "sleepers"
    url = "sleep:"

    def _launch(self):
        self._run(["sleep", "600"])
        self._run(["sleep", "600"])

    def _is_ready(self):
        return True

server = Sleepers()
server.start()
print(server.folder, *(process.pid for process in server._processes), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def notes(own_mongo: MongoServer, mongodb_database: str) -> Iterator[Collection[dict[str, Any]]]:
    """Give a collection whose writes are done when a majority has them."""
    client: MongoClient[dict[str, Any]] = MongoClient(own_mongo.url, timeoutMS=5_000)
    with client:
        yield client[mongodb_database].get_collection("notes", write_concern=WriteConcern("majority"))


def test_a_majority_write_survives_a_kill_of_mongod(
    own_mongo: MongoServer, notes: Collection[dict[str, Any]]
) -> None:
    """What a majority acknowledged is there again after SIGKILL and a start, at the same address."""
    notes.insert_one({"_id": 1, "text": "kept"})
    own_mongo.kill()
    own_mongo.start()
    assert wait_until(lambda: _read(notes), what="mongod is primary again") == {"_id": 1, "text": "kept"}


def test_mongod_restarts_in_good_order(own_mongo: MongoServer, notes: Collection[dict[str, Any]]) -> None:
    """An orderly restart keeps the data too, and leaves one process."""
    notes.insert_one({"_id": 1, "text": "kept"})
    before = own_mongo.pid
    own_mongo.restart()
    assert own_mongo.pid != before
    assert wait_until(lambda: _read(notes)) == {"_id": 1, "text": "kept"}


def test_a_paused_mongod_answers_nothing_until_it_goes_on(
    own_mongo: MongoServer, notes: Collection[dict[str, Any]]
) -> None:
    """A frozen server looks like a network that swallows everything, and is whole when it thaws."""
    notes.insert_one({"_id": 1})
    own_mongo.pause()
    try:
        with pytest.raises((NetworkTimeout, AutoReconnect)):
            _read(notes, timeout_s=0.5)
    finally:
        own_mongo.resume()
    assert wait_until(lambda: _read(notes)) == {"_id": 1}


def test_mongod_fails_a_command_on_request(own_mongo: MongoServer, notes: Collection[dict[str, Any]]) -> None:
    """Test commands are on: `failCommand` makes the next insert fail, and only that one."""
    failure = {"failCommands": ["insert"], "errorCode": 50}
    own_mongo.admin({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": failure})
    with pytest.raises(OperationFailure):
        notes.insert_one({"_id": 1})
    notes.insert_one({"_id": 1})


async def test_a_confirmed_message_survives_a_kill_of_rabbitmq(
    own_rabbit: RabbitServer, amqp_prefix: str
) -> None:
    """A persistent message in a quorum queue, once confirmed, is there after SIGKILL and a start."""
    queue = f"{amqp_prefix}.kept"
    await _publish(own_rabbit.url, queue, b"kept")
    await asyncio.sleep(QUORUM_QUEUE_SETTLES_AFTER_S)
    own_rabbit.kill()
    assert not own_rabbit.is_running()
    own_rabbit.start()
    assert await _take(own_rabbit.url, queue) == b"kept"


def test_a_memory_alarm_can_be_raised_and_lifted(own_rabbit: RabbitServer) -> None:
    """`ctl` talks to this node: with no memory allowed it is in alarm, with some it leaves the alarm."""
    own_rabbit.ctl("set_vm_memory_high_watermark", "0")
    wait_until(lambda: "memory" in _alarms(own_rabbit), what="the alarm is on")
    own_rabbit.ctl("set_vm_memory_high_watermark", "0.4")
    wait_until(lambda: "memory" not in _alarms(own_rabbit), what="the alarm is off")


def test_rabbitmqctl_reports_what_it_refuses(own_rabbit: RabbitServer) -> None:
    """A command that fails raises with the node's own words."""
    with pytest.raises(ServerError, match="no_such_command"):
        own_rabbit.ctl("no_such_command")


def test_names_of_a_test_are_deleted(amqp_url: str, amqp_prefix: str) -> None:
    """What bears the prefix of a test is gone afterwards, and absent names do no harm."""
    queue = f"{amqp_prefix}.step.hotel"
    asyncio.run(_publish(amqp_url, queue, b"left behind"))
    delete_names(amqp_url, amqp_prefix)
    with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
        asyncio.run(_take(amqp_url, queue))


def test_servers_end_with_a_test_run_that_was_killed() -> None:
    """Even SIGKILL to the test run leaves none of a server's processes and no folder behind."""
    run = subprocess.run(
        [sys.executable, "-c", _A_TEST_RUN_THAT_DIES],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    folder, *pids = run.stdout.split()
    assert run.returncode == -signal.SIGKILL
    assert len(pids) == 2
    wait_until(lambda: not any(_is_alive(int(pid)) for pid in pids), what="the processes are gone")
    wait_until(lambda: not Path(folder).exists(), what="the folder is gone")


def test_free_ports_are_never_those_of_outgoing_connections() -> None:
    """A free port lies below the ephemeral range, so no client can be given it while a server restarts."""
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < lowest_ephemeral for _ in range(50))


def _read(notes: Collection[dict[str, Any]], *, timeout_s: float = 5.0) -> dict[str, Any] | None:
    with pymongo.timeout(timeout_s):
        return notes.find_one({"_id": 1})


def _alarms(server: RabbitServer) -> str:
    return server.ctl("eval", "rabbit_alarm:get_alarms().")


async def _publish(url: str, queue: str, body: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(on_return_raises=True)
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue)


async def _take(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, passive=True)
        message = await declared.get(timeout=10)
        return message.body


def _is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
