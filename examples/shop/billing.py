"""The participant `billing` without the kit: a queue, a reply, and the order in which things happen.

This is what a participant in any language does: take a command, do the work, publish the reply and wait for
its confirm, and only then acknowledge the command.
"""  # noqa: INP001 - a program, not a package

import asyncio
import json
import os
from functools import partial
from typing import Any  # noqa: TID251 - JSON, as it came

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

SERVICE = "billing"
CREDIT = 1000

# By idempotency key; a real service keeps this in its database, in one transaction with the effect.
charged: dict[str, dict[str, Any]] = {}


def charge(command: dict[str, Any]) -> dict[str, Any]:
    """Give the reply's `output` or `error`; a repeated command gets the first answer again."""
    key = command["idempotency_key"]
    if key in charged:
        return {"output": charged[key]}
    amount = command["parameters"]["amount"]
    if amount > CREDIT:
        error = {"code": "card_declined", "message": f"{amount} is too much", "retryable": False}
        return {"error": error}
    charged[key] = {"receipt": f"receipt-{len(charged) + 1}"}
    return {"output": charged[key]}


async def answer(events: AbstractExchange, message: AbstractIncomingMessage) -> None:
    """Carry out one command; it is acknowledged only after its reply is confirmed."""
    command = json.loads(message.body)
    reply = {"command_id": command["command_id"], **charge(command)}
    word = "completed" if "output" in reply else "failed"
    await events.publish(
        aio_pika.Message(
            json.dumps(reply).encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        ),
        routing_key=f"{command['reply_key']}.{word}",
    )
    await message.ack()


async def main() -> None:
    """Serve until interrupted."""
    prefix = os.environ.get("SAGA_AMQP_PREFIX", "saga")
    connection = await aio_pika.connect_robust(os.environ["SAGA_AMQP_URL"])
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        await channel.set_qos(prefetch_count=10)
        # The same arguments as the orchestrator's: whoever comes first makes the queue.
        queue = await channel.declare_queue(
            f"{prefix}.step.{SERVICE}",
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": f"{prefix}.dead",
                "x-delivery-limit": 1000,
            },
        )
        events = await channel.get_exchange(f"{prefix}.events", ensure=False)
        await queue.consume(partial(answer, events))
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
