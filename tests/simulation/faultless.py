"""I17: a process that met no fault has the log of a run without faults, whatever happened around it.

Compared is what doesn't depend on timing: the events of each step, and those of the process, in their order.
Servers may have died and messages come twice: that leaves no trace in a log where nothing timed out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from saga.process.codec import encode_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.cases import Case
    from tests.simulation.world import World

_TRACES = ("timed_out", "deadline_passed", "observed", "lock_joined", "child_cancelled")
_CONTENDED = ("locked", "lock_deadlock")


def untroubled(world: World) -> dict[str, Case]:
    """Give the processes that ended and met no fault, nor did any that carries out a step of theirs."""
    own = {one: case for one, case in world.judge.cases.items() if _is_untroubled(world, one, case)}
    families = defaultdict(set)
    for one, case in world.judge.cases.items():
        parent = case.state and case.state.origin.parent
        if parent:
            families[str(parent).partition(".")[0]].add(one)
    found: dict[str, Case] = {}
    # A child comes into being after its parent, so that the innermost are seen first.
    for one in reversed(own):
        if families[one] <= found.keys():
            found[one] = own[one]
    return found


def differences(run: Mapping[str, Case], world: World) -> list[str]:
    """Compare the logs of a run with those of a world without faults."""
    calm = untroubled(world)
    problems = []
    for process_id, case in run.items():
        other = calm.get(process_id)
        if other is None:
            continue  # without faults it met another process at a lock
        seen, expected = _traces(case), _traces(other)
        if seen != expected and seen["", "parameters"] == expected["", "parameters"]:
            wrong = sorted(
                f"{' '.join(key)} {seen.get(key)} instead of {expected.get(key)}"
                for key in seen.keys() | expected.keys()
                if seen.get(key) != expected.get(key)
            )
            problems.append(f"I17 {process_id}: met no fault, and has {wrong}")
    return problems


def _is_untroubled(world: World, process_id: str, case: Case) -> bool:
    troubled = world.participants.troubled | world.person.troubled | world.operator.troubled
    if process_id in troubled or process_id in world.judge.unroutable_processes:
        return False
    # How far the others came where one step turns a process back is a matter of time.
    return case.status == "completed" and not any(
        event["type"].endswith(_TRACES)
        or event["type"].startswith("operator_")
        or event.get("reason") in _CONTENDED
        for event in _events(case)
    )


def _events(case: Case) -> list[dict[str, Any]]:
    return [encode_event(event) for transition in case.log for event in transition.events]


def _traces(case: Case) -> dict[tuple[str, str], list[Any]]:
    traces: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in _events(case):
        word = event["type"]
        if word == "accepted":
            traces["", "parameters"].append(event["parameters"])
        elif "step" in event and event["step"] is not None and "attempt" in event:
            traces["step", event["step"]].append(word)
        elif not word.startswith("lock"):
            traces["", "process"].append((word, *sorted(event.get("steps", ()))))
    # What belongs to no attempt may come in any order, as the steps do that it is about.
    traces["", "process"].sort()
    return dict(traces)
