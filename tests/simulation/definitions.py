"""Random sagas: graphs of up to six steps with random retries, pivots and steps without an undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

SERVICES = ("first", "second", "third")


def random_saga(rng: random.Random, process_type: str) -> dict[str, Any]:
    """Draw a definition that the checks accept, as a document."""
    names = [f"s{number}" for number in range(rng.choice((1, 2, 3, 3, 4, 4, 5, 6)))]
    pivot = rng.choice(names) if rng.random() < 0.3 else None
    behind: set[str] = set()
    steps = []
    for position, name in enumerate(names):
        step: dict[str, Any] = {"name": name, "service": rng.choice(SERVICES), "action": "do"}
        above = names[:position]
        after = set(above[-1:])
        if rng.random() < 0.6:
            after = {one for one in above if rng.random() < 0.4}
            step["after"] = sorted(after)
        is_behind = pivot in after or bool(after & behind)
        if is_behind:
            behind.add(name)
        if name == pivot:
            step["pivot"] = True
        elif not is_behind:
            step["compensation"] = _undo(rng)
        if rng.random() < 0.5:
            step["timeout"] = _duration(rng, 0.5, 4)
        if rng.random() < 0.5:
            step["retry"] = {"attempts": rng.randint(1, 3)}
        steps.append(step)
    retry = {"attempts": rng.randint(1, 3), "backoff": _duration(rng, 0, 0.4), "max_backoff": 1}
    return {"process_type": process_type, "timeout": _duration(rng, 0.5, 3), "retry": retry, "steps": steps}


def budget_s(definition: dict[str, Any]) -> float:
    """Bound how long a process may take from any point on when nothing goes wrong any more."""
    attempts = sum(3 + 4 for _ in definition["steps"])
    held_after_an_outage = 10
    found_by_the_poller = 4
    return attempts * (4 + 1 + found_by_the_poller) + held_after_an_outage


def _undo(rng: random.Random) -> Any:
    if rng.random() < 0.2:
        return "none"
    return {"action": "undo", "retry": {"attempts": rng.randint(1, 4)}}


def _duration(rng: random.Random, least: float, most: float) -> float:
    return round(rng.uniform(least, most), 2)
