"""What the end of a drawn saga must look like: all effects there, or none left, or a person is needed."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

from tests.support.random_sagas import effort_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.random_case import Case
    from tests.support.random_participants import Arrival

# How far the clocks of the store and of the participants may be apart, on one machine.
CLOCKS_MS = 60


def problems_at_the_end(case: Case, *, is_disturbed: bool, is_cancelled: bool) -> Iterator[str]:
    """Say what is wrong with where a process stands now that nothing happens any more."""
    match case.status:
        case "completed":
            yield from _of_completed(case)
        case "compensated":
            yield from _of_compensated(case)
            reasons = _reasons(case, is_disturbed=is_disturbed)
            if not (is_cancelled or any(reasons)):
                yield "it turned back, and nothing made it"
        case "suspended":
            if not any(_stuck(case, is_disturbed=is_disturbed)):
                yield f"no undo and no forward step is spent: {case.document['reason']}"
        case "started" | "compensating" if any(
            child.status == "suspended" for found in case.children.values() for child in found
        ):
            pass
        case status:
            yield f"{status} is no end: {case.document['waiting_for']}"


def _of_completed(case: Case) -> Iterator[str]:
    shown = {step["name"]: step for step in case.document["steps"]}
    if any(kind == "compensation" for _, _, kind in case.arrivals):
        yield "something was undone in it"
    for name, is_taken in case.taken.items():
        if shown[name]["status"] != ("completed" if is_taken else "skipped"):
            yield f"{name} is shown as {shown[name]['status']}"
        if not is_taken:
            continue
        if shown[name]["output"] != case.output(name):
            yield f"the output of {name} is shown as {shown[name]['output']!r}"
        for index in case.indexes(name):
            if case.done(name, index) == math.inf:
                yield f"{name}[{index}] was never done"
            if "service" in case.steps[name] and not has_effect(case, name, index):
                yield f"{name}[{index}] has no effect"
            found = [child.status for child in case.children.get((name, index), ())]
            if "process" in case.steps[name] and found.count("completed") != 1:
                yield f"{name}[{index}] was carried out by {found}"
    if case.document["result"] != case.result():
        yield f"the result is {case.document['result']!r} and not {case.result()!r}"


def _of_compensated(case: Case) -> Iterator[str]:
    shown = {step["name"]: step for step in case.document["steps"]}
    for name, index, kind in case.arrivals:
        has_undo = isinstance(case.steps[name].get("compensation"), dict)
        if kind == "action" and has_undo and has_effect(case, name, index):
            yield f"the effect of {name}[{index}] is left"
        undo = shown[name]["compensation"]
        if kind == "compensation" and (undo is None or undo["status"] != "compensated"):
            yield f"the undo of {name}[{index}] is shown as {undo}"
    for (name, index), children in case.children.items():
        may_be_left = case.steps[name].get("compensation") == "none"
        for child in children:
            if child.status != "compensated" and not (may_be_left and child.status == "completed"):
                yield f"the process of {name}[{index}] is {child.status}"


def _reasons(case: Case, *, is_disturbed: bool) -> Iterator[bool]:
    """Say whether there was a reason to turn back."""
    yield case.parent is not None and case.parent.status != "completed"
    for name, step in case.steps.items():
        if "signal" in step:
            word = case.saga.script[effort_name(case.process_type, name, None, "signal")][0]
            yield word in {"refuse", "never"}
        for index in case.indexes(name) if case.taken[name] else ():
            if "service" in step:
                yield is_spent(case, name, index, "action", is_disturbed=is_disturbed)
            elif "process" in step:
                found = case.children.get((name, index), ())
                yield any(child.status in {"compensated", "suspended"} for child in found)


def _stuck(case: Case, *, is_disturbed: bool) -> Iterator[bool]:
    """Say whether there is something that only a person can settle."""
    for name, step in case.steps.items():
        for index in case.indexes(name) if case.taken[name] else ():
            if "service" in step:
                is_undoable = isinstance(step.get("compensation"), dict)
                yield is_undoable and is_spent(case, name, index, "compensation", is_disturbed=is_disturbed)
                yield name in case.forward and is_spent(
                    case, name, index, "action", is_disturbed=is_disturbed
                )
            elif "process" in step:
                yield any(child.status != "completed" for child in case.children.get((name, index), ()))
            else:
                word = case.saga.script[effort_name(case.process_type, name, None, "signal")][0]
                yield name in case.forward and word in {"refuse", "never"}


def has_effect(case: Case, name: str, index: int | None) -> bool:
    """Say whether an effect is there now."""
    arrivals = case.arrivals.get((name, index, "action"), {})
    return any(case.record.is_done(one.command["idempotency_key"]) for one in arrivals.values())


def is_spent(case: Case, name: str, index: int | None, kind: str, *, is_disturbed: bool = False) -> bool:
    """Say whether an effort was refused, or tried as often as it may be without an answer in time."""
    for _, said in case.said(name, index, kind):
        if said.word == "failed" and said.body["error"].get("retryable") is False:
            return True
    arrivals = case.arrivals.get((name, index, kind), {})
    budget = case.policy(name, kind).attempts
    if budget not in arrivals:
        return False
    last = arrivals[budget]
    answers = case.record.said.get(last.command["command_id"], ())
    in_time = [one for one in answers if one.at_ms < deadline_ms(last) - CLOCKS_MS]
    return is_disturbed or not in_time or in_time[0].word == "failed"


def deadline_ms(arrival: Arrival) -> float:
    """Give when an attempt times out, on the clock of the store."""
    return datetime.fromisoformat(arrival.command["deadline"]).timestamp() * 1000
