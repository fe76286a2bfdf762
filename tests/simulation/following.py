"""What follows from where a process stands, in the most naive form: loops over names, until nothing changes.

The half of the interpreter that needs no input; see `interpreter`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError

from tests.simulation.written import ACTION, UNDO, VERIFY, Written, base_of, items_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENDED = ("completed", "compensated", "failed")
OPEN = ("running", "retrying", "verifying")
SETTLED = ("done", "skipped")
_SPENT = ("failed", "unknown")


class NoValueError(Exception):
    """Say that an expression has no value that can be used."""


@dataclass(slots=True)
class Effort:
    """What is known of the action of a step or of an item, of its undo, or of the question about it."""

    attempts_max: int
    status: str = "pending"
    sent: int = 0
    free: int = 0  # attempts that don't count: they were made before a new budget was given
    unanswered: set[int] = field(default_factory=set)
    output: Any = None
    happened: bool = False
    found_nothing: bool = False
    is_mapped: bool = False
    is_cancelled: bool = False
    began_at: dict[int, int] = field(default_factory=dict)
    done_at: int = 0
    code: str | None = "timeout"  # what its last attempt ended with; none where another is in vain


class Following:
    """Hold where a process stands, and do what follows from it."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.written = Written(definition)
        self.status = "started"
        self.started: list[tuple[str, str, int]] = []
        self.cancelled: list[tuple[str, int]] = []
        self.actions = {name: Effort(self.written.attempts(ACTION, name)) for name in self.written.steps}
        self.undos: dict[str, Effort] = {}
        self.questions: dict[str, Effort] = {}
        self.items: dict[str, list[Any]] = {}
        self.locks: dict[str, bool] | None = None
        self.joined_to: str | None = None
        self.parameters: Any = {}
        self.result: Any = None
        self.now = 0
        self.going_back = False
        self.noted = False
        self.planned = False

    # What is asked of the state in many places

    def efforts(self, way: str) -> dict[str, Effort]:
        """Give all efforts of one direction."""
        return {ACTION: self.actions, UNDO: self.undos, VERIFY: self.questions}[way]

    def parts(self, step: str) -> list[str]:
        """Name what a step consists of: itself, or its items."""
        return list(items_of(step, len(self.items[step]))) if step in self.items else [step]

    def is_stuck(self) -> bool:
        """Say whether something stands still that nobody but a person can move."""
        return next(self.stuck(), None) is not None

    def stuck(self) -> Iterator[tuple[str, str]]:
        """Find what stands still."""
        for name, undo in self.undos.items():
            if undo.status == "failed":
                yield UNDO, name
        if not self.going_back:
            for name, action in self.actions.items():
                is_behind = self.written.is_behind_pivot(name)
                is_spent = action.status in _SPENT and is_behind
                if is_spent or (action.status == "unknown" and name == self.written.pivot):
                    yield ACTION, name

    def is_pivot_in_flight(self) -> bool:
        """Say whether the pivot was sent, and nothing is known of it."""
        pivot = self.actions.get(self.written.pivot or "")
        if pivot is None:
            return False
        return bool(pivot.unanswered) if pivot.status == "retrying" else pivot.status in OPEN

    def is_pivot_sent(self) -> bool:
        """Say whether the pivot was tried, so that nothing but its failure turns the process back."""
        pivot = self.actions.get(self.written.pivot or "")
        if pivot is None:
            return False
        return self.is_pivot_in_flight() or pivot.status in ("skipped", "done", "unknown")

    def may_undo(self, name: str) -> bool:
        """Say whether all that comes after a step is undone, or was never in the plan."""
        later = self.written.after[base_of(name)]
        return all(undo.status in SETTLED for other, undo in self.undos.items() if base_of(other) in later)

    def send(self, way: str, name: str) -> None:
        """Make the next attempt."""
        effort = self.efforts(way)[name]
        effort.sent += 1
        effort.status = "running"
        effort.is_cancelled = False
        effort.began_at[effort.sent] = self.now
        self.started.append((way, name, effort.sent))

    def settle(self, name: str, status: str) -> None:
        """Leave an action where it is; a question about it needs no answer any more."""
        self.actions[name].status = status
        question = self.questions.get(name)
        if question is not None and question.status in OPEN and status != "verifying":
            question.status = "skipped"

    def turn_back(self, *, is_deadline: bool = False) -> None:
        """Go backward from here."""
        self.going_back = True
        self.status = "compensating"
        for name, action in self.actions.items():
            kind = self.written.kind(name)
            is_whole = action.status == "running" and name not in self.items
            if action.status == "retrying":
                self.settle(name, "unknown" if action.unanswered else "failed")
            elif is_whole and kind == "signal":
                self.settle(name, "skipped")
            elif is_deadline and (action.status == "verifying" or (is_whole and kind == "service")):
                action.unanswered.add(action.sent)
                self.settle(name, "unknown")
            elif is_whole and kind == "process" and not action.is_cancelled:
                action.is_cancelled = True
                self.cancelled.append((name, action.sent))

    def plan(self, name: str) -> None:
        """Put a step or an item into the undo plan, or into it again."""
        undo = self.undos.setdefault(name, Effort(self.written.attempts(UNDO, name)))
        if undo.status in ("done", "failed", "skipped"):
            undo.free = undo.sent
        undo.status = "pending"

    def begin(self, way: str, name: str) -> bool:
        """Begin an attempt whose turn it is; False where its input can't be made."""
        effort = self.efforts(way)[name]
        try:
            if not effort.is_mapped:
                self._map_input(way, name)
        except NoValueError:
            effort.status = "unknown" if way == ACTION and effort.unanswered else "failed"
            return False
        effort.is_mapped = effort.is_mapped or self._has_input(way, name)
        self.send(way, name)
        return True

    # What follows

    def follow(self) -> None:
        """Do all that follows."""
        while self.status not in (*ENDED, "paused") and self._follow_once():
            pass

    def _follow_once(self) -> bool:
        if self.status == "suspended" and not self.is_stuck():
            self.status = "compensating" if self.going_back else "started"
        if not self.going_back and any(self._turns_back(name) for name in self.actions):
            self.turn_back()
            return True
        if not self.going_back and self.noted and not self.is_pivot_sent():
            self.turn_back()
            return True
        self._ask()
        return self._go_back() if self.going_back else self._go_forward()

    def _ask(self) -> None:
        """Ask what became of the attempts that were not answered."""
        for name, action in self.actions.items():
            question = self.questions.get(name)
            if action.status == "verifying" and (question is None or question.status not in OPEN):
                question = self.questions.setdefault(name, Effort(self.written.attempts(VERIFY, name)))
                question.free = question.sent
                self.send(VERIFY, name)

    def _turns_back(self, name: str) -> bool:
        status = self.actions[name].status
        if self.written.is_behind_pivot(name):
            return False
        return status == "failed" or (status == "unknown" and name != self.written.pivot)

    def _go_forward(self) -> bool:
        if not self._holds_locks():
            return self.going_back
        expanded = [name for name in self.written.steps if self._is_expanded(name)]
        if any(self._gather(name) for name in expanded):
            return True
        steps = self.written.steps
        if all(self.actions[name].status in SETTLED for name in steps):
            self._complete()
            return False
        if any(self._go_through(name) for name in expanded):
            return True
        for name in [name for name in steps if self._may_start(name)]:
            if self._start(name):
                return True
        self._suspend_if_stuck()
        return False

    def _may_start(self, name: str) -> bool:
        if self.actions[name].status != "pending":
            return False
        others = self.written.steps.keys() - self.written.after[name] - {name}
        if name == self.written.pivot and any(self.actions[one].status not in SETTLED for one in others):
            return False
        direct = self.written.direct[name]
        if all(self.actions[one].status in SETTLED for one in direct):
            return True
        join = self.written.steps[name].get("join", "all")
        completed = sum(self.actions[one].status == "done" for one in direct)
        return join != "all" and completed >= (1 if join == "any" else join)

    def _start(self, name: str) -> bool:
        """Start a step, and say whether that settled it, so that more follows."""
        step = self.written.steps[name]
        is_joined = step.get("join", "all") != "all"
        if is_joined and not any(self.actions[one].status == "done" for one in self.written.direct[name]):
            self.actions[name].status = "skipped"
            return True
        return self.judge(name)

    def judge(self, name: str) -> bool:
        """Judge the condition and the list of a step, and start it; say whether that settled it."""
        step = self.written.steps[name]
        try:
            if "when" in step and not self._condition(name, step["when"]):
                self.actions[name].status = "skipped"
                return True
            if "for_each" in step:
                self.items[name] = self._list(name, step["for_each"])
                self.actions[name].status = "running"
                for item in self.parts(name):
                    self.actions[item] = Effort(self.written.attempts(ACTION, name))
                return True
        except NoValueError:
            self.actions[name].status = "failed"
            return True
        return not self.begin(ACTION, name)

    def _is_expanded(self, name: str) -> bool:
        return name in self.items and self.actions[name].status == "running"

    def _gather(self, name: str) -> bool:
        """End a list of which all is done."""
        items = [self.actions[item] for item in self.parts(name)]
        if not all(item.status in SETTLED for item in items):
            return False
        self.actions[name].output = [item.output for item in items]
        self.actions[name].status = "done"
        return True

    def _go_through(self, name: str) -> bool:
        """Go on with a list, and say whether one of its items can't be begun."""
        states = {item: self.actions[item] for item in self.parts(name)}
        if any(action.status in _SPENT for action in states.values()):
            return False
        at_once = self.written.steps[name].get("at_once", 10)
        room = at_once - sum(action.status in OPEN for action in states.values())
        waiting = [item for item, action in states.items() if action.status == "pending"]
        return any(not self.begin(ACTION, item) for item in waiting[: max(0, room)])

    def _complete(self) -> None:
        self.status = "completed"
        plan = self.written.document.get("result")
        if plan is not None:
            everything = set(self.written.steps)
            self.result = {name: self._search(text, self._scope(everything)) for name, text in plan.items()}

    def _holds_locks(self) -> bool:
        wanted = self.written.document.get("locks")
        if not wanted:
            return True
        if self.locks is None:
            keys = [self._search(text, self._scope(set())) for text in wanted]
            if not all(isinstance(key, str) and key for key in keys):
                self.turn_back()
                return False
            self.locks = dict.fromkeys(sorted(set(keys)), False)
        return self.joined_to is None and all(self.locks.values())

    def _go_back(self) -> bool:
        if any(
            action.status in OPEN
            for name, action in self.actions.items()
            if not (name in self.items and action.status == "running")
        ):
            return False
        if not self.planned:
            self.planned = True
            for name, action in self.actions.items():
                happened = action.status in ("done", "unknown") or (
                    action.status == "skipped" and action.happened
                )
                if happened and name not in self.items and self.written.has_undo(name):
                    self.plan(name)
        if all(undo.status in SETTLED for undo in self.undos.values()):
            self.status = "compensated"
            return False
        for step in self.written.steps:
            if self._undo_some(step):
                return True
        self._suspend_if_stuck()
        return False

    def _undo_some(self, step: str) -> bool:
        """Undo what may be undone of a step, and say whether one of its undos can't be made."""
        undos = {name: self.undos[name] for name in self.parts(step) if name in self.undos}
        waiting = [name for name, undo in undos.items() if undo.status == "pending"]
        if not waiting or not self.may_undo(step):
            return False
        if step in self.items:
            room = self.written.steps[step].get("at_once", 10) - sum(
                undo.status in OPEN for undo in undos.values()
            )
            waiting = waiting[: max(0, room)]
        return any(not self.begin(UNDO, name) for name in waiting)

    def _suspend_if_stuck(self) -> None:
        if self.is_stuck():
            self.status = "suspended"

    # Expressions

    def _has_input(self, way: str, name: str) -> bool:
        return self._input(way, name) is not None

    def _input(self, way: str, name: str) -> Mapping[str, str] | None:
        if way == VERIFY:
            return None
        step: Mapping[str, Any] = self.written.steps[base_of(name)]
        given: Mapping[str, str] | None = (
            step.get("input") if way == ACTION else self.written.undo_input(name)
        )
        return given

    def _map_input(self, way: str, name: str) -> None:
        for text in (self._input(way, name) or {}).values():
            self._value(name, text, with_own=way == UNDO)

    def _list(self, name: str, text: str) -> list[Any]:
        value = self._value(name, text)
        if not isinstance(value, list):
            raise NoValueError
        return value

    def _condition(self, name: str, text: str) -> bool:
        value = self._value(name, text)
        if value is not None and not isinstance(value, bool):
            raise NoValueError
        return value is True

    def _value(self, name: str, text: str, *, with_own: bool = False) -> Any:
        step = base_of(name)
        scope = self._scope(self.written.before[step])
        if with_own:
            scope["results"][step] = self.actions[name].output
        if name != step:
            index = int(name.removeprefix(step)[1:-1])
            scope |= {"item": self.items[step][index], "index": index}
        return self._search(text, scope)

    def _scope(self, readable: set[str]) -> dict[str, Any]:
        outputs = {name: self.actions[name].output for name in readable}
        return {"parameters": self.parameters, "results": outputs}

    @staticmethod
    def _search(text: str, scope: dict[str, Any]) -> Any:
        try:
            return jmespath.search(text, scope)
        except JMESPathError as error:
            raise NoValueError from error


def reads(text: str | None) -> Any:
    """Read what a log holds as text."""
    return None if text is None else json.loads(text)
