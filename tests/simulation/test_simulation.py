"""Whatever goes wrong, and in whatever order: no promise is broken, and when it stops, everything ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from saga.process.codec import EVENT_NAMES
from tests.simulation.cases import Case
from tests.simulation.plan import Plan
from tests.simulation.shrink import shrink
from tests.simulation.world import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SEEDS = 2_000
SHARE = 100
SEEDS_FOR_ALL_EVENTS = 1_000
# Nobody reruns a process here; what may happen to one that was is drawn in the properties of the machine.
NOT_SIMULATED = frozenset({"step_kept", "operator_rerun"})


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_promise_holds_under_seeded_faults(first: int) -> None:
    """A hundred seeds at a time; one that fails is made smaller and says how to run it again."""
    for seed in range(first, first + SHARE):
        verdict = simulate(Plan.of(seed))
        if verdict.problems:
            pytest.fail(f"seed {seed} failed:\n{shrink(verdict)}")


def test_every_event_of_the_language_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within few seeds, or the runs above would prove less than they say."""
    met: set[str] = set()
    read = Case.read

    def reading(self: Case, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        met.update(event["type"] for event in document["events"])
        return read(self, document)

    monkeypatch.setattr(Case, "read", reading)
    seeds = iter(range(SEEDS_FOR_ALL_EVENTS))
    while missing := set(EVENT_NAMES) - NOT_SIMULATED - met:
        seed = next(seeds, None)
        assert seed is not None, f"{SEEDS_FOR_ALL_EVENTS} seeds met no {sorted(missing)}"
        simulate(Plan.of(seed))


def test_a_seed_stands_for_exactly_one_run() -> None:
    """Run twice, it gives the same logs at the same times, and the same commands."""
    for seed in range(20):
        assert simulate(Plan.of(seed)) == simulate(Plan.of(seed))


def test_without_faults_every_process_ends_in_its_first_seconds() -> None:
    """Nothing but the network's milliseconds passes, and every process is completed."""
    for seed in range(20):
        plan = Plan.of(seed).narrowed(faults="none", processes=None, coordinators=None)
        verdict = simulate(plan)
        assert verdict.problems == []
        assert "retry" not in verdict.story
        assert verdict.story.count(", completed") + verdict.story.count(": completed") > 0
