"""An independent, simple interpreter of sagas: fed the answers in the log's order, it says where a process is.

It reads the written definition and the plain documents of the log, and shares no code with the machine: no
masks, no drafts, no frozen states, only the rules of the language in the most naive form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDED = ("completed", "compensated")
_OPEN = ("running", "retrying")
_ACTION, _UNDO = "step", "compensation"


@dataclass(slots=True)
class Effort:
    """What is known of a step's action or of its undo."""

    attempts_max: int
    status: str = "pending"
    sent: int = 0
    unanswered: set[int] = field(default_factory=set)
    found_nothing: bool = False


class Interpreter:
    """Follow one process."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.status = "started"
        self.started: list[tuple[str, str, int]] = []
        self.undos: dict[str, Effort] = {}
        self.actions: dict[str, Effort] = {}
        self._undo_attempts: dict[str, int] = {}
        self._before: dict[str, set[str]] = {}
        self._pivot: str | None = None
        self._begun = False
        self._going_back = False
        self._planned = False
        above: set[str] = set()
        for step in definition["steps"]:
            name = step["name"]
            attempts = step.get("retry", definition["retry"])["attempts"]
            self.actions[name] = Effort(attempts)
            direct = set(step.get("after", above))
            self._before[name] = direct.union(*(self._before[one] for one in direct))
            if step.get("compensation", "none") != "none":
                self._undo_attempts[name] = step["compensation"]["retry"]["attempts"]
            if step.get("pivot"):
                self._pivot = name
            above = {name}

    def feed(self, document: Mapping[str, Any]) -> None:
        """Take one transition: what was answered in it, then what must follow."""
        self.started = []
        cause = document["cause"]
        said = json.loads(cause["body"]) if cause["kind"] == "reply" else {}
        for event in document["events"]:
            self._take(event, said)
        self._begun = self._begun or any(event["type"] == "started" for event in document["events"])
        if self._begun:
            self._follow()

    def _take(self, event: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        if "step" not in event or "attempt" not in event:
            return
        way, _, word = event["type"].partition("_")
        if word == "started":
            self._retry(way, event["step"], event["attempt"])
        if word == "timed_out":
            effort = self._effort(way, event["step"])
            effort.unanswered.add(event["attempt"])
            self._spend(way, event["step"])
        if event["type"] == "observed":
            way = _ACTION if event["direction"] == "action" else _UNDO
            word = event["reply"]
        if word == "completed":
            self._complete(way, event["step"], said.get("output"))
        if word == "failed":
            self._fail(way, event["step"], event["attempt"], said.get("error") or {})

    def _effort(self, way: str, step: str) -> Effort:
        return self.actions[step] if way == _ACTION else self.undos[step]

    def _retry(self, way: str, step: str, attempt: int) -> None:
        effort = self._effort(way, step) if way == _ACTION or step in self.undos else None
        if effort is not None and effort.status == "retrying" and attempt == effort.sent + 1:
            self._send(way, step)

    def _complete(self, way: str, step: str, output: Any) -> None:
        effort = self._effort(way, step)
        if effort.status == "done":
            return
        if way == _UNDO:
            effort.status = "done"
            effort.found_nothing = isinstance(output, dict) and output.get("nothing_to_undo") is True
            return
        was_open = effort.status in _OPEN
        needs_undo = self._planned and self._needs_undo(step)
        if not was_open and self.status in _ENDED:
            if self.status != "compensated" or not needs_undo:
                return
            self.status = "compensating"
        effort.status = "done"
        if needs_undo:
            self._plan(step)
            for earlier, undo in self.undos.items():
                if earlier in self._before[step] and undo.status == "retrying":
                    undo.status = "pending"  # it waits for the one that came late

    def _needs_undo(self, step: str) -> bool:
        if step not in self._undo_attempts:
            return False
        undo = self.undos.get(step)
        return undo is None or (undo.status == "done" and undo.found_nothing)

    def _plan(self, step: str) -> None:
        self.undos.setdefault(step, Effort(self._undo_attempts[step])).status = "pending"

    def _fail(self, way: str, step: str, attempt: int, error: Mapping[str, Any]) -> None:
        effort = self._effort(way, step)
        is_unknown = error.get("effect_unknown") is True
        if effort.status == "running" and attempt == effort.sent:
            if is_unknown:
                effort.unanswered.add(attempt)
            self._spend(way, step, may_retry=error.get("retryable") is not False)
        elif effort.status in _OPEN and not is_unknown:
            effort.unanswered.discard(attempt)

    def _spend(self, way: str, step: str, *, may_retry: bool = True) -> None:
        effort = self._effort(way, step)
        may_start = way == _UNDO or not self._going_back
        if may_retry and may_start and effort.sent < effort.attempts_max:
            may_go_on = way == _ACTION or self._may_undo(step)
            effort.status = "retrying" if may_go_on else "pending"
        elif way == _UNDO:
            effort.status = "failed"
        else:
            effort.status = "unknown" if effort.unanswered else "failed"

    def _send(self, way: str, step: str) -> None:
        effort = self._effort(way, step)
        effort.sent += 1
        effort.status = "running"
        self.started.append((way, step, effort.sent))

    def _follow(self) -> None:
        if self.status in _ENDED:
            return
        if self.status == "suspended" and not self._is_stuck():
            self.status = "compensating" if self._going_back else "started"
        if not self._going_back and any(self._turns_back(step) for step in self.actions):
            self._turn_back()
        if self._going_back:
            self._go_back()
        else:
            self._go_forward()

    def _turns_back(self, step: str) -> bool:
        status = self.actions[step].status
        if self._is_behind_pivot(step):
            return False
        return status == "failed" or (status == "unknown" and step != self._pivot)

    def _turn_back(self) -> None:
        self._going_back = True
        self.status = "compensating"
        for action in self.actions.values():
            if action.status == "retrying":
                action.status = "unknown" if action.unanswered else "failed"

    def _go_forward(self) -> None:
        for step, action in self.actions.items():
            if action.status == "pending" and all(
                self.actions[one].status == "done" for one in self._awaited(step)
            ):
                self._send(_ACTION, step)
        if all(action.status == "done" for action in self.actions.values()):
            self.status = "completed"
        elif self._is_stuck():
            self.status = "suspended"

    def _awaited(self, step: str) -> Iterator[str]:
        for one in self.actions:
            is_later = step in self._before[one] or one == step
            if one in self._before[step] or (step == self._pivot and not is_later):
                yield one

    def _go_back(self) -> None:
        if any(action.status in _OPEN for action in self.actions.values()):
            return
        if not self._planned:
            self._planned = True
            for step in self._undo_attempts:
                if self.actions[step].status in ("done", "unknown"):
                    self._plan(step)
        for step, undo in self.undos.items():
            if undo.status == "pending" and self._may_undo(step):
                self._send(_UNDO, step)
        if all(undo.status == "done" for undo in self.undos.values()):
            self.status = "compensated"
        elif self._is_stuck():
            self.status = "suspended"

    def _may_undo(self, step: str) -> bool:
        return all(undo.status == "done" for later, undo in self.undos.items() if step in self._before[later])

    def _is_stuck(self) -> bool:
        if any(undo.status == "failed" for undo in self.undos.values()):
            return True
        return not self._going_back and any(
            (action.status == "unknown" and step == self._pivot)
            or (action.status in ("failed", "unknown") and self._is_behind_pivot(step))
            for step, action in self.actions.items()
        )

    def _is_behind_pivot(self, step: str) -> bool:
        return self._pivot is not None and self._pivot in self._before[step]
