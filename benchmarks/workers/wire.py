"""What the workers share: names, connections, durable confirmed publishing."""

import json
import os
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

_QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 1000}
_PREFETCH = 200


def prefix() -> str:
    """Give the prefix of all names, so that relay and Batuta never share a queue."""
    return os.environ["SAGA_AMQP_PREFIX"]


async def open_channel() -> AbstractChannel:
    """Connect; publishes on the channel are confirmed."""
    connection = await aio_pika.connect(os.environ["SAGA_AMQP_URL"])
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    await channel.set_qos(prefetch_count=_PREFETCH)
    return channel


async def topic(channel: AbstractChannel, name: str) -> AbstractExchange:
    """Declare a durable topic exchange."""
    return await channel.declare_exchange(f"{prefix()}.{name}", aio_pika.ExchangeType.TOPIC, durable=True)


async def quorum_queue(channel: AbstractChannel, name: str) -> AbstractQueue:
    """Declare a quorum queue with the arguments that Batuta uses."""
    arguments: dict[str, Any] = {**_QUORUM, "x-dead-letter-exchange": f"{prefix()}.dead"}
    return await channel.declare_queue(f"{prefix()}.{name}", durable=True, arguments=arguments)


async def publish(
    exchange: AbstractExchange, key: str, body: dict[str, object], *, correlation_id: str
) -> None:
    """Publish a persistent message and wait for the confirm."""
    message = aio_pika.Message(
        json.dumps(body).encode(),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        correlation_id=correlation_id,
        app_id="benchmark",
    )
    await exchange.publish(message, key, mandatory=key.startswith("step."))
