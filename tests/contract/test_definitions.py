"""The contract of the definitions: kept by hash, and one of each type is current."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.contract.factories import NASTY, definition

if TYPE_CHECKING:
    from tests.contract.conftest import Store


async def test_a_definition_comes_back_by_its_hash(store: Store) -> None:
    """The text is kept exactly; an unknown hash gives nothing."""
    written = definition("trip", NASTY)
    assert await store.definitions.register(written)
    assert await store.definitions.get(written.hash) == written
    assert await store.definitions.get("unknown") is None


async def test_a_new_hash_becomes_current(store: Store) -> None:
    """The one registered last is current, also when its time is not later than the one before."""
    old, new = definition("trip", "1"), definition("trip", "2", registered_at=999)
    await store.definitions.register(old)
    assert list(await store.definitions.current()) == [old]
    await store.definitions.register(new)
    assert list(await store.definitions.current()) == [new]


async def test_a_known_hash_changes_nothing(store: Store) -> None:
    """A server that starts with an older definition doesn't make it current again."""
    old, new = definition("trip", "1"), definition("trip", "2", registered_at=2_000)
    await store.definitions.register(old)
    await store.definitions.register(new)
    assert not await store.definitions.register(definition("trip", "1", registered_at=3_000))
    assert list(await store.definitions.current()) == [new]
    assert await store.definitions.get(old.hash) == old


async def test_a_restored_definition_is_current_only_where_its_type_has_no_other(store: Store) -> None:
    """Whatever its age; what is registered after it is current as ever, and a known one changes nothing."""
    first, second, third = (definition("trip", text, registered_at=5_000) for text in "123")
    assert await store.definitions.restore(first)
    assert list(await store.definitions.current()) == [first]
    assert await store.definitions.restore(second)
    assert not await store.definitions.restore(second)
    assert list(await store.definitions.current()) == [first]
    await store.definitions.register(third)
    assert list(await store.definitions.current()) == [third]
    assert await store.definitions.restore(definition("trip", "4", registered_at=9_000))
    assert list(await store.definitions.current()) == [third]
    assert await store.definitions.get(second.hash) == second


async def test_the_current_ones_come_in_the_order_of_their_types(store: Store) -> None:
    """Each type has one current definition, whatever the others do."""
    written = [definition(name) for name in ("trip", "analysis", "loan")]
    for item in written:
        await store.definitions.register(item)
    assert [item.process_type for item in await store.definitions.current()] == ["analysis", "loan", "trip"]


async def test_versions_come_newest_first(store: Store) -> None:
    """All definitions of a type, and none of another."""
    versions = [definition("trip", str(number), registered_at=number) for number in (1, 2, 3)]
    await store.definitions.register(definition("loan"))
    for item in versions:
        await store.definitions.register(item)
    assert list(await store.definitions.versions("trip")) == versions[::-1]
    assert list(await store.definitions.versions("nobody")) == []


async def test_of_concurrent_registrations_of_one_hash_one_is_new(store: Store) -> None:
    """Ten servers start at once with the same definition: it is stored once."""
    results = await asyncio.gather(*(store.definitions.register(definition("trip")) for _ in range(10)))
    assert sorted(results) == [False] * 9 + [True]
    assert list(await store.definitions.versions("trip")) == [definition("trip")]


async def test_an_empty_store_has_no_current_definition(store: Store) -> None:
    """Nothing is registered by itself."""
    assert list(await store.definitions.current()) == []


async def test_going_back_to_an_older_definition_is_explicit(store: Store) -> None:
    """A known hash becomes current by its own call; one that was never stored does not."""
    old, new = definition("trip", "1"), definition("trip", "2", registered_at=2_000)
    await store.definitions.register(old)
    await store.definitions.register(new)
    assert await store.definitions.make_current(old.hash)
    assert list(await store.definitions.current()) == [old]
    assert not await store.definitions.make_current("unknown")
    assert await store.definitions.make_current(new.hash)
    assert list(await store.definitions.current()) == [new]


async def test_a_type_is_paused_until_it_is_resumed(store: Store) -> None:
    """Pausing twice is pausing once; a type needs no definition to be paused."""
    assert list(await store.definitions.paused_types()) == []
    for name in ("trip", "loan", "trip"):
        await store.definitions.set_paused(name, paused=True)
    assert list(await store.definitions.paused_types()) == ["loan", "trip"]
    await store.definitions.set_paused("trip", paused=False)
    await store.definitions.set_paused("trip", paused=False)
    assert list(await store.definitions.paused_types()) == ["loan"]
