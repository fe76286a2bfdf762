"""A deployment of the product: the real command in subprocesses, under names of its own, to be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx
import yaml

from tests.support.owned_process import OwnedServer, free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

READY_WITHIN_S = 60.0


class SagaServer(OwnedServer):
    """One `saga serve` (or `saga demo`) of its own; `kill` is SIGKILL, `stop` is SIGTERM and a wait."""

    name = "saga"

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Choose a port; nothing runs before `begin` or `start`."""
        super().__init__()
        self.port = free_port()
        self._arguments = tuple(arguments)
        self._settings = dict(environment)

    @property
    def url(self) -> str:
        """The address of its HTTP side."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while it runs."""
        return self._processes[-1].poll() if self._processes else None

    def begin(self, *, crash_at: str | None = None) -> None:
        """Launch without waiting; `crash_at` is `point:n`, where the process shall kill itself."""
        self._forget_processes()
        if crash_at is None:
            self._settings.pop("SAGA_TEST_CRASH_AT", None)
        else:
            self._settings["SAGA_TEST_CRASH_AT"] = crash_at
        self._launch()

    async def ready(self) -> None:
        """Wait until it says that it can do its work."""
        await eventually(
            self._answers_ready, within_s=READY_WITHIN_S, what=f"{self.url}/readyz: {self.output}"
        )

    async def ended(self, *, within_s: float = 60.0) -> int:
        """Wait until the process ended by itself and give its exit code."""
        await eventually(lambda: not self.is_running(), within_s=within_s, what=f"the end: {self.output}")
        code = self.exit_code
        assert code is not None
        return code

    def terminate(self) -> None:
        """Ask for a graceful end (SIGTERM) without waiting for it."""
        os.kill(self.pid, signal.SIGTERM)

    @property
    def output(self) -> str:
        """The last lines that it wrote."""
        return self._log_tail()

    async def _answers_ready(self) -> bool:
        if not self.is_running():
            raise AssertionError(f"the server ended with {self.exit_code}: {self.output}")
        return await asyncio.to_thread(self._is_ready)

    def _launch(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        environment = kept | self._settings | {"SAGA_HTTP_PORT": str(self.port)}
        self._run([sys.executable, "-m", "saga", *self._arguments], environment)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@dataclass(slots=True)
class Deployment:
    """Servers that share a broker, a store and definitions; as a context manager it ends them all."""

    amqp_url: str
    mongodb_url: str
    prefix: str
    database: str
    definitions: Sequence[Mapping[str, Any]]
    folder: Path
    servers: list[SagaServer] = field(default_factory=list)

    def add(self, roles: str = "api,coordinator", **settings: str) -> SagaServer:
        """Make a server that isn't launched yet."""
        server = SagaServer(["serve", "--roles", roles], self._environment() | settings)
        self.servers.append(server)
        return server

    async def serve(self, roles: str = "api,coordinator", **settings: str) -> SagaServer:
        """Launch a server and wait until it is ready."""
        server = self.add(roles, **settings)
        server.begin()
        await server.ready()
        return server

    def stop(self) -> None:
        """End what runs in good order: what is unacknowledged then is back in the queues."""
        running = [server for server in self.servers if server.is_running()]
        for server in running:
            server.resume()
            server.terminate()
        for server in running:
            server.stop()

    def __enter__(self) -> Self:
        """Write the definitions."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for definition in self.definitions:
            text = yaml.safe_dump(dict(definition), sort_keys=False)
            (self.folder / f"{definition['process_type']}.yaml").write_text(text)
        return self

    def __exit__(self, *_: object) -> None:
        """End all servers without ceremony."""
        for server in self.servers:
            server.close()

    def _environment(self) -> dict[str, str]:
        return {
            "SAGA_AMQP_URL": self.amqp_url,
            "SAGA_MONGODB_URL": self.mongodb_url,
            "SAGA_AMQP_PREFIX": self.prefix,
            "SAGA_MONGODB_DATABASE": self.database,
            "SAGA_DEFINITIONS": str(self.folder),
            "SAGA_LOG_FORMAT": "json",
        }
