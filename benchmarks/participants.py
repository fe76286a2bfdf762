"""The participants' half, the same for the relay and for Batuta: answer each command at once, durably."""

import asyncio
import json

import uvloop
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.wire import STEPS, open_channel, prefix, publish, quorum_queue, topic


async def main() -> None:
    """Answer until killed."""
    channel = await open_channel()
    events = await topic(channel, "events")

    async def answer(message: AbstractIncomingMessage) -> None:
        command = json.loads(message.body)
        reply = {"command_id": command["command_id"], "output": {"ok": True}}
        await publish(
            events, f"{command['reply_key']}.completed", reply, correlation_id=command["process_id"]
        )
        await message.ack()

    for step in STEPS:
        await (await quorum_queue(channel, f"step.{step}")).consume(answer)
    print(f"answering for {prefix()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
