"""The catalog over the embedded store: which definition is current, and what stays known by its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.embedded.store import EmbeddedStore
from saga.definition.canonical import canonical_text, definition_hash
from saga.definition.catalog import Catalog
from saga.definition.sources import parse_definition
from saga.errors import UnknownDefinition
from saga.ports.definitions import StoredDefinition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.definition.model import SagaDefinition


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """Open a store of its own for the test."""
    opened = await EmbeddedStore.open(tmp_path)
    yield opened
    await opened.close()


def definition(action: str, process_type: str = "trip") -> SagaDefinition:
    """Make a definition that differs by its action."""
    step = f"{{name: a, service: s, action: {action}, compensation: none}}"
    return parse_definition(f"process_type: {process_type}\nsteps: [{step}]", source="trip.yaml")


def hash_of(one: SagaDefinition) -> str:
    """Give its hash."""
    return definition_hash(canonical_text(one))


def current_hash(catalog: Catalog) -> str:
    """Give the hash that a new process would start with."""
    known = catalog.current("trip")
    assert known is not None
    return known.hash


async def test_a_new_definition_becomes_current(store: EmbeddedStore) -> None:
    """The old one stays known by its hash, for the processes that run by it."""
    catalog = Catalog(store.definitions)
    await catalog.register([definition("one")], at=1)
    await catalog.register([definition("two")], at=2)

    assert current_hash(catalog) == hash_of(definition("two"))
    assert (await catalog.get(hash_of(definition("one")))).graph.nodes[0].action.action == "one"
    assert [stored.hash for stored in await catalog.versions("trip")] == [
        hash_of(definition("two")),
        hash_of(definition("one")),
    ]


async def test_a_known_hash_changes_nothing(store: EmbeddedStore) -> None:
    """An old server that restarts doesn't take the fleet back: going back needs the store's explicit word."""
    catalog = Catalog(store.definitions)
    for at, action in enumerate(("one", "two", "one"), start=1):
        await catalog.register([definition(action)], at=at)

    assert current_hash(catalog) == hash_of(definition("two"))
    assert len(await catalog.versions("trip")) == 2


async def test_another_servers_definition_is_seen_after_a_refresh(store: EmbeddedStore) -> None:
    """Each server has a catalog of its own over the one store."""
    mine, theirs = Catalog(store.definitions), Catalog(store.definitions)
    await theirs.register([definition("one")], at=1)
    before = mine.current("trip")
    await mine.refresh()

    assert before is None
    assert mine.types() == ("trip",)
    assert mine.services() == {"s"}
    assert await mine.get(hash_of(definition("one"))) is mine.current("trip")


async def test_an_unknown_hash_is_an_error(store: EmbeddedStore) -> None:
    """A process whose definition is lost can't go on, loudly."""
    with pytest.raises(UnknownDefinition):
        await Catalog(store.definitions).get("0" * 64)


async def test_a_definition_of_a_newer_version_hides_no_other(store: EmbeddedStore) -> None:
    """While versions run side by side, what this one can't read is unknown to it, and all else works."""
    text = '{"process_type":"newer","steps":[{"action":"x","name":"a","service":"s","galaxy":"far"}]}'
    await store.definitions.register(StoredDefinition(definition_hash(text), "newer", text, 1))
    catalog = Catalog(store.definitions)

    await catalog.register([definition("one")], at=2)

    assert catalog.types() == ("trip",)
    with pytest.raises(UnknownDefinition, match="upgrade"):
        await catalog.get(definition_hash(text))


async def test_a_definition_that_was_changed_where_it_is_stored_is_not_taken(store: EmbeddedStore) -> None:
    """Its processes would be judged by another one than theirs; who loads it at a start hears of it."""
    text = canonical_text(definition("one")).replace('"one"', '"two"')
    await store.definitions.register(StoredDefinition(hash_of(definition("one")), "trip", text, 1))
    catalog = Catalog(store.definitions)

    with pytest.raises(UnknownDefinition, match="was changed where it is stored"):
        await catalog.get(hash_of(definition("one")))
    with pytest.raises(UnknownDefinition, match="was changed where it is stored"):
        await catalog.register([definition("one")], at=2)


async def test_a_definition_that_is_stored_under_another_type_is_not_taken(store: EmbeddedStore) -> None:
    """New processes of that type would start with the steps of this one."""
    text = canonical_text(definition("one"))
    await store.definitions.register(StoredDefinition(definition_hash(text), "other", text, 1))

    with pytest.raises(UnknownDefinition, match="is that of trip, and stored as one of 'other'"):
        await Catalog(store.definitions).get(definition_hash(text))


async def test_equal_definitions_are_compiled_once(store: EmbeddedStore) -> None:
    """A hash means one definition for ever, so it is read once."""
    catalog = Catalog(store.definitions)
    await catalog.register([definition("one")], at=1)
    first = catalog.current("trip")
    await catalog.refresh()

    assert catalog.current("trip") is first
