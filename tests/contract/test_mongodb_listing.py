"""A page of processes is read from an index, in order: as much as the page holds, whatever is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo import AsyncMongoClient

from adapters.mongodb import MongoStore
from adapters.mongodb.projections import _document
from adapters.mongodb.queries import filter_query
from saga.ports.projections import Position, ProjectionFilter
from tests.contract.factories import projection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga.ports.projections import Projection

_STORED = 6_000
_PAGE = 20
# Beside the page: one entry for each range that is merged, and what an index leaves to the filter.
_ENTRIES_MAX = 3 * _PAGE
_COMPLETED = ("completed",)
_NORTH, _SOUTH, _LOAN = ("region", "north"), ("region", "south"), "loan"

_FILTERS = {
    "nothing": ProjectionFilter(),
    "a status": ProjectionFilter(statuses=_COMPLETED),
    "a rare status": ProjectionFilter(statuses=("suspended",)),
    "statuses": ProjectionFilter(statuses=("started", "suspended")),
    "a type": ProjectionFilter(process_type=_LOAN),
    "a type that is unknown": ProjectionFilter(process_type="unknown"),
    "a label": ProjectionFilter(labels=(_NORTH,)),
    "a label of one": ProjectionFilter(labels=(("order", "17"),)),
    "labels, one of them of one": ProjectionFilter(labels=(_NORTH, ("order", "18"))),
    "two values of a label": ProjectionFilter(labels=(_NORTH, _SOUTH)),
    "attention": ProjectionFilter(attention=True),
    "no attention": ProjectionFilter(attention=False),
    "a time": ProjectionFilter(started_after=2_000, started_before=2_010),
    "a type and a status": ProjectionFilter(process_type=_LOAN, statuses=("started",)),
    "a type and a status that none has": ProjectionFilter(process_type=_LOAN, statuses=_COMPLETED),
    "a type and statuses": ProjectionFilter(process_type="trip", statuses=("suspended", "completed")),
    "a type and attention that none has": ProjectionFilter(process_type=_LOAN, attention=True),
    "a status and attention that none has": ProjectionFilter(statuses=_COMPLETED, attention=True),
    "a label and a status": ProjectionFilter(labels=(_NORTH,), statuses=_COMPLETED),
    "a label and a rare status": ProjectionFilter(labels=(_SOUTH,), statuses=("suspended",)),
    "a label and a type that none has": ProjectionFilter(labels=(_SOUTH,), process_type=_LOAN),
    "a label, a type and a status": ProjectionFilter(
        labels=(_NORTH,), process_type="trip", statuses=_COMPLETED
    ),
    "a label and a time": ProjectionFilter(labels=(_SOUTH,), started_after=2_000, started_before=2_020),
    "a type, a status and a time": ProjectionFilter(
        process_type="trip", statuses=_COMPLETED, started_before=2_000
    ),
}


def _projections() -> Iterator[Projection]:
    for number in range(_STORED):
        is_loan = number % 3 == 0
        status = "suspended" if number % 100 == 1 else "started" if is_loan else "completed"
        yield projection(
            f"p{number:05d}",
            process_type=_LOAN if is_loan else "trip",
            status=status,
            attention=status == "suspended" and not is_loan,
            labels={"region": "north" if is_loan or number % 2 else "south", "order": str(number)},
            started_at=1_000 + number,
        )


@pytest.mark.parametrize("after", [None, Position(4_000, "p03000")], ids=["first", "deep"])
async def test_a_page_reads_about_what_it_gives(
    mongodb_url: str, mongodb_database: str, after: Position | None
) -> None:
    """For each filter, also where many processes match one of its conditions and none matches all."""
    store = await MongoStore.open(mongodb_url, mongodb_database)
    await store.close()
    documents = [{"_id": one.process_id, **_document(one)} for one in _projections()]
    read: dict[str, int] = {}
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    async with client:
        database = client[mongodb_database]
        await database["processes"].insert_many(documents)
        for name, chosen in _FILTERS.items():
            find = {
                "find": "processes",
                "filter": filter_query(chosen, after),
                "sort": {"started_at": -1, "_id": -1},
                "limit": _PAGE,
            }
            told = await database.command({"explain": find, "verbosity": "executionStats"})
            read[name] = told["executionStats"]["totalKeysExamined"]
    assert {name: count for name, count in read.items() if count > _ENTRIES_MAX} == {}
