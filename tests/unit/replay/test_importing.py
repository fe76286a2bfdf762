"""What is imported is what was exported; what is there already is left, and what went another way is refused."""

from dataclasses import replace

import pytest

from saga.errors import VersionConflict
from saga.process.evolve import fold
from saga.process.transition import Transition
from saga.replay.exporting import ExportHistories
from saga.replay.importing import Fate, Imported, ImportHistories
from saga.replay.lines import Line, read_lines
from tests.unit.replay.histories import booked, definition, paid
from tests.unit.replay.test_replaying import World, right


async def _lines(world: World) -> list[Line]:
    exporting = ExportHistories(world.histories, world.definitions)
    found = [line async for line in exporting.lines()]
    return list(read_lines([line for line in found if isinstance(line, str)], "x"))


async def _import(world: World, lines: list[Line]) -> list[Imported]:
    importing = ImportHistories(world.log, world.projections, world.definitions)
    return [one async for one in importing(lines)]


async def test_all_of_it_comes_over_with_projections_that_are_right() -> None:
    """Also of more processes than are in hand at once; again, all of it is there."""
    ids = [f"p{number:03d}" for number in range(120)]
    lines = await _lines(await World().has(*ids))
    world = World()
    assert await _import(world, lines) == [Imported(name, Fate.IMPORTED, 5) for name in ids]
    assert [await world.projections.load(name) for name in ids] == [right(name) for name in ids]
    assert list(await world.definitions.current()) == [definition()]
    assert await _import(world, lines) == [Imported(name, Fate.SAME) for name in ids]


async def test_a_process_that_went_on_is_left_as_it_is() -> None:
    """The file is older than what the store has of it."""
    lines = await _lines(await World().has("p1"))
    world = await World().has("p1")
    await world.log.append(paid()[-1])
    assert await _import(world, lines) == [Imported("p1", Fate.SAME)]
    assert list(await world.log.read("p1")) == paid()


async def test_only_what_is_missing_is_appended() -> None:
    """The projection follows."""
    lines = await _lines(await World().has("p1"))
    world = World()
    await world.log.append(booked()[0])
    assert await _import(world, lines) == [Imported("p1", Fate.IMPORTED, 4)]
    assert await world.projections.load("p1") == right()


async def test_a_process_that_went_another_way_is_refused() -> None:
    """By event and field; nothing of it is appended."""
    lines = await _lines(await World().has("p1", "p2"))
    world = World()
    first, second, _ = booked("p1")
    await world.log.append(first)
    await world.log.append(replace(second, at=second.at + 1))
    refused, taken = await _import(world, lines)
    assert refused.fate is Fate.REFUSED
    assert refused.problem is not None
    assert (refused.problem.sequence, refused.problem.field) == (2, "at")
    assert len(await world.log.read("p1")) == 2
    assert taken.fate is Fate.IMPORTED


async def test_a_process_that_somebody_appends_to_meanwhile_is_refused() -> None:
    """The other one's events stay."""
    lines = await _lines(await World().has("p1"))
    world = World()

    async def restore(transition: Transition, *_: Transition) -> None:
        raise VersionConflict(transition.process_id, transition.first)

    world.log.restore = restore  # type: ignore[method-assign]
    (refused,) = await _import(world, lines)
    assert refused.problem is not None
    assert refused.problem.sequence == 1


@pytest.mark.parametrize("damage", ["gap", "definition"])
async def test_what_can_not_be_read_is_refused(damage: str) -> None:
    """A gap in the file, and a definition that is neither in it nor in the store."""
    lines = await _lines(await World().has("p1"))
    del lines[2 if damage == "gap" else 0]
    (refused,) = await _import(World(), lines)
    assert refused.fate is Fate.REFUSED
    assert refused.problem is not None
    assert (refused.problem.sequence, refused.problem.field) == (
        (2, None) if damage == "gap" else (1, "definition_hash")
    )


async def test_the_current_definition_of_a_type_stands_first() -> None:
    """So that it is the current one also where it is imported, though no process follows it."""
    world = await World().has("p1")
    newer = definition("  - {name: only, service: one, action: do, compensation: undo}")
    await world.definitions.register(newer)
    lines = await _lines(world)
    assert lines[:2] == [newer, definition()]
    other = World()
    await _import(other, lines)
    assert list(await other.definitions.current()) == [newer]
    state = fold(await other.log.read("p1"))
    assert state is not None
    assert state.origin.definition_hash == definition().hash
