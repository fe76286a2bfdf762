"""A TCP proxy whose connections can all be cut at once, as a restart of a switch does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHUNK_BYTES = 65_536


class CuttingProxy:
    """Forward bytes both ways between `port` and a server."""

    def __init__(self, host: str, server_port: int) -> None:
        """Nothing listens yet."""
        self.port = 0
        self.accepted = 0
        self._server = host, server_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Abort every connection; new ones are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it."""
        self.accepted += 1
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        pair = (writer, server_writer)
        self._writers.update(pair)
        try:
            await asyncio.gather(_pump(reader, server_writer), _pump(server_reader, writer))
        finally:
            for each in pair:
                each.close()
            self._writers.difference_update(pair)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task of its own."""
        task = asyncio.create_task(self.serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut what is left, and wait until it is gone."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def cutting_proxy(host: str, server_port: int) -> AsyncIterator[CuttingProxy]:
    """Run a proxy on a free port for as long as the block lasts."""
    proxy = CuttingProxy(host, server_port)
    listening = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
