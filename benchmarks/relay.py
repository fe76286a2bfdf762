"""The baseline: the coordinator's half of a three-step process as a bare relay, without state or guarantees.

It does what no orchestrator can do without: take a message from a quorum queue, publish the next one durably
and confirmed, acknowledge. It logs nothing, remembers nothing, and loses a process at any crash.
"""

import asyncio
import json

import uvloop
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.wire import STEPS, open_channel, prefix, publish, quorum_queue, topic


async def main() -> None:
    """Relay until killed."""
    channel = await open_channel()
    commands, events = await topic(channel, "commands"), await topic(channel, "events")
    for step in STEPS:
        service = await quorum_queue(channel, f"step.{step}")
        await service.bind(commands, f"step.{step}.*")
    queue = await quorum_queue(channel, "coordinator")
    await queue.bind(commands, "process.*")
    await queue.bind(events, "step.completed")

    async def relay(message: AbstractIncomingMessage) -> None:
        body = json.loads(message.body)
        if message.routing_key == "process.start":
            process_id, following = body["process_id"], 0
        else:
            process_id, step, _ = body["command_id"].rsplit(".", 2)
            following = STEPS.index(step) + 1
        if following < len(STEPS):
            step = STEPS[following]
            command = {
                "command_id": f"{process_id}.{step}.a1", "process_id": process_id, "step": step,
                "parameters": {"document_id": "doc123"}, "results": {}, "reply_key": "step",
            }  # fmt: skip
            await publish(commands, f"step.{step}.run", command, correlation_id=process_id)
        else:
            done = {"process_id": process_id}
            await publish(events, "process.document_analysis.completed", done, correlation_id=process_id)
        await message.ack()

    await queue.consume(relay)
    print(f"relaying for {prefix()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
