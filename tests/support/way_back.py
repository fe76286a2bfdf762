"""Walk one log and check each undo against what is known at that point: the judge's rules I8, I9 and I10.

The order of the steps comes from the written definition, never from the product's own graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a log with its number."""

    number: int
    type: str
    event: Mapping[str, Any]

    @property
    def step(self) -> str:
        """The step that it concerns."""
        return str(self.event["step"])


@dataclass(frozen=True, slots=True)
class Graph:
    """The order of a definition's steps, as its text says it."""

    after: Mapping[str, frozenset[str]]
    has_undo: frozenset[str]

    def follows(self, later: str, earlier: str) -> bool:
        """Say whether one step comes after another one, over any number of edges."""
        direct = self.after[later]
        return earlier in direct or any(self.follows(step, earlier) for step in direct)


def read_graph(definition: Mapping[str, Any]) -> Graph:
    """Read the edges from a definition; a step without `after` follows the one above it."""
    after: dict[str, frozenset[str]] = {}
    above: frozenset[str] = frozenset()
    for step in definition["steps"]:
        after[step["name"]] = frozenset(step["after"]) if "after" in step else above
        above = frozenset({step["name"]})
    undo = {step["name"] for step in definition["steps"] if step.get("compensation") not in (None, "none")}
    return Graph(after, frozenset(undo))


@dataclass(slots=True)
class WayBack:
    """Hold what a reader of the log knows so far; `problems` are pairs of invariant and sentence."""

    graph: Graph
    problems: list[tuple[str, str]] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    happened: set[str] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)
    is_going_back: bool = False

    def read(self, entry: Entry) -> None:
        """Take the next event."""
        follow = getattr(self, f"_{entry.type}", None)
        if follow is not None:
            follow(entry)

    def _step_started(self, entry: Entry) -> None:
        if self.is_going_back:
            self.problems.append(("I10", f"{entry.step} was started on the way back"))
        self.tried.add(entry.step)
        self.running.add(entry.step)

    def _step_completed(self, entry: Entry) -> None:
        self.running.discard(entry.step)
        self.happened.add(entry.step)

    def _step_failed(self, entry: Entry) -> None:
        self.running.discard(entry.step)
        if entry.event["becomes"] == _UNKNOWN:
            self.happened.add(entry.step)

    _step_timed_out = _step_failed

    def _turned_back(self, entry: Entry) -> None:
        self.is_going_back = True
        self.happened |= {step for step, status in entry.event["closes"] if status == _UNKNOWN}

    def _compensation_planned(self, entry: Entry) -> None:
        self.planned |= set(entry.event["steps"])
        self.undone -= set(entry.event["steps"])

    def _compensation_started(self, entry: Entry) -> None:
        later = {step for step in self.graph.after if self.graph.follows(step, entry.step)}
        still_there = (later & self.running) | ((later & self.planned) - self.undone)
        if entry.step not in self.tried:
            self.problems.append(("I8", f"{entry.step} is undone and was never tried"))
        if still_there:
            self.problems.append(("I8", f"{entry.step} is undone before {sorted(still_there)}"))

    def _compensation_completed(self, entry: Entry) -> None:
        self.undone.add(entry.step)

    def _compensated(self, entry: Entry) -> None:
        del entry
        left = (self.happened & self.graph.has_undo) - self.undone
        if left:
            self.problems.append(("I9", f"compensated, but {sorted(left)} is not undone"))
