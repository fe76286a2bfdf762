"""One process of a drawn saga as an outsider knows it: its definition, its document, and what others saw of it.

Everything here is worked out from the definition as it is written, with the public JMESPath library, and from
the order in which commands arrived and replies were said. `math.inf` stands for what never happened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import jmespath

from tests.support.random_sagas import after_of, ancestors_of, output_of, sure_before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.random_participants import Arrival, Record, Said
    from tests.support.random_sagas import RandomSaga

Effort = tuple[str, "int | None", str]


@dataclass(frozen=True)
class Policy:
    """How an effort may be tried, as the definition says it; in seconds."""

    attempts: int
    timeout: float
    backoff: float
    factor: float
    max_backoff: float
    jitter: float

    def least_wait_ms(self, attempt: int) -> float:
        """Give the shortest pause behind an attempt."""
        return 1000 * min(self.backoff * self.factor ** (attempt - 1), self.max_backoff) * (1 - self.jitter)


@dataclass(eq=False)
class Case:
    """Hold one process; `children` are those that carry out its steps, by step and item."""

    saga: RandomSaga
    definition: dict[str, Any]
    document: dict[str, Any]
    record: Record
    signals: Mapping[tuple[str, str], str]
    arrivals: dict[Effort, dict[int, Arrival]] = field(default_factory=dict)
    children: dict[tuple[str, int | None], list[Case]] = field(default_factory=dict)
    parent: Case | None = None
    _ready: dict[str, float] = field(default_factory=dict)

    @property
    def process_id(self) -> str:
        """Its id."""
        return str(self.document["process_id"])

    @property
    def process_type(self) -> str:
        """Its type."""
        return str(self.definition["process_type"])

    @property
    def status(self) -> str:
        """Where it stands."""
        return str(self.document["status"])

    @property
    def via(self) -> tuple[str, int | None]:
        """Give the parent's step, and its item, that this process carries out."""
        parameters = self.document["parameters"]
        return parameters["via"], parameters.get("index")

    @cached_property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The steps by their names."""
        return {step["name"]: step for step in self.definition["steps"]}

    @cached_property
    def after(self) -> dict[str, list[str]]:
        """What each step waits for."""
        return after_of(self.definition)

    @cached_property
    def before(self) -> dict[str, set[str]]:
        """All that comes before each step."""
        return {name: ancestors_of(self.after, name) for name in self.steps}

    @cached_property
    def behind(self) -> dict[str, set[str]]:
        """All that comes behind each step."""
        return {name: {other for other in self.steps if name in self.before[other]} for name in self.steps}

    @cached_property
    def sure(self) -> dict[str, set[str]]:
        """What completed for sure before each step starts."""
        return {name: sure_before(self.definition, name) for name in self.steps}

    @cached_property
    def forward(self) -> set[str]:
        """The pivot and what comes behind it."""
        pivots = [name for name, step in self.steps.items() if step.get("pivot")]
        return {name for pivot in pivots for name in (pivot, *self.behind[pivot])}

    @cached_property
    def taken(self) -> dict[str, bool]:
        """Whether each step is carried out in a process that completes: its condition and its join say so."""
        found: dict[str, bool] = {}
        for name in sorted(self.steps, key=lambda name: len(self.before[name])):
            step, waits_for = self.steps[name], self.after[name]
            is_left_out = step.get("join", "all") != "all" and not any(found[one] for one in waits_for)
            found[name] = not is_left_out
            if found[name] and "when" in step:
                scope = self.scope({one for one in self.sure[name] if found[one]})
                found[name] = jmespath.search(step["when"], scope) is True
        return found

    def items(self, name: str) -> list[Any] | None:
        """Give the list of a step that runs once per item."""
        if "for_each" not in self.steps[name]:
            return None
        found = jmespath.search(self.steps[name]["for_each"], self.scope(self.sure[name]))
        return cast("list[Any]", found)

    def indexes(self, name: str) -> list[int | None]:
        """Give the instances of a step; None is the step itself."""
        items = self.items(name)
        return [None] if items is None else list(range(len(items)))

    def scope(self, names: set[str], *, item: tuple[int, Any] | None = None) -> dict[str, Any]:
        """Give what an expression sees that may read the outputs of these steps."""
        results = {name: self.output(name) for name in sorted(names)}
        scope: dict[str, Any] = {"parameters": self.document["parameters"], "results": results}
        if item is not None:
            scope |= {"index": item[0], "item": item[1]}
        return scope

    def output(self, name: str) -> Any:
        """Give what a step gives once it is completed."""
        one_each = [self.output_of_one(name, index) for index in self.indexes(name)]
        return one_each if "for_each" in self.steps[name] else one_each[0]

    def output_of_one(self, name: str, index: int | None) -> Any:
        """Give what one instance of a step gives."""
        if "process" not in self.steps[name]:
            return output_of(self.process_type, name, index)
        children = self.children.get((name, index), ())
        return next((child.result() for child in children), None)

    def result(self) -> dict[str, Any] | None:
        """Give what the process gives when it completes."""
        if "result" not in self.definition:
            return None
        scope = self.scope({name for name, is_taken in self.taken.items() if is_taken})
        return {name: jmespath.search(text, scope) for name, text in self.definition["result"].items()}

    def policy(self, name: str, kind: str) -> Policy:
        """Give how often and how patiently an effort may be tried."""
        step, saga = self.steps[name], self.definition["retry"]
        own = {"action": step, "compensation": step.get("compensation"), "verify": step.get("verify")}[kind]
        assert isinstance(own, dict)
        default = {"factor": 2, "max_backoff": 60, "jitter": 0.1, "backoff": 1}
        attempts = {"action": saga["attempts"], "compensation": 10, "verify": saga["attempts"]}[kind]
        merged = {**default, **saga, "attempts": attempts, **own.get("retry", {})}
        timeout = own.get("timeout", step.get("timeout", self.definition["timeout"]))
        return Policy(timeout=timeout, **merged)

    # When things happened

    def said(self, name: str, index: int | None, kind: str) -> Iterator[tuple[int, Said]]:
        """Give what was said to the attempts of an effort."""
        for attempt, arrival in self.arrivals.get((name, index, kind), {}).items():
            for said in self.record.said.get(arrival.command["command_id"], ()):
                yield attempt, said

    def done(self, name: str, index: int | None = None) -> float:
        """Say when an instance of a step, or a step without any, was first said to be done."""
        step = self.steps[name]
        if "signal" in step:
            command_id = self.signals.get((self.process_id, name), "")
            given = self.record.said.get(command_id, ())
            return min((said.order for said in given if said.word == "completed"), default=math.inf)
        if "process" in step:
            found = self.children.get((name, index), ())
            return min((child.completed() for child in found), default=math.inf)
        orders = [
            said.order
            for kind in ("action", "verify")
            for _, said in self.said(name, index, kind)
            if said.word == "completed"
        ]
        return min(orders, default=math.inf)

    def completed(self) -> float:
        """Say when the last step of a process was said to be done."""
        return max((self.settled(name) for name in self.steps), default=0)

    def settled(self, name: str) -> float:
        """Say when a step was done, or known not to be needed."""
        ready = self.ready(name)
        if not self.taken[name] or ready == math.inf:
            return ready
        return max((self.done(name, index) for index in self.indexes(name)), default=ready)

    def ready(self, name: str) -> float:
        """Say from when on a step may start."""
        if name not in self._ready:
            self._ready[name] = self._ready_now(name)
        return self._ready[name]

    def _ready_now(self, name: str) -> float:
        waits_for, join = self.after[name], self.steps[name].get("join", "all")
        all_settled = max((self.settled(one) for one in waits_for), default=0)
        if self.steps[name].get("pivot"):
            others = set(self.steps) - self.behind[name] - {name}
            return max((self.settled(one) for one in others), default=0)
        if join == "all":
            return all_settled
        count = 1 if join == "any" else int(join)
        done = sorted(self.settled(one) for one in waits_for if self.taken[one])
        return min(all_settled, done[count - 1]) if len(done) >= count else all_settled


def family(cases: Mapping[str, Case], roots: Mapping[str, str]) -> tuple[list[Case], list[str]]:
    """Tie processes to those whose steps they carry out; give the roots, and the ids that belong to nobody."""
    found = {run: cases[process_id] for run, process_id in roots.items() if process_id in cases}
    strays = []
    for case in cases.values():
        run = str(case.document["parameters"].get("run"))
        if found.get(run) is case:
            continue
        case.parent = found.get(run)
        if case.parent is None or case.via[0] not in case.parent.steps:
            strays.append(case.process_id)
        else:
            case.parent.children.setdefault(case.via, []).append(case)
    return list(found.values()), strays
