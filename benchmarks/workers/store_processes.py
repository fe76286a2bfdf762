"""Store many processes, as copies of a few real ones: other ids, times, types, labels and statuses.

Reads how many as JSON from its input. The documents are made by the product's own adapter, and are written in
bulk beside it, because to run a million processes would take an hour.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pymongo import MongoClient

from adapters.mongodb.projections import _document as document_of
from adapters.mongodb.store import MongoStore
from saga.ports.projections import Projection, ProjectionFilter

_BATCH = 5_000
_DAY_MS = 86_400_000
_DAYS = 30
_TYPES = 20
_CUSTOMERS = 10_000
_REGIONS = ("north", "south", "east", "west")
# Of a thousand processes; what has not ended is younger than a day.
_STATUSES = {"completed": 930, "compensated": 50, "started": 17, "failed": 2, "suspended": 1}
_FAR_MS = 365 * _DAY_MS


async def _models() -> Sequence[Projection]:
    store = await MongoStore.open(os.environ["SAGA_MONGODB_URL"], os.environ["SAGA_MONGODB_DATABASE"])
    try:
        return await store.projections.page(ProjectionFilter(), after=None, limit=100)
    finally:
        await store.close()


def _copies(models: Sequence[Projection], count: int, chance: random.Random) -> Iterator[Projection]:
    now = time.time_ns() // 1_000_000
    statuses = chance.choices(list(_STATUSES), list(_STATUSES.values()), k=count)
    for number, status in enumerate(statuses):
        is_open = status in {"started", "suspended"}
        started_at = now - chance.randrange(_DAY_MS if is_open else _DAYS * _DAY_MS)
        yield replace(
            models[number % len(models)],
            process_id=f"{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
            process_type=f"type_{chance.randrange(_TYPES):02d}",
            status=status,
            attention=status == "suspended",
            labels={
                "customer": str(chance.randrange(_CUSTOMERS)),
                "region": chance.choice(_REGIONS),
            },
            started_at=started_at,
            updated_at=started_at + 1_000,
            ended_at=None if is_open else started_at + 1_000,
            wake_at=now + _FAR_MS if status == "started" else None,
            wake_for="timeout" if status == "started" else None,
        )


def main(count: int) -> None:
    """Store them."""
    models = asyncio.run(_models())
    if not models:
        sys.exit("there is no process to copy")
    with MongoClient[dict[str, object]](os.environ["SAGA_MONGODB_URL"]) as client:
        processes = client[os.environ["SAGA_MONGODB_DATABASE"]]["processes"]
        batch: list[dict[str, object]] = []
        for copy in _copies(models, count, random.Random(7)):
            batch.append({"_id": copy.process_id, **document_of(copy)})
            if len(batch) == _BATCH:
                processes.insert_many(batch, ordered=False)
                batch = []
        if batch:
            processes.insert_many(batch, ordered=False)
        stored = processes.estimated_document_count()
    print(json.dumps({"stored": stored}))


if __name__ == "__main__":
    main(json.loads(sys.stdin.read())["count"])
