"""Start processes by publishing start commands, and time them by the notice of their end."""

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass, field

import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from benchmarks.wire import open_channel, publish, topic

GIVE_UP_AFTER_S = 120.0


@dataclass
class Load:
    """Hold the processes under way and the times of those that ended."""

    commands: AbstractExchange
    room: asyncio.Semaphore
    began: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    async def start(self) -> None:
        """Start one process as soon as there is room for it."""
        await self.room.acquire()
        process_id = str(uuid.uuid4())
        self.began[process_id] = time.perf_counter()
        body: dict[str, object] = {
            "process_type": "document_analysis",
            "parameters": {"document_id": "doc123"},
            "process_id": process_id,
        }
        await publish(self.commands, "process.start", body, correlation_id=process_id)

    async def ended(self, message: AbstractIncomingMessage) -> None:
        """Note an end."""
        began = self.began.pop(json.loads(message.body)["process_id"], None)
        if began is not None:
            self.seconds.append(time.perf_counter() - began)
            self.room.release()


async def main(count: int, at_once: int) -> None:
    """Run `count` processes, `at_once` under way; print seconds and latencies as JSON."""
    channel, listening = await open_channel(), await open_channel()
    load = Load(await topic(channel, "commands"), asyncio.Semaphore(at_once))
    queue = await listening.declare_queue(exclusive=True)
    await queue.bind(await topic(listening, "events"), "process.*.completed")
    await queue.consume(load.ended, no_ack=True)
    began = time.perf_counter()
    async with asyncio.timeout(GIVE_UP_AFTER_S):
        await asyncio.gather(*(load.start() for _ in range(count)))
        for _ in range(at_once):
            await load.room.acquire()
    took = time.perf_counter() - began
    load.seconds.sort()
    result = {
        "processes": count,
        "seconds": took,
        "per_second": count / took,
        "median_ms": load.seconds[count // 2] * 1000,
        "p99_ms": load.seconds[int(count * 0.99)] * 1000,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
