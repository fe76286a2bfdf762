"""What was measured: figures, round by round, and the series that charts are drawn from."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class BenchmarkError(RuntimeError):
    """Something could not be measured; the message says what and why."""


class Better(StrEnum):
    """Tell which direction of a figure is the good one."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing, a number per round, and where there is a baseline the same of it, round by round.

    `target` is for the ratio where there is a baseline, unless it is absolute; else for the value. A figure
    that only shows how something changes has its `with_floor` false: no floor is recorded for it. Raises
    BenchmarkError for a round that gave no number, so that nothing is left out without a word.
    """

    name: str
    unit: str
    rounds: tuple[float, ...]
    baseline: str = ""
    baseline_rounds: tuple[float, ...] = ()
    better: Better = Better.MORE
    target: float | None = None
    target_is_absolute: bool = False
    with_floor: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no measurement."""
        numbers = (*self.rounds, *self.baseline_rounds)
        if not self.rounds or not all(math.isfinite(number) for number in numbers):
            raise BenchmarkError(f"{self.name}: not every round gave a number")
        if bool(self.baseline) != bool(self.baseline_rounds):
            raise BenchmarkError(f"{self.name}: the baseline {self.baseline!r} was not measured")
        if self.baseline_rounds and len(self.baseline_rounds) != len(self.rounds):
            raise BenchmarkError(f"{self.name}: the baseline has another number of rounds")
        if not all(self.baseline_rounds) and self.baseline_rounds:
            raise BenchmarkError(f"{self.name}: the baseline is zero")

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    @property
    def baseline_value(self) -> float | None:
        """The median of the baseline's rounds."""
        return statistics.median(self.baseline_rounds) if self.baseline_rounds else None

    @property
    def ratio(self) -> float | None:
        """The median of the ratios, pair by pair: the machine's speed drifts, and both halves drift together."""
        if not self.baseline_rounds:
            return None
        pairs = zip(self.rounds, self.baseline_rounds, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    @property
    def judged(self) -> float:
        """What the target is about."""
        return self.value if self.ratio is None or self.target_is_absolute else self.ratio

    @property
    def meets_target(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else not is_worse(self.judged, self.target, self.better)

    def document(self) -> dict[str, object]:
        """Write the figure as it stands in the results."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": rounded(self.value),
            "rounds": [rounded(number) for number in self.rounds],
            "better": str(self.better),
            "target": self.target,
            "target_is_absolute": self.target_is_absolute or self.ratio is None,
            "meets_target": self.meets_target,
            "baseline": self.baseline or None,
            "baseline_value": None if self.baseline_value is None else rounded(self.baseline_value),
            "baseline_rounds": [rounded(number) for number in self.baseline_rounds],
            "ratio": None if self.ratio is None else rounded(self.ratio),
        }


@dataclass(frozen=True, slots=True)
class Series:
    """Lines over one axis, or bars where `is_histogram`; each line is a list of points (x, y)."""

    name: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    is_histogram: bool = False
    x_is_log: bool = False
    limit: float | None = None

    def document(self) -> dict[str, object]:
        """Write the series as it stands in the results."""
        return {
            "name": self.name,
            "x": self.x,
            "y": self.y,
            "lines": {
                label: [[rounded(x), rounded(y)] for x, y in points] for label, points in self.lines.items()
            },
            "is_histogram": self.is_histogram,
            "x_is_log": self.x_is_log,
            "limit": self.limit,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a subject gives.

    `notes` say what a reader of the figures should know beside them, `unmeasured` what could not be measured.
    """

    figures: Sequence[Figure]
    series: Sequence[Series] = ()
    notes: Sequence[str] = ()
    unmeasured: Sequence[str] = ()


def is_worse(number: float, limit: float, better: Better) -> bool:
    """Say whether a number lies on the bad side of a limit."""
    return number < limit if better is Better.MORE else number > limit


def percentile(sorted_numbers: Sequence[float], share: float) -> float:
    """Give the number below which this share lies, by the nearest rank; BenchmarkError for no numbers."""
    if not sorted_numbers:
        raise BenchmarkError("there is nothing to take a percentile of")
    rank = math.ceil(share * len(sorted_numbers))
    return sorted_numbers[min(max(rank, 1), len(sorted_numbers)) - 1]


def histogram(numbers: Sequence[float], *, width: float) -> list[tuple[float, float]]:
    """Count numbers by bins of one width; a point is the lower edge of a bin and its count."""
    counts: dict[int, int] = {}
    for number in numbers:
        counts[math.floor(number / width)] = counts.get(math.floor(number / width), 0) + 1
    if not counts:
        return []
    bins = range(min(counts), max(counts) + 1)
    return [(number * width, float(counts.get(number, 0))) for number in bins]


def rounded(number: float) -> float:
    """Give four significant digits: what lies behind them is noise."""
    return float(f"{number:.4g}") if abs(number) < 1_000 else round(number, 1)  # noqa: PLR2004
