"""Publish the outstanding commands of stored processes again, on the broker that the settings name."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import cast

from api.backends import Backends
from api.cli.app import Chosen
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, progress, say, streamed
from api.cli.store import with_backends, with_store
from api.cli.tables import plain
from api.problems import Problem
from api.query import point_in_time
from saga.definition.catalog import Catalog
from saga.errors import BusUnavailable
from saga.messages.json_text import JsonObject
from saga.ports.bus import MessageBus
from saga.ports.event_log import EventLog
from saga.ports.projections import ProjectionFilter, ProjectionStore
from saga.process.status import ProcessStatus
from saga.replay.redriving import OPEN, Redriven, RedriveProcesses, Sent

EVERY = ProjectionFilter(statuses=tuple(map(str, OPEN)))
_WORDS = {
    Sent.CONFIRMED: "published",
    Sent.RETURNED: "came back, as no queue takes them",
    Sent.NOT_SENT: "would be published",
}


def redrive(output: Output, process_id: str | None, chosen: ProjectionFilter, *, dry_run: bool) -> Exit:
    """Redrive one process, or all that match."""
    if dry_run:
        return with_store(
            lambda store: _redrive(output, process_id, chosen, store.projections, store.log, bus=None)
        )

    async def work(backends: Backends) -> Exit:
        catalog = Catalog(backends.definitions)
        await catalog.refresh()
        # A broker that lost its messages may have lost its queues too.
        await backends.bus.declare(catalog.services())
        return await _redrive(
            output, process_id, chosen, backends.projections, backends.log, bus=backends.bus
        )

    return with_backends(work)


def filter_of(chosen: Chosen) -> ProjectionFilter:
    """Read what processes are meant; those that have commands to send, where no status is named."""
    unknown = set(chosen.status) - set(map(str, ProcessStatus))
    if unknown:
        raise CommandError(Exit.USAGE, f"--status is one of {', '.join(sorted(map(str, ProcessStatus)))}")
    labels = [text.partition(":") for text in chosen.label]
    if any(not key or not colon for key, colon, _ in labels):
        raise CommandError(Exit.USAGE, "--label is key:value")
    try:
        return ProjectionFilter(
            statuses=tuple(chosen.status) or EVERY.statuses,
            process_type=chosen.process_type,
            labels=tuple((key, value) for key, _, value in labels),
            attention=chosen.attention or None,
            started_after=point_in_time("started_after", chosen.started_after),
            started_before=point_in_time("started_before", chosen.started_before),
        )
    except Problem as problem:
        raise CommandError(Exit.USAGE, problem.detail) from None


async def _redrive(
    output: Output,
    process_id: str | None,
    chosen: ProjectionFilter,
    projections: ProjectionStore,
    log: EventLog,
    *,
    bus: MessageBus | None,
) -> Exit:
    redriving = RedriveProcesses(log, projections, bus)
    if process_id is None:
        return await _told(output, redriving.every(chosen), await _total(projections, chosen))
    redriven = await redriving.one(process_id)
    if redriven is None:
        raise CommandError(Exit.NOT_FOUND, f"there is no process {process_id} in the store")
    return await _told(output, _alone(redriven), 1)


async def _total(projections: ProjectionStore, chosen: ProjectionFilter) -> int | None:
    """Count what matches, where the counts tell it."""
    if chosen.labels or chosen.attention or chosen.started_after or chosen.started_before:
        return None
    return sum(
        count
        for (process_type, status), count in (await projections.counts()).items()
        if status in chosen.statuses and chosen.process_type in {None, process_type}
    )


async def _alone(redriven: Redriven) -> AsyncIterator[Redriven]:
    yield redriven


async def _told(output: Output, all_redriven: AsyncIterator[Redriven], total: int | None) -> Exit:
    processes = 0
    commands: Counter[Sent] = Counter()
    unreadable = 0
    try:
        with streamed(output, _lines) as put, progress("redriven", total) as advance:
            async for redriven in all_redriven:
                processes += 1
                commands.update(sent for _, sent in redriven.commands)
                unreadable += redriven.problem is not None
                if redriven.commands or redriven.problem is not None or total == 1:
                    put(redriven.document())
                advance()
    except BusUnavailable as error:
        say(f"{commands[Sent.CONFIRMED]} commands were published before: repeating it is safe")
        raise CommandError(Exit.NOT_REACHABLE, f"the broker is not reachable: {error}") from None
    words = [f"{commands[sent]} {word}" for sent, word in _WORDS.items() if commands[sent]]
    said = f"{processes} processes, {commands.total()} commands outstanding"
    say(": ".join([said, ", ".join(words)]) if words else said)
    if unreadable:
        say(f"{unreadable} logs can't be read")
    return Exit.ERROR if unreadable or commands[Sent.RETURNED] else Exit.WELL


def _lines(redriven: JsonObject) -> Iterator[str]:
    yield f"{plain(redriven['process_id'])} {plain(redriven['problem'] or redriven['status'])}"
    for command in cast("list[JsonObject]", redriven["commands"]):
        words = (command["command_id"], command["routing_key"], command["outcome"])
        yield f"  {' '.join(map(plain, words))}"
