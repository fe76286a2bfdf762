"""Publish again the commands that are outstanding: the stored bytes, under the same ids, each confirmed.

After a broker was lost with what it held, say. What was not lost arrives twice, and whoever takes it knows the
command by its id.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from saga.coordinator.outgoing import command_message
from saga.errors import UnreadableLog
from saga.messages.command import Command
from saga.messages.json_text import Json, JsonObject, from_text
from saga.ports.bus import MessageBus, PublishResult
from saga.ports.event_log import EventLog
from saga.ports.projections import Position, ProjectionFilter, ProjectionStore
from saga.process.effects import awaited, outstanding
from saga.process.evolve import fold
from saga.process.state import ProcessState
from saga.process.status import ProcessStatus
from saga.process.transition import Transition

_PAGE = 200
# How many processes are read, and have their commands published, at once.
AT_ONCE = 32
OPEN = (ProcessStatus.STARTED, ProcessStatus.COMPENSATING, ProcessStatus.SUSPENDED)


class Sent(StrEnum):
    """Tell what became of a command."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class Redriven:
    """Hold what was done for one process; `problem` says why its commands are not known."""

    process_id: str
    status: str | None
    commands: tuple[tuple[Command, Sent], ...] = ()
    problem: str | None = None

    def count(self, sent: Sent) -> int:
        """Count the commands of which this became."""
        return sum(found is sent for _, found in self.commands)

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        commands: list[Json] = [
            {"command_id": command.command_id, "routing_key": command.routing_key, "outcome": str(sent)}
            for command, sent in self.commands
        ]
        return {
            "process_id": self.process_id,
            "status": self.status,
            "commands": commands,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class _Outstanding:
    """One command to publish again, with whose it is and when it was decided."""

    state: ProcessState
    command: Command
    at: int


class RedriveProcesses:
    """Read what is outstanding, and publish it, or without a bus only tell; nothing is written to the store."""

    def __init__(self, log: EventLog, projections: ProjectionStore, bus: MessageBus | None) -> None:
        self._log = log
        self._projections = projections
        self._bus = bus

    async def one(self, process_id: str) -> Redriven | None:
        """Redrive one process; None for one that was never accepted. Raises StoreUnavailable, BusUnavailable.

        Nothing of an ended process is outstanding, and nothing of a paused one is sent before it is resumed.
        """
        try:
            transitions = await self._log.read(process_id)
            state = fold(transitions)
            if state is None:
                return None
            found = await self._outstanding(state, transitions) if state.status in OPEN else []
        except UnreadableLog as error:
            return Redriven(process_id, None, problem=str(error))
        sent = await asyncio.gather(*map(self._publish, found))
        commands = tuple((one.command, result) for one, result in zip(found, sent, strict=True))
        return Redriven(process_id, str(state.status), commands)

    async def every(self, chosen: ProjectionFilter) -> AsyncIterator[Redriven]:
        """Redrive all that match, some at once; repeating it after a failure is safe. Raises as `one`."""
        async for ids in self._matching(chosen):
            for first in range(0, len(ids), AT_ONCE):
                some = ids[first : first + AT_ONCE]
                for redriven in await asyncio.gather(*(self.one(each) for each in some)):
                    if redriven is not None:
                        yield redriven

    async def _outstanding(
        self, state: ProcessState, transitions: Sequence[Transition]
    ) -> Sequence[_Outstanding]:
        found = [
            _Outstanding(state, command, transition.at)
            for transition in transitions
            for command in outstanding(state, transition.commands)
            if command.is_answered and _is_whole(command, transition)
        ]
        for child in dict.fromkeys(_children(found)):
            found += await self._answers_of(child, state)
        return found

    async def _answers_of(self, child: str, parent: ProcessState) -> list[_Outstanding]:
        """Give what an ended process answered its parent, which still waits for it: the answer was lost."""
        waiting = {ref.command_id for ref in awaited(parent)}
        transitions = await self._log.read(child)
        state = fold(transitions)
        return [
            _Outstanding(state, command, transition.at)
            for transition in transitions
            for command in transition.commands
            if state is not None and command.is_reply and command.concerns in waiting
        ]

    async def _publish(self, one: _Outstanding) -> Sent:
        if self._bus is None:
            return Sent.NOT_SENT
        result = await self._bus.publish(command_message(one.state, one.command, at=one.at))
        return Sent.CONFIRMED if result is PublishResult.CONFIRMED else Sent.RETURNED

    async def _matching(self, chosen: ProjectionFilter) -> AsyncIterator[Sequence[str]]:
        after: Position | None = None
        while True:
            page = await self._projections.page(chosen, after=after, limit=_PAGE)
            yield [projection.process_id for projection in page]
            if len(page) < _PAGE:
                return
            after = Position(page[-1].started_at, page[-1].process_id)


def _is_whole(command: Command, transition: Transition) -> bool:
    """Raise UnreadableLog for a command that was damaged: who gets it could do nothing with it."""
    try:
        body = from_text(command.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        problem = f"the command {command.command_id} is no JSON object"
        raise UnreadableLog(transition.process_id, transition.first, problem, field="commands.body")
    return True


def _children(found: Sequence[_Outstanding]) -> Iterator[str]:
    for one in found:
        if one.command.routing_key.startswith("process."):
            yield str(cast("JsonObject", from_text(one.command.body))["process_id"])
