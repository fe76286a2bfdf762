"""A process as a test sees it, and what the test does to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from saga.messages.command import CommandRef, parse_command_id
from saga.messages.control import ControlCommand
from saga.messages.json_text import Json, JsonObject, from_text, to_text
from saga.messages.start import id_for_child
from saga.process.state import ProcessState
from saga.process.status import Direction, ProcessStatus
from saga.views.words import COMPENSATION_WORDS, STEP_WORDS

if TYPE_CHECKING:
    from saga.testing.harness import Harness

WITHIN_S = 366 * 86_400.0
_ACTOR = "test"
_WAITING = "waiting"


class StandsStill(AssertionError):  # noqa: N818 - what is the case with the process
    """Say that a process does not come to where a test waits for it, and what it waits for itself."""


@dataclass(frozen=True, slots=True)
class StepSeen:
    """Hold where one step stands; `compensation` is the status of its undo, None where none is planned."""

    status: str
    attempts: int
    output: Json
    error: Json
    compensation: str | None
    command_id: str | None

    @property
    def error_code(self) -> str | None:
        """Give the code of its last failure; None where there was none."""
        return str(self.error["code"]) if isinstance(self.error, dict) else None


class HarnessProcess:
    """One process of a harness. What it shows is read anew each time, from its log."""

    def __init__(self, process_id: str, harness: "Harness") -> None:
        self.process_id = process_id
        self._harness = harness

    @property
    def document(self) -> JsonObject:
        """Give everything that is known of it, in the shape of `GET /process/{id}`."""
        return self._harness.run(self._document())

    @property
    def status(self) -> str:
        """Give its status: started, compensating, suspended, paused, completed, compensated, failed."""
        return str(self.document["status"])

    @property
    def result(self) -> Json:
        """Give what it gave; None before it completed, or where its definition has no `result`."""
        return self.document["result"]

    @property
    def events(self) -> list[JsonObject]:
        """Give its log, entry by entry, as `GET /process/{id}/events` does."""
        return self._harness.run(self._harness.read.events(self.process_id)) or []

    @property
    def event_types(self) -> list[str]:
        """Name the entries of its log, in their order."""
        return [str(event["type"]) for event in self.events]

    def step(self, name: str) -> StepSeen:
        """Give where a step stands, or one item of it: `parcel[2]`. Raises KeyError for one that isn't there."""
        if name.endswith("]"):
            return self._item(name)
        for step in cast("list[JsonObject]", self.document["steps"]):
            if step["name"] == name:
                undo = cast("JsonObject | None", step["compensation"])
                return StepSeen(
                    status=str(step["status"]),
                    attempts=cast("int", step["attempt"]),
                    output=step["output"],
                    error=step["error"],
                    compensation=None if undo is None else str(undo["status"]),
                    command_id=cast("str | None", step["command_id"]),
                )
        raise KeyError(self._no_such(name))

    def child(self, step: str) -> "HarnessProcess":
        """Give the process that carries out a step, that of its latest attempt.

        Raises StandsStill where there is none, because it was not started yet or a service carries the step out;
        KeyError for a step that isn't there.
        """
        command_id = self.step(step).command_id
        child = None if command_id is None else HarnessProcess(id_for_child(command_id), self._harness)
        if child is None or not child.events:
            raise StandsStill(f"no process carries out {step!r} of {self.process_id}: {self.event_types}")
        return child

    def ends(self, *, within: float = WITHIN_S) -> Self:
        """Let things happen until it has ended, at most for so many seconds of virtual time: by itself a year.

        Raises StandsStill, where it does not end or nothing is left to happen, and UnscriptedCommand.
        """
        return self._wait("an end", lambda state: state.status.is_ended, within)

    def reaches(self, status: str, *, within: float = WITHIN_S) -> Self:
        """Let things happen until it has this status. Raises StandsStill, UnscriptedCommand, and ValueError."""
        if status not in set(ProcessStatus):
            raise ValueError(f"a process is never {status!r}, but {', '.join(ProcessStatus)}")
        return self._wait(f"being {status}", lambda state: state.status == status, within)

    def ask(
        self,
        action: str,
        *,
        reason: str = "asked by a test",
        step: str | None = None,
        output: Json = None,
        outcome: str | None = None,
    ) -> Self:
        """Ask for an operator's action: cancel, pause, resume, retry, skip, resolve, compensate, fail.

        Raises NotAllowedNow with what is allowed, as `POST /process/{id}/{action}` answers 409.
        """
        text = None if output is None else to_text(output)
        command = ControlCommand(
            action, self.process_id, reason, step=step, output=text, outcome=outcome, actor=_ACTOR
        )
        self._harness.run(self._ask(command))
        self._harness.advance(0)
        return self

    def approve(self, step: str, output: Json = None) -> Self:
        """Give a signal that it waits for, with an output. Raises StandsStill where it waits for none there."""
        return self._answer(step, "completed", {"output": {} if output is None else output})

    def refuse(self, step: str, code: str = "refused", message: str = "") -> Self:
        """Refuse a signal that it waits for. Raises StandsStill where it waits for none there."""
        error: JsonObject = {"code": code, "message": message, "retryable": False}
        return self._answer(step, "failed", {"error": error})

    def _item(self, name: str) -> StepSeen:
        state = self._harness.run(self._state())
        step, _, index = name.removesuffix("]").partition("[")
        if index not in map(str, range(len(state.step(step).items or ()))):
            raise KeyError(self._no_such(name))
        action, undo = state.step(name).action, state.step(name).undo
        number = None if action.current is None else action.current.number
        return StepSeen(
            status=STEP_WORDS[action.status],
            attempts=len(action.attempts),
            output=None if action.output is None else from_text(action.output),
            error=None if action.error is None else from_text(action.error),
            compensation=None if undo is None else COMPENSATION_WORDS[undo.status],
            command_id=None
            if number is None
            else CommandRef(self.process_id, name, Direction.ACTION, number).command_id,
        )

    def _no_such(self, name: str) -> str:
        names = (str(step["name"]) for step in cast("list[JsonObject]", self.document["steps"]))
        return f"there is no {name}, but {', '.join(names)}"

    def _wait(self, what: str, is_reached: Callable[[ProcessState], bool], within: float) -> Self:
        async def look() -> bool:
            return is_reached(await self._state())

        if not self._harness.drive(look, within=within):
            document = self.document
            raise StandsStill(
                f"process {self.process_id} of {document['process_type']} does not come to {what}: "
                f"it is {document['status']} and waits for {_waits(document)}"
            )
        return self

    async def _state(self) -> ProcessState:
        state = await self._harness.read.get(self.process_id)
        if state is None:
            raise KeyError(self.process_id)
        return state

    async def _document(self) -> JsonObject:
        return await self._harness.read.document(await self._state())

    async def _ask(self, command: ControlCommand) -> None:
        state = await self._state()
        await self._harness.operate.judge(command, state)
        await self._harness.operate.ask(command, state, key=None)

    def _answer(self, step: str, word: str, body: JsonObject) -> Self:
        seen = self.step(step)
        ref = None if seen.command_id is None else parse_command_id(seen.command_id)
        if ref is None or seen.status != _WAITING:
            raise StandsStill(
                f"process {self.process_id} waits for no signal at {step!r}, which is {seen.status}"
            )

        async def answer() -> None:
            await self._harness.operate.answer(await self._state(), ref, word, body)

        self._harness.run(answer())
        self._harness.advance(0)
        return self


def _waits(document: JsonObject) -> str:
    waits = cast("list[JsonObject]", document["waiting_for"])
    words = (
        " ".join(str(wait[name]) for name in ("kind", "step", "reason") if wait.get(name)) for wait in waits
    )
    return "; ".join(words) or "nothing"
