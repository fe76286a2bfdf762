"""Read one log and check each undo against what is known at that point: I8, I9 and I10, over all words.

The order of the steps comes from the written definition; nothing here knows the machine's rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.written import base_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.written import Written

_UNKNOWN = "unknown"
_OPEN = ("running", "retrying", "verifying")


class Order:
    """Hold what a reader of the log knows so far; `problems` are pairs of invariant and sentence."""

    def __init__(self, written: Written) -> None:
        self.problems: list[tuple[str, str]] = []
        self._written = written
        self._tried: set[str] = set()
        self._open: set[str] = set()
        self._happened: set[str] = set()
        self._planned: set[str] = set()
        self._undone: set[str] = set()
        self._skipped: set[str] = set()
        self._going_back = False
        self._frozen = False

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the next event."""
        follow = getattr(self, f"_{event['type']}", None)
        if follow is not None:
            follow(event)

    def _step_started(self, event: Mapping[str, Any]) -> None:
        if self._going_back:
            self.problems.append(("I10", f"{event['step']} was started on the way back"))
        self._tried.add(event["step"])
        self._open.add(event["step"])

    _signal_waiting = _step_started

    def _step_completed(self, event: Mapping[str, Any]) -> None:
        self._open.discard(event["step"])
        self._happened.add(event["step"])

    def _step_failed(self, event: Mapping[str, Any]) -> None:
        self._leave(event["step"], event["becomes"])

    _step_timed_out = _verify_concluded = _step_failed

    def _step_skipped(self, event: Mapping[str, Any]) -> None:
        self._leave(event["step"], "skipped")
        self._skipped.add(event["step"])

    def _observed(self, event: Mapping[str, Any]) -> None:
        is_done = event["direction"] == "action" and event["reply"] == "completed"
        if is_done and event["step"] in self._skipped and not self._frozen:
            self._happened.add(event["step"])  # a person had said otherwise

    def _turned_back(self, event: Mapping[str, Any]) -> None:
        self._going_back = True
        for closed, status in event["closes"]:
            self._leave(closed, status)

    def _compensation_planned(self, event: Mapping[str, Any]) -> None:
        self._frozen = True
        self._planned |= set(event["steps"])
        self._undone -= set(event["steps"])

    def _compensation_completed(self, event: Mapping[str, Any]) -> None:
        self._undone.add(event["step"])

    _compensation_skipped = _compensation_completed

    def _compensated(self, event: Mapping[str, Any]) -> None:
        del event
        left = {one for one in self._happened if self._written.has_undo(one)} - self._undone
        if left:
            self.problems.append(("I9", f"compensated, but {sorted(left)} is not undone"))

    def _leave(self, name: str, status: str) -> None:
        if status not in _OPEN:
            self._open.discard(name)
            if status == _UNKNOWN:
                self._happened.add(name)
            else:
                self._happened.discard(name)

    def _compensation_started(self, event: Mapping[str, Any]) -> None:
        name = event["step"]
        later = self._written.after[base_of(name)]
        in_the_way = self._open | (self._planned - self._undone)
        still_there = sorted(one for one in in_the_way if base_of(one) in later)
        if name not in self._tried:
            self.problems.append(("I8", f"{name} is undone and was never tried"))
        if still_there:
            self.problems.append(("I8", f"{name} is undone before {still_there}"))
