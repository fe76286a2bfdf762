"""Make a failing plan smaller: fewer processes, coordinators and faults, as long as it still fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.world import simulate

if TYPE_CHECKING:
    from tests.simulation.plan import Plan
    from tests.simulation.world import Verdict

RUNS_MAX = 60


def shrink(failed: Verdict, *, runs_max: int = RUNS_MAX) -> Verdict:
    """Give the verdict on the smallest plan that was found to fail, within so many runs."""
    runs = 0
    tried: set[str] = set()
    smallest = failed
    while (smaller := _next(smallest.plan, tried)) is not None and runs < runs_max:
        tried.add(smaller.command)
        runs += 1
        verdict = simulate(smaller)
        if verdict.problems:
            smallest = verdict
    return smallest


def _next(plan: Plan, tried: set[str]) -> Plan | None:
    return next((one for one in plan.smaller() if one.command not in tried), None)
