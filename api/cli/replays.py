"""Fold processes from the log, and compare their projections with what comes out."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from api.backends import StorePorts
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, progress, say, streamed
from api.cli.store import exported, on_histories, with_store
from api.cli.tables import plain
from saga.definition.catalog import Catalog
from saga.messages.json_text import Json, JsonObject, to_text
from saga.replay.history import StoredHistories
from saga.replay.replaying import Outcome, ReplayProcesses, Report, folded


def replay(output: Output, process_id: str | None, *, repair: bool) -> Exit:
    """Replay one process of the store, or all of them."""

    async def work(store: StorePorts) -> Exit:
        replaying = ReplayProcesses(StoredHistories(store.log, Catalog(store.definitions)), store.projections)
        if process_id is None:
            return await _replay_all(output, replaying, store, repair=repair)
        report = await replaying.one(process_id, repair=repair)
        if report is None:
            raise CommandError(Exit.NOT_FOUND, f"there is no process {process_id} in the store")
        with streamed(output, _lines) as put:
            put(report.document())
        return Exit.WELL if report.is_well else Exit.ERROR

    return with_store(work, may_write=repair)


def replay_file(output: Output, file: str) -> Exit:
    """Fold every process of an exported file."""
    histories = exported(Path(file))
    tally = _Tally()

    async def work() -> None:
        with streamed(output, _lines) as put, progress("replayed", None) as advance:
            async for history in histories.every():
                report = folded(history)
                tally.count(report)
                if not report.is_well:
                    put(report.document())
                advance()

    on_histories(work())
    return tally.exit()


class _Tally:
    """Count what many replays found."""

    def __init__(self) -> None:
        self._processes = self._events = self._repaired = self._wrong = 0

    def count(self, report: Report) -> None:
        """Count one process."""
        self._processes += 1
        self._events += report.events
        self._repaired += report.outcome is Outcome.REPAIRED
        self._wrong += not report.is_well

    def exit(self) -> Exit:
        """Say what was found, and give the exit code."""
        found = f"{self._processes} processes, {self._events} events: {self._wrong} differ"
        say(found + (f", {self._repaired} repaired" if self._repaired else ""))
        return Exit.ERROR if self._wrong else Exit.WELL


async def _replay_all(output: Output, replaying: ReplayProcesses, store: StorePorts, *, repair: bool) -> Exit:
    tally = _Tally()
    total = sum((await store.projections.counts()).values())
    with streamed(output, _lines) as put, progress("replayed", total) as advance:
        async for report in replaying.every(repair=repair):
            tally.count(report)
            if report.outcome is not Outcome.SAME:
                put(report.document())
            advance()
    return tally.exit()


def _lines(report: JsonObject) -> Iterator[str]:
    """Write one report: a line that says what was found, and one for each field that differs."""
    behind = f", {report['behind']} events behind" if report["behind"] else ""
    yield f"{plain(report['process_id'])} {plain(report['outcome'])}, {report['events']} events{behind}"
    problem = report["problem"]
    if isinstance(problem, dict):
        yield f"  {place(problem)}: {plain(problem['detail'])}"
    for one in cast("list[JsonObject]", report["differences"]):
        yield f"  {place(one)}: the log says {shown(one['log'])}, the projection {shown(one['found'])}"
    if report["unsent"]:
        yield f"  {report['unsent']} commands may never have been sent: `saga redrive` sends them"


def place(one: JsonObject) -> str:
    """Write at which event it is, and at which field."""
    return f"event {one['sequence']}" + (f", field {plain(one['field'])}" if one["field"] else "")


def shown(value: object) -> str:
    """Write a value on one line."""
    return "nothing" if value is None else plain(to_text(cast("Json", value)))
