"""Fold processes from their logs and compare them with their projections; where it is asked, write these anew.

Nothing is sent. The log is only read, and what a coordinator writes meanwhile is never overwritten.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from enum import StrEnum

from saga.errors import UnknownDefinition, UnreadableLog
from saga.messages.json_text import JsonObject
from saga.ports.projections import Projection, ProjectionStore
from saga.replay.difference import Difference
from saga.replay.history import Histories, History, states
from saga.replay.projections import Compared, compare, points


class Outcome(StrEnum):
    """Say what a replay found.

    SAME: the projection is what the log amounts to. DIFFERENT: it is not, or is missing. REPAIRED: it was not,
    and was written anew. UNREADABLE: the log can't be folded. NO_LOG: there is a projection, and no log.
    """

    SAME = "same"
    DIFFERENT = "different"
    REPAIRED = "repaired"
    UNREADABLE = "unreadable"
    NO_LOG = "no_log"


@dataclass(frozen=True, slots=True)
class Problem:
    """Say at which event, and at which of its fields where one is known, a process can't be read, and why."""

    sequence: int
    field: str | None
    detail: str

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {"sequence": self.sequence, "field": self.field, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Report:
    """Hold what the replay of one process found; see `Compared` for `behind` and `unsent`."""

    process_id: str
    outcome: Outcome
    events: int = 0
    differences: tuple[Difference, ...] = ()
    behind: int = 0
    unsent: int = 0
    problem: Problem | None = None

    @property
    def is_well(self) -> bool:
        """Say whether the projection is right now."""
        return self.outcome in (Outcome.SAME, Outcome.REPAIRED)

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "process_id": self.process_id,
            "outcome": str(self.outcome),
            "events": self.events,
            "differences": [one.document() for one in self.differences],
            "behind": self.behind,
            "unsent": self.unsent,
            "problem": None if self.problem is None else self.problem.document(),
        }


def folded(history: History) -> Report:
    """Fold a history that has no projection beside it, such as one of an exported file."""
    try:
        count = sum(1 for _ in states(history))
    except UnreadableLog as error:
        return unreadable(history, error)
    return Report(history.process_id, Outcome.SAME, count)


def unreadable(history: History, error: UnreadableLog) -> Report:
    """Report a log that can't be read."""
    problem = Problem(error.number, error.field, error.problem)
    return Report(history.process_id, Outcome.UNREADABLE, history.version, problem=problem)


class ReplayProcesses:
    """Replay the processes of a store."""

    def __init__(self, histories: Histories, projections: ProjectionStore) -> None:
        self._histories = histories
        self._projections = projections

    async def one(self, process_id: str, *, repair: bool = False) -> Report | None:
        """Replay one process; None where neither a log nor a projection is there. Raises StoreUnavailable."""
        while True:
            # In this order: whatever a coordinator writes in between, the log is never behind the projection.
            projection = await self._projections.load(process_id)
            history = await self._histories.one(process_id)
            if history is None:
                return None if projection is None else _without_log(projection)
            compared = await self._compared(history, projection)
            if isinstance(compared, Report):
                return compared
            report = _report(history, compared)
            if report.is_well or not repair:
                return report
            seen = 0 if projection is None else projection.version
            if await self._projections.rewrite(compared.right, seen=seen):
                return replace(report, outcome=Outcome.REPAIRED)

    async def every(self, *, repair: bool = False, after: str = "") -> AsyncIterator[Report]:
        """Replay each process behind the id `after`, one at a time. Raises StoreUnavailable.

        Logs and projections are streamed side by side. They are not of one moment: what looks wrong is looked
        at once more by itself.
        """
        stored = _InStep(self._projections.read_all(after))
        async for history in self._histories.every(after):
            async for lone in stored.before(history.process_id):
                report = await self.one(lone.process_id)
                if report is not None and report.outcome is Outcome.NO_LOG:
                    yield report
            yield await self._next(history, await stored.of(history.process_id), repair=repair)
        async for lone in stored.before(None):
            report = await self.one(lone.process_id)
            if report is not None and report.outcome is Outcome.NO_LOG:
                yield report

    async def _next(self, history: History, projection: Projection | None, *, repair: bool) -> Report:
        compared = await self._compared(history, projection)
        report = compared if isinstance(compared, Report) else _report(history, compared)
        if report.is_well:
            return report
        return await self.one(history.process_id, repair=repair) or report

    async def _compared(self, history: History, projection: Projection | None) -> Compared | Report:
        try:
            at = points(history, projection)
            known = [await self._histories.definition(hash_) for hash_ in at.definitions]
            return compare(at, {one.hash: one.graph for one in known})
        except UnreadableLog as error:
            return unreadable(history, error)
        except UnknownDefinition as error:
            problem = Problem(1, "definition_hash", str(error))
            return Report(history.process_id, Outcome.UNREADABLE, history.version, problem=problem)


class _InStep:
    """Follow the projections in the order of their ids, in step with the logs."""

    def __init__(self, projections: AsyncIterator[Projection]) -> None:
        self._projections = projections
        self._next: Projection | None = None
        self._is_done = False

    async def before(self, process_id: str | None) -> AsyncIterator[Projection]:
        """Give those that stand before a process, or all that are left."""
        while (projection := await self._peek()) is not None:
            if process_id is not None and projection.process_id >= process_id:
                return
            self._next = None
            yield projection

    async def of(self, process_id: str) -> Projection | None:
        """Give that of a process, if it comes now."""
        projection = await self._peek()
        if projection is None or projection.process_id != process_id:
            return None
        self._next = None
        return projection

    async def _peek(self) -> Projection | None:
        if self._next is None and not self._is_done:
            self._next = await anext(self._projections, None)
            self._is_done = self._next is None
        return self._next


def _report(history: History, compared: Compared) -> Report:
    return Report(
        process_id=history.process_id,
        outcome=Outcome.DIFFERENT if compared.differences else Outcome.SAME,
        events=history.version,
        differences=compared.differences,
        behind=compared.behind,
        unsent=compared.unsent,
    )


def _without_log(projection: Projection) -> Report:
    # It may be all that is left of the process: nothing deletes it.
    detail = "no event of it is in the log: the projection is left as it is, restore the log by `saga import`"
    return Report(projection.process_id, Outcome.NO_LOG, problem=Problem(1, None, detail))
