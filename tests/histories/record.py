"""Record the histories of this version: `python -m tests.histories.record`, once before each release.

They are those of simulated runs under faults: servers that die, messages that are lost, late or doubled,
people who cancel, pause, skip and resolve, locks, lists, children, questions, signals. Beside them stand those
of people who rerun and move processes. Seeds are taken until every event of the language stands in the file.
That of a released version is never written anew: what it decided stays.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from api.version import VERSION
from saga.definition.catalog import Catalog
from saga.process.codec import EVENT_NAMES, event_name
from saga.replay.exporting import ExportHistories, Written
from saga.replay.history import StoredHistories
from saga.replay.lines import end_line, header_line
from tests.histories.people import worked
from tests.simulation.plan import Plan
from tests.simulation.world import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga.ports.definitions import DefinitionStore

FOLDER = Path(__file__).parent
# At least so many runs, however soon all events are met.
SEEDS_MIN = 12


def lines() -> Iterator[str]:
    """Give the lines of a file with all events."""
    met: set[str] = set()
    yield header_line()
    written, seed = Written(), 0
    with TemporaryDirectory() as folder:
        yield from asyncio.run(_of_people(Path(folder), written, met))
    while seed < SEEDS_MIN or met < set(EVENT_NAMES):
        _, world = run(Plan.of(seed))
        histories = StoredHistories(world.log, world.catalog)
        names = asyncio.run(_names(histories))
        if seed < SEEDS_MIN or not names <= met:
            yield from asyncio.run(_exported(histories, world.definition_store, written))
            met |= names
        seed += 1
    yield end_line(written.processes)


async def _of_people(folder: Path, written: Written, met: set[str]) -> list[str]:
    async with worked(folder) as world:
        definitions = world.store.definitions
        histories = StoredHistories(world.store.log, Catalog(definitions))
        met |= await _names(histories)
        return await _exported(histories, definitions, written)


async def _names(histories: StoredHistories) -> set[str]:
    return {
        event_name(event)
        async for history in histories.every()
        for transition in history.whole()
        for event in transition.events
    }


async def _exported(histories: StoredHistories, definitions: DefinitionStore, written: Written) -> list[str]:
    exporting = ExportHistories(histories, definitions)
    found: list[str] = []
    async for line in exporting.lines(written=written):
        if not isinstance(line, str):
            raise line
        found.append(line)
    return found[:-1]  # the end is that of all of them


def main() -> int:
    """Write the file of this version."""
    file = FOLDER / f"{VERSION}.jsonl"
    if file.exists():
        sys.stderr.write(f"{file} is there already: what a version decided is never written anew\n")
        return 1
    file.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
