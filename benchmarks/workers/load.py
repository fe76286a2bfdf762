"""Start processes by publishing start commands, and time them by the notice of what became of them.

Reads one `Load` as JSON from its input and prints what it saw as JSON.
"""

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass, field

import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from benchmarks.figures import percentile
from benchmarks.workers.wire import open_channel, publish, topic


@dataclass(frozen=True, slots=True)
class Load:
    """Say what to start, how many, and how many at once.

    A process leaves the load with the event `until`; without one, with the confirm of its start command.
    `per_second` spaces the starts, as far as there is room for them.
    """

    process_type: str
    parameters: dict[str, object]
    count: int
    at_once: int
    until: str | None = "completed"
    per_second: float | None = None
    give_up_after_s: float = 300.0


@dataclass
class Run:
    """Hold the processes under way and the times of those that left."""

    load: Load
    commands: AbstractExchange
    room: asyncio.Semaphore
    began: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    async def all(self) -> None:
        """Start all, each as soon as there is room and it is time, and wait until all have left."""
        load = self.load
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(load.count):
                if load.per_second is not None:
                    await _until(began + number / load.per_second)
                await self.room.acquire()
                tasks.create_task(self._start())
        for _ in range(load.at_once):
            await self.room.acquire()

    async def left(self, message: AbstractIncomingMessage) -> None:
        """Note that a process has left."""
        self._leave(json.loads(message.body)["process_id"])

    async def _start(self) -> None:
        process_id = str(uuid.uuid4())
        self.began[process_id] = time.perf_counter()
        body: dict[str, object] = {
            "process_type": self.load.process_type,
            "parameters": self.load.parameters,
            "process_id": process_id,
        }
        await publish(self.commands, "process.start", body, correlation_id=process_id)
        if self.load.until is None:
            self._leave(process_id)

    def _leave(self, process_id: str) -> None:
        began = self.began.pop(process_id, None)
        if began is not None:
            self.seconds.append(time.perf_counter() - began)
            self.room.release()


async def _until(moment: float) -> None:
    pause = moment - time.perf_counter()
    if pause > 0:
        await asyncio.sleep(pause)


async def main(load: Load) -> None:
    """Run the load; print seconds and latencies as JSON."""
    channel, listening = await open_channel(), await open_channel()
    run = Run(load, await topic(channel, "commands"), asyncio.Semaphore(load.at_once))
    if load.until is not None:
        queue = await listening.declare_queue(exclusive=True)
        await queue.bind(await topic(listening, "events"), f"process.*.{load.until}")
        await queue.consume(run.left, no_ack=True)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(load.give_up_after_s):
            await run.all()
    except TimeoutError:
        sys.exit(
            f"after {load.give_up_after_s:.0f} s only {len(run.seconds)} of {load.count} processes "
            f"{load.process_type} were {load.until or 'confirmed'}"
        )
    took = time.perf_counter() - began
    run.seconds.sort()
    result = {
        "seconds": took,
        "per_second": load.count / took,
        "median_ms": percentile(run.seconds, 0.5) * 1000,
        "p99_ms": percentile(run.seconds, 0.99) * 1000,
        "latencies_ms": [second * 1000 for second in run.seconds],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main(Load(**json.loads(sys.stdin.read()))))
