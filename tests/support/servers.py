"""The real servers that tests and benchmarks use, and a command that runs another one beside them.

`python -m tests.support.servers -- pytest` starts those that SAGA_TEST_AMQP_URL and SAGA_TEST_MONGODB_URL
don't name, both at the same time, gives their addresses to the command by these two names, and takes them
away afterwards. So all workers of a parallel test run share one pair. Without a command the servers stay
until Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

from tests.support.mongo_server import MongoServer, find_mongod
from tests.support.owned_process import OwnedServer, ServerError, free_port
from tests.support.rabbit_server import QUORUM_QUEUE_SETTLES_AFTER_S, RabbitServer, find_rabbitmq

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AMQP_URL",
    "MONGODB_URL",
    "QUORUM_QUEUE_SETTLES_AFTER_S",
    "MongoServer",
    "OwnedServer",
    "RabbitServer",
    "ServerError",
    "find_mongod",
    "find_rabbitmq",
    "free_port",
    "shared_mongo",
    "shared_rabbit",
]

AMQP_URL = "SAGA_TEST_AMQP_URL"
MONGODB_URL = "SAGA_TEST_MONGODB_URL"
_UNUSED_QUEUES_EXPIRE_AFTER_S = 300


def shared_rabbit() -> RabbitServer:
    """Make the node that many tests share: it drops by itself the queues that a test left behind."""
    return RabbitServer(queues_expire_after_s=_UNUSED_QUEUES_EXPIRE_AFTER_S)


def shared_mongo() -> MongoServer:
    """Make the mongod that many tests share, each with a database of its own."""
    return MongoServer()


def main(arguments: list[str]) -> int:
    """Run the command after `--` beside the servers and return its exit code; 1 where one can't be had."""
    signal.signal(signal.SIGTERM, _end_in_good_order)
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    try:
        with ExitStack() as owned:
            servers: dict[str, OwnedServer] = {}
            if not os.environ.get(AMQP_URL):
                servers[AMQP_URL] = shared_rabbit()
                owned.callback(servers[AMQP_URL].close)
            if not os.environ.get(MONGODB_URL):
                servers[MONGODB_URL] = shared_mongo()
                owned.callback(servers[MONGODB_URL].close)
            _start_together(list(servers.values()))
            return _run(command, {name: server.url for name, server in servers.items()})
    except ServerError as error:
        _say(str(error))
        return 1


def _start_together(servers: Sequence[OwnedServer]) -> None:
    if not servers:
        return
    _say(f"starting {' and '.join(server.name for server in servers)} for the tests ...")
    began_at = time.monotonic()
    with ThreadPoolExecutor() as pool:
        for started in [pool.submit(server.start) for server in servers]:
            started.result()
    _say(f"ready after {time.monotonic() - began_at:.1f} s")


def _run(command: Sequence[str], addresses: dict[str, str]) -> int:
    if not command:
        for name, url in addresses.items():
            print(f"export {name}='{url}'", flush=True)
        _say("press Ctrl-C to end them")
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    child = subprocess.Popen(list(command), env=os.environ | addresses)
    try:
        return child.wait()
    except KeyboardInterrupt:
        return child.wait()  # the terminal sent the Ctrl-C to the command as well: it ends by itself
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()


def _end_in_good_order(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
