"""What a written definition says, read in the most naive way: the order of its steps, and what each is given.

The judge and the interpreter look here and never into the product's own graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACTION, UNDO, VERIFY = "step", "compensation", "verify"
_ATTEMPTS, _UNDO_ATTEMPTS = 3, 10


class Written:
    """A definition as its document says it."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.document = definition
        self.steps: dict[str, Mapping[str, Any]] = {step["name"]: step for step in definition["steps"]}
        self.direct: dict[str, set[str]] = {}
        self.before: dict[str, set[str]] = {}
        self.pivot: str | None = None
        above: set[str] = set()
        for name, step in self.steps.items():
            self.direct[name] = set(step.get("after", above))
            self.before[name] = self.direct[name].union(*(self.before[one] for one in self.direct[name]))
            if step.get("pivot"):
                self.pivot = name
            above = {name}
        self.after = {
            name: {later for later, before in self.before.items() if name in before} for name in self.steps
        }

    def kind(self, name: str) -> str:
        """Say who carries a step, or an item of it, out."""
        step = self.steps[base_of(name)]
        return "signal" if step.get("signal") else "process" if "process" in step else "service"

    def is_behind_pivot(self, name: str) -> bool:
        """Say whether a step comes after the pivot."""
        return self.pivot is not None and self.pivot in self.before[base_of(name)]

    def has_undo(self, name: str) -> bool:
        """Say whether there is something to undo where a step happened."""
        step = self.steps[base_of(name)]
        undo = step.get("compensation")
        return undo is None if "process" in step else isinstance(undo, dict | str) and undo != "none"

    def undo_input(self, name: str) -> Mapping[str, str] | None:
        """Give what maps the input of an undo."""
        undo = self.steps[base_of(name)].get("compensation")
        return undo.get("input") if isinstance(undo, dict) else None

    def attempts(self, way: str, name: str) -> int:
        """Give how often one direction of a step is tried."""
        step = self.steps[base_of(name)]
        mine = self.document.get("retry", {}).get("attempts", _ATTEMPTS)
        if way == UNDO:
            undo = step.get("compensation")
            return _own(undo, _UNDO_ATTEMPTS)
        if way == VERIFY:
            return _own(step["verify"], mine)
        return _own(step, mine if self.kind(name) == "service" else 1)

    def is_worth_another(self, name: str, code: str) -> bool:
        """Say whether an action's failure with a code may be tried again."""
        wanted = self.steps[base_of(name)].get("retry", {}).get("retry_on")
        return wanted is None or code in wanted

    def fences(self, name: str) -> bool:
        """Say whether the participant refuses an attempt of which it said that it isn't there."""
        verify = self.steps[base_of(name)].get("verify")
        return verify is not None and bool(verify.get("fences"))


def base_of(name: str) -> str:
    """Give the step of an item's name, `step[2]`."""
    return name.partition("[")[0]


def key_of(process_id: str, name: str) -> str:
    """Give the idempotency key that the contract promises for an action."""
    return f"{process_id}.{name.replace('[', '.').removesuffix(']')}.a"


def items_of(name: str, count: int) -> Iterable[str]:
    """Name the items of a step."""
    return (f"{name}[{index}]" for index in range(count))


def _own(part: Any, otherwise: int) -> int:
    retry = part.get("retry", {}) if isinstance(part, dict) else {}
    return int(retry.get("attempts", otherwise))
