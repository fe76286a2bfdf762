"""The listing over every store: it gives what a plain look at each process gives, whatever is asked for."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from adapters.embedded import schema
from adapters.embedded.folder import FILE_NAME
from adapters.embedded.store import EmbeddedStore
from saga.ports.projections import Position, ProjectionFilter
from saga.process.status import ProcessStatus
from saga.testing import InMemoryProjectionStore
from tests.contract.factories import projection

if TYPE_CHECKING:
    from pathlib import Path

    from saga.ports.projections import Projection
    from tests.contract.conftest import Store

_Value = TypeVar("_Value")
_STATUSES = tuple(map(str, ProcessStatus))
_TYPES = ("trip", "loan", "order")
_LABELS = {"region": ("north", "south"), "customer": tuple("abcdefgh"), "": ("", "=")}


def _drawn_labels(chance: random.Random) -> dict[str, str]:
    return {key: chance.choice(values) for key, values in _LABELS.items() if chance.random() < 0.6}


def _drawn(chance: random.Random, process_id: str) -> Projection:
    return projection(
        process_id,
        process_type=chance.choice(_TYPES),
        status=chance.choice(_STATUSES),
        attention=chance.random() < 0.2,
        labels=_drawn_labels(chance),
        started_at=1_000 + chance.randrange(40),
    )


def _drawn_filter(chance: random.Random) -> ProjectionFilter:
    def maybe(value: _Value) -> _Value | None:
        return value if chance.random() < 0.3 else None

    labels = [*_drawn_labels(chance).items(), *_drawn_labels(chance).items()]
    return ProjectionFilter(
        statuses=tuple(chance.choices(_STATUSES, k=chance.choice((0, 0, 1, 2, 3)))),
        process_type=maybe(chance.choice((*_TYPES, "unknown"))),
        labels=tuple(chance.sample(labels, k=min(len(labels), chance.choice((0, 0, 1, 2, 3))))),
        attention=maybe(chance.random() < 0.5),
        started_after=maybe(1_000 + chance.randrange(40)),
        started_before=maybe(1_000 + chance.randrange(41)),
    )


async def test_any_filter_gives_what_a_plain_look_gives(store: Store) -> None:
    """Two hundred filters, from the top or from a place, where many processes started in the same moment."""
    chance = random.Random(11)
    plain = InMemoryProjectionStore()
    for number in range(300):
        one = _drawn(chance, f"p{chance.randrange(1_000):03d}-{number}")
        await plain.save(one)
    everything = await plain.page(ProjectionFilter(), after=None, limit=1_000)
    await asyncio.gather(*map(store.projections.save, everything))
    for _ in range(200):
        chosen = _drawn_filter(chance)
        place = chance.choice((None, *everything))
        after = None if place is None else Position(place.started_at, place.process_id)
        limit = chance.choice((1, 5, 50))
        expected = await plain.page(chosen, after=after, limit=limit)
        found = await store.projections.page(chosen, after=after, limit=limit)
        assert list(found) == list(expected), (chosen, after, limit)


async def test_a_newer_version_is_found_by_its_labels(store: Store) -> None:
    """And by those of the older version no more."""
    await store.projections.save(projection("p1", labels={"team": "red", "tier": "gold"}))
    await store.projections.save(projection("p1", 2, labels={"team": "blue", "tier": "gold"}))
    for team, expected in (("red", []), ("blue", ["p1"])):
        chosen = ProjectionFilter(labels=(("team", team), ("tier", "gold")))
        found = await store.projections.page(chosen, after=None, limit=10)
        assert [one.process_id for one in found] == expected


async def test_a_file_of_an_older_version_is_listed_by_label(tmp_path: Path) -> None:
    """The labels of the processes that it holds are found after the upgrade."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript(schema._TABLES + schema._SINCE_VERSION_2)
        connection.execute("INSERT INTO schema_version VALUES (2)")
        connection.execute(
            "INSERT INTO projections VALUES ('p1', 'trip', 'abc', 'started', 1, '{}', 1, '{\"team\": \"red\"}',"
            " 0, NULL, NULL, 1000, 1001, NULL, NULL, NULL)"
        )
        connection.commit()
    store = await EmbeddedStore.open(tmp_path)
    try:
        chosen = ProjectionFilter(labels=(("team", "red"),), process_type="trip")
        found = await store.projections.page(chosen, after=None, limit=10)
    finally:
        await store.close()
    assert found == [projection("p1", labels={"team": "red"})]
