"""Names on the broker that belong to one test."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import aio_pika

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIXED_QUEUES = ("coordinator", "dead-letter")
_EXCHANGES = ("commands", "events", "dead")
_SERVICES_OF_THE_DEMO = ("ingestion", "analysis", "indexing", "hotel", "car", "flight", "payment")


def delete_names(url: str, prefix: str, *, services: Iterable[str] = _SERVICES_OF_THE_DEMO) -> None:
    """Delete the queues and exchanges that the product declares under this prefix; absent ones are no error.

    AMQP can't list queues, so those of other services stay; the shared node of the tests lets them expire.
    """
    # In a thread of its own: the caller may be a fixture around a test whose event loop must stay untouched.
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, _delete(url, prefix, list(services))).result()


async def _delete(url: str, prefix: str, services: list[str]) -> None:
    queues = [f"{prefix}.{name}" for name in _FIXED_QUEUES] + [f"{prefix}.step.{name}" for name in services]
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=False)
        for queue in queues:
            await channel.queue_delete(queue)
        for exchange in _EXCHANGES:
            await channel.exchange_delete(f"{prefix}.{exchange}")
