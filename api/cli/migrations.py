"""Move stored processes to another version of their definition: say what would be, or have it done."""

import getpass
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from api.backends import Backends, StorePorts
from api.cli.impacts import version_in
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, progress, say, streamed
from api.cli.store import with_backends, with_store
from api.cli.tables import plain
from saga.coordinator.rulings import Beginning
from saga.definition.catalog import Catalog, KnownDefinition
from saga.errors import UnknownDefinition
from saga.messages.json_text import JsonObject
from saga.usecases.migrate import RUNNING, MigrateProcesses, Migration, Outcome

# How long each request is followed until its process has it in its log.
FOLLOW_S = 10.0
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Hold which processes are meant: these, or all that run and match."""

    process_ids: Sequence[str]
    statuses: Sequence[str]
    labels: Mapping[str, str]


def migrate(
    output: Output, to: str, process_type: str | None, chosen: Chosen, *, reason: str, is_sure: bool
) -> Exit:
    """Judge each chosen process by the version; where somebody is sure, ask for what fits."""
    file = None if _HASH.fullmatch(to) else version_in(to, process_type)
    unknown = sorted(set(chosen.statuses) - set(RUNNING))
    if unknown:
        raise CommandError(Exit.USAGE, f"--status takes {', '.join(RUNNING)}, not {unknown[0]}")
    if chosen.process_ids and (chosen.statuses or chosen.labels):
        raise CommandError(Exit.USAGE, "name processes, or choose them with --status and --label")

    async def only_judge(store: StorePorts) -> Exit:
        catalog = Catalog(store.definitions)
        target = await _target(catalog, to, file)
        migrating = MigrateProcesses(store.log, store.projections, catalog, target)
        code = await _tell(output, _judged(migrating, chosen))
        say("nothing was changed: --yes moves those that fit")
        return code

    async def move(backends: Backends) -> Exit:
        catalog = Catalog(backends.definitions)
        if file is not None:
            await catalog.register([file.definition], at=backends.clock.now())
        target = await _target(catalog, to, file)
        migrating = MigrateProcesses(backends.log, backends.projections, catalog, target)
        follow_s = FOLLOW_S if await backends.bus.consumers() else 0

        async def moved() -> AsyncIterator[Migration]:
            async for judged in _judged(migrating, chosen):
                if judged.outcome is not Outcome.FITS:
                    yield judged
                    continue
                yield await migrating.ask(
                    judged, backends.bus, backends.clock, reason=reason, actor=_actor(), within_s=follow_s
                )

        return await _tell(output, moved())

    return with_backends(move) if is_sure else with_store(only_judge)


async def _target(catalog: Catalog, to: str, file: KnownDefinition | None) -> Beginning:
    try:
        await catalog.refresh()
        known = await catalog.get(to) if file is None else file
        return Beginning(known, catalog.pins(known))
    except UnknownDefinition as error:
        raise CommandError(Exit.NOT_FOUND, str(error)) from None


async def _judged(migrating: MigrateProcesses, chosen: Chosen) -> AsyncIterator[Migration]:
    if chosen.process_ids:
        for process_id in chosen.process_ids:
            yield await migrating.judge(process_id)
        return
    async for process_id in migrating.matching(chosen.statuses, chosen.labels):
        yield await migrating.judge(process_id)


async def _tell(output: Output, migrations: AsyncIterator[Migration]) -> Exit:
    counts: Counter[Outcome] = Counter()
    with streamed(output, _lines) as put, progress("judged", None) as advance:
        async for migration in migrations:
            counts[migration.outcome] += 1
            put(migration.document())
            advance()
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    say(told or "no process that runs is to be moved")
    return Exit.ERROR if counts[Outcome.REFUSED] or counts[Outcome.UNKNOWN] else Exit.WELL


def _lines(migration: JsonObject) -> Iterator[str]:
    yield f"{plain(migration['process_id'])} {plain(migration['status'])}: {plain(migration['outcome'])}"
    for why in cast("list[str]", migration["why_not"]):
        yield f"  {plain(why)}"
    for change in cast("list[JsonObject]", migration["ahead"]):
        words = ", ".join(cast("list[str]", change["words"]))
        yield f"  {plain(change['step']) or 'the process'} {plain(change['change'])} {plain(words)}".rstrip()


def _actor() -> str:
    """Name who asks: whoever is logged in on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "anybody"
