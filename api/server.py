"""The server that carries the app: uvicorn, punctual, and stopped by whoever started it."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from api.app_state import stopping_of
from api.http_protocol import PunctualHttpProtocol
from api.settings import Settings, SettingsError

KEEP_ALIVE_S = 5
BACKLOG = 2048


class HttpServer:
    """Serve an app at the address of the settings; port 0 takes a free one."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        """Take the address at once, so that one in use is told before anything runs. Raises SettingsError."""
        self._app = app
        self._socket = _listening_socket(settings)
        self._server = _Server(_configuration(app, settings))

    @property
    def is_listening(self) -> bool:
        """Say whether requests are answered."""
        return self._server.started and not self._server.should_exit

    @property
    def address(self) -> str:
        """Give the address to open."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set; then requests in hand are finished within the grace."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        waiting = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            # Those who wait and those who follow a stream are let go first: they would use up the grace.
            stopping_of(self._app).set()
            self._server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the composition root, which stops the coordinator in the same breath."""
        yield


def _listening_socket(settings: Settings) -> socket.socket:
    host = settings.http_host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, settings.http_port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"{host} port {settings.http_port}"
        raise SettingsError((f"can't listen at {where}: {error.strerror or error}",)) from None
    # Handed down to the connections; without it each answer of two writes waits 40 ms for the other side.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PunctualHttpProtocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
    )
