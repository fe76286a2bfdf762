"""A small server on the embedded store, to be killed: `python -m tests.support.embedded_child FOLDER COUNT`.

It starts COUNT processes of two events each, carries out their one command, and prints `1 <id>` and
`2 <id>` once an append was confirmed, `done` when all have ended and no message is left.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.embedded.store import EmbeddedStore
from saga.errors import VersionConflict
from saga.ports.participants import ReplyMessage
from tests.support.embedded import (
    SERVICE,
    command_message,
    first_transition,
    last_transition,
    projection,
    rows,
    start_message,
)

if TYPE_CHECKING:
    from saga.ports.bus import Delivery
    from saga.process.transition import Transition


class Server:
    """Follow the protocol of a coordinator with the least that it can be made of."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store

    async def handle(self, delivery: Delivery) -> None:
        """Append, publish, project, acknowledge; a duplicate publishes and projects what the log has."""
        process_id = delivery.body.decode()
        make = first_transition if delivery.routing_key == "process.start" else last_transition
        transition = make(process_id, tag=delivery.tag, mark=str(id(delivery)))
        try:
            await self._store.log.append(transition)
        except VersionConflict:
            await self.repair(process_id)
        else:
            print(transition.first, process_id, flush=True)  # noqa: T201 - the test reads it
            await self._publish(transition)
            await self._store.projections.save(projection(process_id, transition.last))
        await delivery.acknowledge()

    async def repair(self, process_id: str) -> None:
        """Publish the commands of an open process and bring its projection up to its log."""
        log = await self._store.log.read(process_id)
        if len(log) == 1:
            await self._publish(log[0])
        await self._store.projections.save(projection(process_id, log[-1].last))

    async def carry_out(self, body: bytes) -> ReplyMessage:
        """Answer a command."""
        process_id = body.decode().split('"')[3].split(".")[0]
        return ReplyMessage("step.completed", process_id.encode(), f"{process_id}:completed", process_id)

    async def _publish(self, transition: Transition) -> None:
        for sent in transition.commands:
            await self._store.bus.publish(command_message(sent, transition.process_id))


async def run(folder: Path, count: int) -> None:
    """Serve until everything ended."""
    store = await EmbeddedStore.open(folder)
    server = Server(store)
    await store.bus.declare([SERVICE])
    due = await store.projections.lease_due(before=1, leased_until=10, now=0, limit=10_000)
    for timer in due:
        await server.repair(timer.process_id)
    await store.bus.consume(server.handle, prefetch=20)
    await store.participants.serve(SERVICE, server.carry_out, concurrency=5)
    for number in range(count):
        process_id = f"p{number}"
        if not await store.log.read(process_id):
            await store.bus.publish(start_message(process_id))
    while rows(folder, "SELECT 1 FROM messages LIMIT 1"):  # noqa: ASYNC110 - looks at the file from outside
        await asyncio.sleep(0.05)
    await store.close()
    print("done", flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
