"""The baseline: the coordinator's half of a process as a bare relay, without state or guarantees.

It does what no orchestrator can do without: take a message from a quorum queue, publish the next ones durably
and confirmed, acknowledge. It logs nothing, counts the answers of steps side by side in memory, and loses a
process at any crash.
"""

import asyncio
import json
from collections import Counter

import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from benchmarks.plans import PLANS, SERVICES
from benchmarks.workers.wire import open_channel, prefix, publish, quorum_queue, topic


class Relay:
    """Follow the plans; a command's id says which process, of which type, and which stage it belongs to."""

    def __init__(self, commands: AbstractExchange, events: AbstractExchange) -> None:
        self._commands = commands
        self._events = events
        self._answers: Counter[str] = Counter()

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Take a start or a reply, send what follows, acknowledge."""
        body = json.loads(message.body)
        if message.routing_key == "process.start":
            await self._begin(body["process_id"], body["process_type"], 0, body["parameters"])
        else:
            process_id, process_type, stage, _ = body["command_id"].split(".")
            if self._is_last_of(process_id, process_type, int(stage)):
                # What was answered is what is passed on: nothing else is remembered.
                await self._begin(process_id, process_type, int(stage) + 1, body["output"])
        await message.ack()

    def _is_last_of(self, process_id: str, process_type: str, stage: int) -> bool:
        width = len(PLANS[process_type][stage])
        if width == 1:
            return True
        self._answers[process_id] += 1
        if self._answers[process_id] < width:
            return False
        del self._answers[process_id]
        return True

    async def _begin(self, process_id: str, process_type: str, stage: int, parameters: object) -> None:
        plan = PLANS[process_type]
        if stage == len(plan):
            done: dict[str, object] = {"process_id": process_id}
            await publish(self._events, f"process.{process_type}.completed", done, correlation_id=process_id)
            return
        sent = []
        for step in plan[stage]:
            command: dict[str, object] = {
                "command_id": f"{process_id}.{process_type}.{stage}.{step.name}",
                "process_id": process_id,
                "step": step.name,
                "parameters": parameters,
                "results": {},
                "reply_key": "step",
            }
            key = f"step.{step.service}.run"
            sent.append(publish(self._commands, key, command, correlation_id=process_id))
        await asyncio.gather(*sent)


async def main() -> None:
    """Relay until killed."""
    channel = await open_channel()
    commands, events = await topic(channel, "commands"), await topic(channel, "events")
    for service in SERVICES:
        await (await quorum_queue(channel, f"step.{service}")).bind(commands, f"step.{service}.*")
    queue = await quorum_queue(channel, "coordinator")
    await queue.bind(commands, "process.*")
    await queue.bind(events, "step.completed")
    await queue.consume(Relay(commands, events).take)
    print(f"relaying for {prefix()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
