"""Move processes to another version of their definition: find them, say what fits, ask for it, see what came."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from saga.coordinator.outgoing import migrate_message
from saga.coordinator.rulings import Beginning
from saga.definition.catalog import Catalog
from saga.errors import BusUnavailable, UnknownDefinition, UnreadableLog
from saga.messages.json_text import Json, JsonObject
from saga.messages.migrate import MigrateCommand
from saga.ports.bus import MessageBus, PublishResult
from saga.ports.clock import Clock
from saga.ports.event_log import EventLog
from saga.ports.projections import Position, ProjectionFilter, ProjectionStore
from saga.process.events import Migrated, MigrationRejected
from saga.process.evolve import fold
from saga.process.status import ProcessStatus
from saga.replay.changes import Change, changes_ahead
from saga.replay.impact import why_not

RUNNING = tuple(str(status) for status in ProcessStatus if not status.is_ended)
_PAGE = 200
_LOOK_EVERY_S = 0.05


class Outcome(StrEnum):
    """Tell what became of the wish to move a process."""

    FITS = "fits"
    REFUSED = "refused"
    MIGRATED = "migrated"
    ASKED = "asked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Migration:
    """Hold what became of one process; `why` says why it was refused, `ahead` what it will do otherwise."""

    process_id: str
    outcome: Outcome
    status: str | None = None
    version: int = 0
    from_hash: str | None = None
    why: tuple[str, ...] = ()
    ahead: tuple[Change, ...] = ()

    @property
    def is_well(self) -> bool:
        """Say whether it was moved, or would be."""
        return self.outcome in {Outcome.FITS, Outcome.MIGRATED, Outcome.ASKED}

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "process_id": self.process_id,
            "outcome": str(self.outcome),
            "status": self.status,
            "from": self.from_hash,
            "why_not": list[Json](self.why),
            "ahead": [change.document() for change in self.ahead],
        }


class MigrateProcesses:
    """Move processes to one version. Whether it fits is judged here, and again by whoever takes the request."""

    def __init__(
        self, log: EventLog, projections: ProjectionStore, catalog: Catalog, target: Beginning
    ) -> None:
        self._log = log
        self._projections = projections
        self._catalog = catalog
        self._target = target

    async def matching(self, statuses: Collection[str], labels: Mapping[str, str]) -> AsyncIterator[str]:
        """Name the processes of the version's type that run, by a version that is another one."""
        known = self._target.known
        chosen = ProjectionFilter(
            statuses=tuple(statuses) or RUNNING,
            process_type=known.definition.process_type,
            labels=tuple(labels.items()),
        )
        after: Position | None = None
        while True:
            page = await self._projections.page(chosen, after=after, limit=_PAGE)
            for projection in page:
                if projection.definition_hash != known.hash:
                    yield projection.process_id
            if len(page) < _PAGE:
                return
            after = Position(page[-1].started_at, page[-1].process_id)

    async def judge(self, process_id: str) -> Migration:
        """Say whether the version fits a process as its log has it now. Nothing is asked."""
        try:
            state = fold(await self._log.read(process_id))
            if state is None:
                return Migration(process_id, Outcome.UNKNOWN, why=("there is no such process",))
            before = await self._catalog.get(state.origin.definition_hash)
        except (UnreadableLog, UnknownDefinition) as error:
            return Migration(process_id, Outcome.UNKNOWN, why=(str(error),))
        why = tuple(map(str, why_not(before, state, self._target)))
        return Migration(
            process_id,
            Outcome.REFUSED if why else Outcome.FITS,
            str(state.status),
            state.version,
            before.hash,
            why,
            () if why else changes_ahead(before.graph, self._target.known.graph, state),
        )

    async def ask(
        self, judged: Migration, bus: MessageBus, clock: Clock, *, reason: str, actor: str, within_s: float
    ) -> Migration:
        """Ask for it, and give what came of that as the log has it; ASKED where nobody took it in this time.

        Repeating it is safe. Raises BusUnavailable.
        """
        hash_ = self._target.known.hash
        # The same wish on the same version of the process is the same request.
        request_id = f"migrate:{hash_}:{judged.version}"
        command = MigrateCommand(judged.process_id, hash_, reason, request_id, actor)
        message = migrate_message(command, request_id=request_id, at=clock.now())
        if await bus.publish(replace(message, mandatory=True)) is PublishResult.RETURNED:
            raise BusUnavailable("the coordinators' queue is not there: start a server")
        try:
            async with asyncio.timeout(within_s):
                return await self._outcome(judged, request_id)
        except TimeoutError:
            return replace(judged, outcome=Outcome.ASKED)

    async def _outcome(self, judged: Migration, request_id: str) -> Migration:
        version = 0
        while True:
            for transition in await self._log.read(judged.process_id, version):
                for event in transition.events:
                    if not isinstance(event, Migrated | MigrationRejected) or event.request_id != request_id:
                        continue
                    if isinstance(event, Migrated):
                        return replace(judged, outcome=Outcome.MIGRATED)
                    return replace(judged, outcome=Outcome.REFUSED, why=(event.why,), ahead=())
                version = transition.last
            await asyncio.sleep(_LOOK_EVERY_S)
