"""The floors: recorded ratios that a run must not fall below, so that a loss is seen when it comes in."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.figures import Better, Figure, is_worse, rounded

FLOORS = Path(__file__).parent / "floors.json"
# How much of a recorded ratio a later run may lose: the rounds of one run differ by a tenth.
_SLACK = 0.2


def load_floors(file: Path = FLOORS) -> dict[str, float]:
    """Read the floors by the names of their figures."""
    floors: dict[str, float] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return floors


def save_floors(floors: Mapping[str, float], file: Path = FLOORS) -> None:
    """Write the floors."""
    file.write_text(json.dumps(dict(sorted(floors.items())), indent=2) + "\n", encoding="utf-8")


def floors_from(figures: Iterable[Figure]) -> dict[str, float]:
    """Give the floors that these figures allow: their ratios, less what one run may differ from another."""
    return {
        figure.name: rounded(_with_slack(figure.ratio, figure.better))
        for figure in figures
        if figure.ratio is not None and figure.with_floor
    }


def below_floor(figures: Iterable[Figure], floors: Mapping[str, float]) -> list[str]:
    """Say in a sentence each which ratio is worse than its floor."""
    return [
        f"{figure.name}: the ratio to {figure.baseline} is {figure.ratio:.3g}, "
        f"{'below' if figure.better is Better.MORE else 'above'} the recorded {floors[figure.name]:.3g}"
        for figure in figures
        if figure.ratio is not None
        and figure.name in floors
        and is_worse(figure.ratio, floors[figure.name], figure.better)
    ]


def _with_slack(ratio: float, better: Better) -> float:
    return ratio * (1 - _SLACK) if better is Better.MORE else ratio * (1 + _SLACK)
