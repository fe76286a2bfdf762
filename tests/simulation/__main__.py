"""`make simulate SEEDS=2000`, or `SEED=7 make simulate` for one run that is told in full.

`FROM` is the first seed. A failing seed is made smaller, and the command to run it again is printed.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.plan import Plan
from tests.simulation.shrink import shrink
from tests.simulation.world import Verdict, simulate

SHARE = 50
SHOWN_MAX = 5


def failures(seeds: range) -> list[Verdict]:
    """Run seeds and give the verdicts on those that failed."""
    return [verdict for seed in seeds if (verdict := simulate(Plan.of(seed))).problems]


def main() -> int:
    """Run what the environment asks for."""
    env = os.environ
    if "SEED" in env:
        drawn = Plan.of(int(env["SEED"]))
        plan = drawn.narrowed(
            faults=env.get("FAULTS"), processes=env.get("PROCESSES"), coordinators=env.get("COORDINATORS")
        )
        verdict = simulate(plan)
        say(f"{plan}\n{verdict.story}\n{'failed' if verdict.problems else 'held'}")
        say("\n".join(verdict.problems))
        return bool(verdict.problems)
    first, count = int(env.get("FROM", "0")), int(env.get("SEEDS", "2000"))
    began = time.monotonic()
    with ProcessPoolExecutor() as workers:
        shares = [
            range(start, min(start + SHARE, first + count)) for start in range(first, first + count, SHARE)
        ]
        failed = [verdict for found in workers.map(failures, shares) for verdict in found]
    for verdict in failed[:SHOWN_MAX]:
        say(f"\nseed {verdict.plan.seed} failed:\n{shrink(verdict)}")
    took_s = time.monotonic() - began
    say(f"{count} seeds in {took_s:.1f} s, {count / took_s:.0f} a second: {len(failed)} failed")
    return bool(failed)


def say(text: str) -> None:
    """Print."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
