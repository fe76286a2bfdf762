"""A TCP proxy before mongod that forwards an insert and loses the reply to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# How a command document of the wire protocol begins that inserts: a text element of this name.
_INSERT = b"\x02insert\x00"
_CHUNK_BYTES = 65_536


class LossyProxy:
    """Forward everything, except for the replies to the next `replies_to_lose` inserts."""

    def __init__(self, server_port: int) -> None:
        self.replies_to_lose = 0
        self.port = 0
        self._server_port = server_port
        self._connections: set[asyncio.Task[None]] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        lost = asyncio.Event()
        pumps = {
            asyncio.create_task(self._requests(reader, server_writer, lost)),
            asyncio.create_task(_replies(server_reader, writer, lost)),
        }
        self._pumps |= pumps
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._pumps -= pumps
            for side in (writer, server_writer):
                side.close()
            self._connections.discard(task)

    async def close(self) -> None:
        """End every connection and wait until they are gone."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._connections)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if _INSERT in data and self.replies_to_lose:
                self.replies_to_lose -= 1
                lost.set()
            writer.write(data)
            await writer.drain()


async def _replies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        if lost.is_set():
            return  # the server has answered, so the write is applied; the connection ends without the answer
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def lossy_proxy(server_port: int) -> AsyncIterator[LossyProxy]:
    """Run a proxy on a free port."""
    proxy = LossyProxy(server_port)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
