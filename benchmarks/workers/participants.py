"""The participants' half, the same for the relay and for Batuta: answer each command at once, durably.

Where the parameters name the service in `fail_at` it refuses for good; where they have a `text` it answers it.
"""

import asyncio
import json

import uvloop
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.plans import SERVICES
from benchmarks.workers.wire import open_channel, prefix, publish, quorum_queue, topic

_REFUSAL = {"code": "refused", "message": "it was asked to refuse", "retryable": False}


async def main() -> None:
    """Answer until killed."""
    channel = await open_channel()
    events = await topic(channel, "events")

    async def answer(service: str, message: AbstractIncomingMessage) -> None:
        command = json.loads(message.body)
        parameters = command["parameters"]
        reply: dict[str, object] = {"command_id": command["command_id"]}
        if parameters.get("fail_at") == service and command.get("kind", "action") == "action":
            outcome, reply["error"] = "failed", _REFUSAL
        else:
            text = parameters.get("text")
            outcome, reply["output"] = "completed", {"ok": True} if text is None else {"text": text}
        key = f"{command['reply_key']}.{outcome}"
        await publish(events, key, reply, correlation_id=command["process_id"])
        await message.ack()

    for service in SERVICES:

        async def take(message: AbstractIncomingMessage, service: str = service) -> None:
            await answer(service, message)

        await (await quorum_queue(channel, f"step.{service}")).consume(take)
    print(f"answering for {prefix()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
