"""What another version of a definition would mean for the processes that are recorded.

Three questions to each, answered by the code that runs in production: whether it would have been decided
otherwise so far, whether it could go on by the version from where it stands, and what of that which is still to
come differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from saga.coordinator.admitted import AdmittedMigration
from saga.coordinator.rulings import Beginning, migration
from saga.definition.catalog import KnownDefinition
from saga.errors import UnknownDefinition, UnreadableLog
from saga.messages.json_text import Json, JsonObject
from saga.messages.migrate import MigrateCommand
from saga.process.evolve import fold
from saga.process.fitting import Misfit, misfits
from saga.process.migrating import why_not_migrated
from saga.process.state import ProcessState
from saga.replay.changes import Change, changes_ahead
from saga.replay.history import Histories, History
from saga.replay.verifying import DecisionDifference, Verification


class Effect(StrEnum):
    """Tell what a version means for a process."""

    UNAFFECTED = "unaffected"
    DIFFERS = "differs"
    CANNOT_GO_ON = "cannot_go_on"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Impact:
    """Hold what a version means for one process.

    `difference` is the first decision that would have been another one, `misfits` say why the process can't go
    on, `ahead` what differs of that which a running one has still before it.
    """

    process_id: str
    effect: Effect
    events: int
    status: str | None = None
    is_running: bool = False
    difference: DecisionDifference | None = None
    misfits: tuple[Misfit, ...] = ()
    ahead: tuple[Change, ...] = ()
    problem: str | None = None

    @property
    def step(self) -> str | None:
        """Name the step with which the difference begins: what would have been done, or was."""
        if self.difference is None:
            return None
        then, now = self.difference.then, self.difference.now
        place = self.difference.sequence - self.difference.first
        steps = [one[place].get("step") for one in (then, now) if place < len(one)]
        return next((str(step) for step in steps if step is not None), None)

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {
            "process_id": self.process_id,
            "effect": str(self.effect),
            "status": self.status,
            "is_running": self.is_running,
            "events": self.events,
            "step": self.step,
            "difference": None if self.difference is None else self.difference.document(),
            "why_not": list[Json](map(str, self.misfits)),
            "ahead": [change.document() for change in self.ahead],
            "problem": self.problem,
        }


@dataclass
class Impacts:
    """Judge processes of one type by a version; `children` pins the definitions of those that it starts."""

    histories: Histories
    version: KnownDefinition
    children: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = {self.version.definition.process_type: self.version}
        self._verification = Verification(self.histories, others)

    async def judge(self, history: History) -> Impact | None:
        """Judge one process; None for one of another type. Raises StoreUnavailable."""
        try:
            state = fold(history.whole())
            verified = await self._verification.verify(history)
            if state is None or verified is None:
                return None
            before = await self.histories.definition(state.origin.definition_hash)
        except (UnreadableLog, UnknownDefinition) as error:
            return Impact(history.process_id, Effect.UNREADABLE, history.version, problem=str(error))
        difference = next(iter(verified.differences), None)
        found = self._misfits(before, state)
        effect = Effect.UNAFFECTED if difference is None else Effect.DIFFERS
        return Impact(
            process_id=history.process_id,
            effect=Effect.CANNOT_GO_ON if found else effect,
            events=history.version,
            status=str(state.status),
            is_running=not state.status.is_ended,
            difference=difference,
            misfits=found,
            ahead=() if found else changes_ahead(before.graph, self.version.graph, state),
        )

    def _misfits(self, before: KnownDefinition, state: ProcessState) -> tuple[Misfit, ...]:
        if before.hash == self.version.hash:
            return ()
        if state.status.is_ended:
            return misfits(before.graph, self.version.graph, state)
        return why_not(before, state, Beginning(self.version, self.children))


def why_not(before: KnownDefinition, state: ProcessState, target: Beginning) -> tuple[Misfit, ...]:
    """Say why a process could not be moved to a version now; nothing where it could. Nothing is asked."""
    command = MigrateCommand(state.process_id, target.known.hash, "")
    request = migration(AdmittedMigration(state.process_id, command, "", "", ""), state, target)
    return why_not_migrated(before.graph, state, request, state.updated_at)
