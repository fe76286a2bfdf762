"""What a process did when: one span per attempt, and one for each time that it waited, from its log alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from saga.messages.command import CommandRef
from saga.messages.json_text import Json, JsonObject
from saga.messages.timestamps import rfc3339
from saga.process import events as ev
from saga.process.state import ProcessState
from saga.process.status import Direction
from saga.process.transition import Transition

_WAIT = "wait"
_OVER = "over"
_CLOSED = "closed"


@dataclass(slots=True)
class _Span:
    """One attempt or one wait; open until `ended_at` is known."""

    kind: str
    step: str | None
    attempt: int | None
    command_id: str | None
    started_at: int
    waits_for: str | None = None
    until: int | None = None
    ended_at: int | None = None
    outcome: str | None = None

    def end(self, at: int, outcome: str) -> None:
        self.ended_at, self.outcome = at, outcome

    def document(self) -> JsonObject:
        return {
            "kind": self.kind,
            "step": self.step,
            "attempt": self.attempt,
            "command_id": self.command_id,
            "waits_for": self.waits_for,
            "started_at": rfc3339(self.started_at),
            "until": None if self.until is None or self.ended_at is not None else rfc3339(self.until),
            "ended_at": None if self.ended_at is None else rfc3339(self.ended_at),
            "outcome": self.outcome,
        }


def timeline_document(state: ProcessState, transitions: Sequence[Transition]) -> JsonObject:
    """Write the spans in the order in which they began; an open one has neither end nor outcome."""
    timeline = _Timeline(state.process_id)
    for transition in transitions:
        for event in transition.events:
            timeline.take(event, transition.at)
    spans: list[Json] = [span.document() for span in timeline.spans]
    return {
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "status": str(state.status),
        "version": state.version,
        "started_at": rfc3339(state.origin.accepted_at),
        "ended_at": None if state.ended_at is None else rfc3339(state.ended_at),
        "spans": spans,
    }


class _Timeline:
    """Follow a log; what is open is found without a search, so that a long log costs no more per event."""

    def __init__(self, process_id: str) -> None:
        self._process_id = process_id
        self.spans: list[_Span] = []
        self._attempts: dict[str, _Span] = {}
        self._latest: dict[tuple[str, Direction], _Span] = {}
        self._waits: dict[str, _Span] = {}

    def take(self, event: ev.Event, at: int) -> None:
        """Open and close what an event opens and closes."""
        if isinstance(event, ev.LockEvent | ev.StandingEvent):
            self._stand(event, at)
            return
        match event:
            case ev.AttemptStarted():
                self._try(event.direction, event.step, event.attempt, at, event.due_at)
            case ev.SignalAwaited():
                self._try(Direction.ACTION, event.step, event.attempt, at, event.due_at, waits_for="signal")
            case ev.AttemptCompleted() | ev.AttemptFailed() | ev.AttemptTimedOut():
                self._answer(event, at)
            case ev.AttemptProgressed():
                self._attempts[self._id(event.direction, event.step, event.attempt)].until = event.due_at
            case ev.RetryScheduled():
                command_id = self._id(event.direction, event.step, event.attempt)
                span = _Span(_WAIT, event.step, event.attempt, command_id, at, "retry", event.at)
                self._wait(_retry(event.step, event.direction), span)
            case ev.CompensationPlanned():
                for step in event.steps:
                    self._end(_retry(step, Direction.COMPENSATION), at, _CLOSED)
            case _:
                pass

    def _stand(self, event: ev.LockEvent | ev.StandingEvent, at: int) -> None:
        match event:
            case ev.LockAwaited():
                self._wait(f"lock {event.key}", _Span(_WAIT, None, None, None, at, f"lock {event.key}"))
            case ev.LockAcquired():
                self._end(f"lock {event.key}", at, _OVER)
            case ev.LockJoined():
                self._wait("holder", _Span(_WAIT, None, None, None, at, f"process {event.holder}"))
            case ev.Paused() | ev.Suspended():
                self._wait("operator", _Span(_WAIT, None, None, None, at, "operator"))
            case ev.Resumed():
                self._end("operator", at, _OVER)
            case ev.TurnedBack():
                self._turn_back(event, at)
            case ev.Completed() | ev.Compensated() | ev.Failed():
                self._close_all(at)
            case ev.LocksWanted():
                pass  # who doesn't find a key taken doesn't wait
            case _:
                assert_never(event)

    def _try(
        self,
        direction: Direction,
        step: str,
        attempt: int,
        at: int,
        until: int,
        *,
        waits_for: str | None = None,
    ) -> None:
        self._end(_retry(step, direction), at, _OVER)
        command_id = self._id(direction, step, attempt)
        kind = str(direction) if waits_for is None else _WAIT
        span = _Span(kind, step, attempt, command_id, at, waits_for, until)
        self.spans.append(span)
        self._attempts[command_id] = self._latest[step, direction] = span

    def _answer(self, event: ev.AttemptCompleted | ev.AttemptFailed | ev.AttemptTimedOut, at: int) -> None:
        span = self._attempts.get(self._id(event.direction, event.step, event.attempt))
        if span is not None:  # what was refused before anything was sent has none
            span.end(at, _WORDS[type(event)])
        if isinstance(event, ev.AttemptCompleted):
            # An answer to any attempt settles the step: nothing is waited for any more.
            for direction in (event.direction, Direction.VERIFY):
                self._close(event.step, direction, at)

    def _turn_back(self, event: ev.TurnedBack, at: int) -> None:
        self._end("operator", at, _OVER)
        for step, _ in event.closes:
            for direction in (Direction.ACTION, Direction.VERIFY):
                self._close(step, direction, at)
        for name in [name for name in self._waits if name == "holder" or name.startswith("lock ")]:
            self._end(name, at, _CLOSED)

    def _close(self, step: str, direction: Direction, at: int) -> None:
        self._end(_retry(step, direction), at, _CLOSED)
        span = self._latest.get((step, direction))
        if span is not None and span.ended_at is None:
            span.end(at, _CLOSED)

    def _close_all(self, at: int) -> None:
        for span in self.spans:
            if span.ended_at is None:
                span.end(at, _CLOSED)
        self._waits.clear()

    def _wait(self, name: str, span: _Span) -> None:
        self.spans.append(span)
        self._waits[name] = span

    def _end(self, name: str, at: int, outcome: str) -> None:
        span = self._waits.pop(name, None)
        if span is not None:
            span.end(at, outcome)

    def _id(self, direction: Direction, step: str, attempt: int) -> str:
        return CommandRef(self._process_id, step, direction, attempt).command_id


def _retry(step: str, direction: Direction) -> str:
    return f"retry {direction} {step}"


_WORDS: Mapping[type, str] = MappingProxyType(
    {ev.AttemptCompleted: "completed", ev.AttemptFailed: "failed", ev.AttemptTimedOut: "timed_out"}
)
