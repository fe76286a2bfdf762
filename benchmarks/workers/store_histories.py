"""Store many processes with their logs, as copies of a few real ones under other ids.

Reads how many, and the number of the first, as JSON from its input. The documents are those that the product
stored itself, with another id in them wherever one stands; they are written in bulk, because to run so many
processes would take an hour.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence

from bson import json_util
from pymongo import MongoClient
from pymongo.database import Database

from saga.process.snapshot import to_snapshot, unsealed

_BATCH = 2_000


def _models(database: Database[dict[str, object]]) -> Sequence[tuple[str, str, list[str]]]:
    """Give each stored process: its id, its projection as text, and the documents of its log."""
    return [
        (
            str(projection["_id"]),
            json_util.dumps(projection),
            [json_util.dumps(one) for one in database["events"].find({"p": projection["_id"]})],
        )
        for projection in database["processes"].find().sort("_id", -1).limit(200)
    ]


def _copies(
    models: Sequence[tuple[str, str, list[str]]], numbers: range
) -> Iterator[tuple[dict[str, object], list[dict[str, object]]]]:
    for number in numbers:
        known, projection, events = models[number % len(models)]
        other = f"{number:08x}-0000-4000-8000-000000000000"
        copied = json_util.loads(projection.replace(known, other))
        copied["state"] = to_snapshot(unsealed(copied["state"]))  # its checksum is over the other id
        yield copied, [json_util.loads(one.replace(known, other)) for one in events]


def main(numbers: range) -> None:
    """Store them."""
    with MongoClient[dict[str, object]](os.environ["SAGA_MONGODB_URL"]) as client:
        database = client[os.environ["SAGA_MONGODB_DATABASE"]]
        models = _models(database)
        if not models:
            sys.exit("there is no process to copy")
        projections: list[dict[str, object]] = []
        events: list[dict[str, object]] = []
        for projection, log in _copies(models, numbers):
            projections.append(projection)
            events.extend(log)
            if len(projections) == _BATCH:
                database["processes"].insert_many(projections, ordered=False)
                database["events"].insert_many(events, ordered=False)
                projections, events = [], []
        if projections:
            database["processes"].insert_many(projections, ordered=False)
            database["events"].insert_many(events, ordered=False)
        stored = database["processes"].estimated_document_count()
    print(json.dumps({"stored": stored}))


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    main(range(given["first"], given["first"] + given["count"]))
