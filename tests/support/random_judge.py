"""Judge what became of drawn sagas by their definitions and by what participants saw."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jmespath

from tests.support.random_ends import CLOCKS_MS, deadline_ms, is_spent, problems_at_the_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.random_case import Case, Effort
    from tests.support.random_participants import Arrival

_REPLY_KEY = re.compile(r"step(-[1-9][0-9]?)?")
# An answer that was said so long before the time-out must be taken in time.
_IN_TIME_MS = 3_000


@dataclass(slots=True)
class Judge:
    """Collect what is wrong with one process; `is_disturbed` where servers were killed meanwhile."""

    case: Case
    is_disturbed: bool
    is_cancelled: bool = False
    problems: list[str] = field(default_factory=list)

    def verdict(self) -> list[str]:
        """Check everything about the process, and not about its children."""
        for effort, arrivals in self.case.arrivals.items():
            self._check_attempts(effort, arrivals)
            for arrival in arrivals.values():
                self._check_command(effort, arrival.command)
                self._check_payload(effort, arrival)
        for (name, index, kind), arrivals in self.case.arrivals.items():
            first = min(arrivals.values(), key=lambda one: one.order)
            if kind == "action":
                self._check_start(name, index, first)
            elif kind == "compensation":
                self._check_undo(name, index, first)
        self._check_children()
        for name in self.case.steps:
            self._check_at_once(name)
        self._check_turn()
        for problem in problems_at_the_end(
            self.case, is_disturbed=self.is_disturbed, is_cancelled=self.is_cancelled
        ):
            self._complain(problem)
        return self.problems

    def _complain(self, problem: str) -> None:
        self.problems.append(
            f"{self.case.process_type} {self.case.process_id} ({self.case.status}): {problem}"
        )

    # Commands

    def _check_attempts(self, effort: Effort, arrivals: Mapping[int, Arrival]) -> None:
        name, _, kind = effort
        policy = self.case.policy(name, kind)
        most = policy.attempts * (self.case.policy(name, "action").attempts if kind == "verify" else 1)
        if max(arrivals) > most:
            self._complain(f"{effort} had {max(arrivals)} attempts, {most} are allowed")
        if len({one.command["idempotency_key"] for one in arrivals.values()}) != 1:
            self._complain(f"{effort} has several idempotency keys")
        if sorted(arrivals) != list(range(1, max(arrivals) + 1)) and not self.is_disturbed:
            self._complain(f"{effort} has the attempts {sorted(arrivals)}")
        for attempt, arrival in arrivals.items():
            if attempt - 1 in arrivals:
                self._check_pause(effort, arrivals[attempt - 1], arrival)

    def _check_pause(self, effort: Effort, earlier: Arrival, later: Arrival) -> None:
        """A new attempt comes only after the failure or the time-out of the one before, and after its pause."""
        policy = self.case.policy(effort[0], effort[2])
        said = self.case.record.said.get(earlier.command["command_id"], [])
        failed = [one.at_ms for one in said if one.word == "failed"]
        over = min([*failed, deadline_ms(earlier)])
        started = deadline_ms(later) - policy.timeout * 1000
        least = policy.least_wait_ms(earlier.command["attempt"]) if effort[2] != "verify" else 0
        if started < over + least - CLOCKS_MS:
            self._complain(f"{effort} was tried again {over + least - started} ms too early")
        is_done = any(
            one.word == "completed" and one.at_ms < deadline_ms(earlier) - _IN_TIME_MS for one in said
        )
        if is_done and not failed and not self.is_disturbed:
            self._complain(f"{effort} was tried again although it was done in time")

    def _check_command(self, effort: Effort, command: dict[str, Any]) -> None:
        name, index, kind = effort
        step = self.case.steps[name]
        action = step["action"] if kind == "action" else step[kind]["action"]
        expected: dict[str, Any] = {
            "process_type": self.case.process_type, "service": step["service"], "action": action,
            "index": index,
        }  # fmt: skip
        items = self.case.items(name)
        if index is not None:
            expected["item"] = None if items is None or index >= len(items) else items[index]
        if _REPLY_KEY.fullmatch(command["reply_key"]) is None:
            self._complain(f"{effort}: replies to {command['reply_key']!r} come to nobody")
        for word, value in expected.items():
            if command.get(word) != value:
                self._complain(f"{effort}: {word} is {command.get(word)!r} and not {value!r}")
        if kind == "action":
            return
        about = command["compensates" if kind == "compensation" else "verifies"]
        done = self.case.arrivals.get((name, index, "action"), {})
        keys = {one.command["idempotency_key"] for one in done.values()} or {about["idempotency_key"]}
        if (about["step"], about["index"], {about["idempotency_key"]}) != (name, index, keys):
            self._complain(f"{effort} is about {about}")
        if kind == "verify" and done and about["attempt"] not in done and not self.is_disturbed:
            self._complain(f"{effort} asks about the attempt {about['attempt']}")

    def _check_payload(self, effort: Effort, arrival: Arrival) -> None:
        """What a command carries is what the expressions give for what was known then."""
        name, index, kind = effort
        case, command = self.case, arrival.command
        outputs = {one for one in case.before[name] if case.taken[one] and case.settled(one) < arrival.order}
        item = None if index is None else (index, command["item"])
        least, most = case.scope(outputs & case.sure[name], item=item), case.scope(outputs, item=item)
        own = {}
        if kind == "compensation":
            output = command["compensates"]["output"]
            self._check_undone_output(effort, arrival, output)
            own = {name: output} if output is not None else {}
        # The input is made once; an output that came later is known to the undo, and not to its input.
        later: list[dict[str, Any]] = [{}] if command["attempt"] > 1 else []
        mapping = case.steps[name].get("input")
        if kind == "compensation" and "input" in case.steps[name]["compensation"]:
            mapping = case.steps[name]["compensation"]["input"]
        if mapping is None:
            if command["parameters"] != case.document["parameters"]:
                self._complain(f"{effort}: the parameters are not those of the process")
            self._check_results(effort, command["results"], least["results"], most["results"])
            return
        if "results" in command or set(command["parameters"]) != set(mapping):
            self._complain(f"{effort}: the members are {sorted(command['parameters'])}, or there are results")
        for word, text in mapping.items():
            values = [
                jmespath.search(text, {**scope, "results": {**scope["results"], **found}})
                for scope in (least, most)
                for found in [own, *later]
            ]
            if command["parameters"].get(word) not in values:
                self._complain(
                    f"{effort}: {word} is {command['parameters'].get(word)!r}, not one of {values}"
                )

    def _check_results(
        self, effort: Effort, results: dict[str, Any], least: dict[str, Any], most: dict[str, Any]
    ) -> None:
        is_right = all(name in results for name in least)
        is_right &= all(name in most and most[name] == value for name, value in results.items())
        if not is_right:
            self._complain(f"{effort}: the results are {results}, at least {least}, at most {most}")

    def _check_undone_output(self, effort: Effort, arrival: Arrival, output: Any) -> None:
        name, index, _ = effort
        known = self.case.done(name, index) < arrival.order
        is_own = output == self.case.output_of_one(name, index)
        if output is not None and not (is_own and known):
            self._complain(f"{effort} undoes the output {output!r}")

    # Order

    def _check_start(self, name: str, index: int | None, first: Arrival) -> None:
        if not self.case.taken[name]:
            self._complain(f"{name} was started, though its condition or its join leave it out")
        elif index is not None and index not in self.case.indexes(name):
            self._complain(f"{name}[{index}] was started, and there is no such item")
        elif first.order < self.case.ready(name):
            self._complain(f"{name} was started before its turn: {self.case.ready(name)} > {first.order}")

    def _check_undo(self, name: str, index: int | None, first: Arrival) -> None:
        if (name, index, "action") not in self.case.arrivals and not self.is_disturbed:
            self._complain(f"{name}[{index}] was undone and never tried")
        case = self.case
        for other in _unsettled(case, case.behind[name], first.order):
            self._complain(f"{name}[{index}] was undone before {other}, which comes behind it")
        parent = case.parent
        if parent is not None:
            # Cancelled while it runs, it undoes itself at once: only what starts after its end for sure counts.
            behind = {one for one in parent.behind[case.via[0]] if case.via[0] in parent.sure[one]}
            for other in _unsettled(parent, behind, first.order):
                self._complain(f"it was undone before {other} of its parent, which comes behind it")

    def _check_at_once(self, name: str) -> None:
        case, step = self.case, self.case.steps[name]
        if "for_each" not in step:
            return
        most = step.get("at_once", 10)
        spans = []
        for index in case.indexes(name):
            if "process" in step:
                children = case.children.get((name, index), [])
                efforts = [found for child in children for found in child.arrivals.values()]
            else:
                efforts = [case.arrivals.get((name, index, "action"), {})]
            orders = [one.order for found in efforts for one in found.values()]
            if orders:
                spans.append((min(orders), case.done(name, index)))
        self._check_overlap(f"items of {name}", spans, most)
        if "process" in step or not isinstance(step.get("compensation"), dict):
            return
        undos = []
        for index in case.indexes(name):
            arrivals = case.arrivals.get((name, index, "compensation"), {})
            said = [one.order for _, one in case.said(name, index, "compensation") if one.word == "completed"]
            if arrivals and not is_spent(case, name, index, "compensation"):
                undos.append((min(one.order for one in arrivals.values()), min(said, default=math.inf)))
        self._check_overlap(f"undos of {name}", undos, most)

    def _check_overlap(self, what: str, spans: list[tuple[int, float]], most: int) -> None:
        for since, _ in spans:
            under_way = sum(other <= since < end for other, end in spans)
            if under_way > most:
                self._complain(f"{under_way} {what} were under way at once, {most} are allowed")
                return

    def _check_turn(self) -> None:
        """Nothing new goes forward once something is undone."""
        undos = [
            one.at_ms for effort, found in self.case.arrivals.items() if effort[2] == "compensation"
            for one in found.values()
        ]  # fmt: skip
        if not undos:
            return
        for effort, arrivals in self.case.arrivals.items():
            if effort[2] != "action":
                continue
            timeout_ms = self.case.policy(effort[0], "action").timeout * 1000
            for one in arrivals.values():
                if deadline_ms(one) - timeout_ms > min(undos) + CLOCKS_MS:
                    self._complain(f"{effort} was started after the first undo")

    # Children

    def _check_children(self) -> None:
        case = self.case
        for (name, index), children in case.children.items():
            if not case.taken[name] or index not in case.indexes(name):
                self._complain(f"{name}[{index}] was started as a process, though it is left out")
            if len(children) > case.steps[name].get("retry", {}).get("attempts", 1):
                self._complain(f"{name}[{index}] started {len(children)} processes")
            if sum(child.status != "compensated" for child in children) > 1:
                self._complain(f"{name}[{index}] is carried out by {[one.status for one in children]}")
            for child in children:
                self._check_input_of_child(name, index, child.document["parameters"])

    def _check_input_of_child(self, name: str, index: int | None, given: dict[str, Any]) -> None:
        case = self.case
        items = case.items(name)
        item = None if index is None or items is None else (index, items[index])
        outputs = {one for one in case.before[name] if case.taken[one] and case.settled(one) < math.inf}
        scopes = [case.scope(some, item=item) for some in (outputs & case.sure[name], outputs)]
        for word, text in case.steps[name]["input"].items():
            if given.get(word) not in [jmespath.search(text, scope) for scope in scopes]:
                self._complain(f"{name}[{index}] gave its process {word}={given.get(word)!r}")


def _unsettled(case: Case, names: set[str], order: int) -> Iterator[str]:
    """Name the steps that took effect, or may have, and were not undone by then."""
    for name, index, kind in case.arrivals:
        if kind == "action" and name in names and not _is_undone(case, name, index, order):
            yield f"{name}[{index}]"
    for (name, _), children in case.children.items():
        if name in names and case.steps[name].get("compensation") != "none":
            for child in children:
                yield from _unsettled(child, set(child.steps), order)


def _is_undone(case: Case, name: str, index: int | None, order: int) -> bool:
    if not isinstance(case.steps[name].get("compensation"), dict):
        return True
    undone = [one for _, one in case.said(name, index, "compensation") if one.word == "completed"]
    if any(one.order < order for one in undone):
        return True
    arrivals = case.arrivals[name, index, "action"].values()
    tried = {one.command["attempt"] for one in arrivals if one.order < order}
    failed = {n for n, one in case.said(name, index, "action") if one.word == "failed" and one.order < order}
    if case.steps[name].get("verify", {}).get("fences"):
        for arrival in case.arrivals.get((name, index, "verify"), {}).values():
            said = case.record.said.get(arrival.command["command_id"], ())
            if any(one.word == "failed" and one.body["error"]["code"] == "not_found" for one in said):
                failed.add(arrival.command["verifies"]["attempt"])
    return tried <= failed


def judge_family(root: Case, *, is_disturbed: bool, is_cancelled: bool) -> list[str]:
    """Judge a process and those that carried out its steps."""
    children = [child for found in root.children.values() for child in found]
    problems = Judge(root, is_disturbed, is_cancelled).verdict()
    return problems + [one for child in children for one in Judge(child, is_disturbed).verdict()]


def check_commands(arrivals: list[Arrival]) -> list[str]:
    """Say which commands came twice and differed, and which keys serve several efforts."""
    bodies: dict[str, bytes] = {}
    users: defaultdict[str, set[tuple[object, ...]]] = defaultdict(set)
    problems = []
    for one in arrivals:
        command = one.command
        if bodies.setdefault(command["command_id"], one.body) != one.body:
            problems.append(f"{command['command_id']} came twice and differs")
        place = (command["process_id"], command["step"], command.get("index"), command["kind"])
        users[command["idempotency_key"]].add(place)
    shared = {key: found for key, found in users.items() if len(found) > 1}
    return problems + [f"the key {key} serves {sorted(map(str, found))}" for key, found in shared.items()]
