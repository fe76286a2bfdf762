"""Medians, ratios, targets and floors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from benchmarks.figures import BenchmarkError, Better, Figure, histogram, percentile
from benchmarks.floors import below_floor, floors_from, load_floors, save_floors

if TYPE_CHECKING:
    from pathlib import Path


def figure(ours: tuple[float, ...], theirs: tuple[float, ...] = (), **words: object) -> Figure:
    """Make a figure, with a baseline where numbers of one are given."""
    baseline = "the other" if theirs else ""
    return Figure("speed", "per second", ours, baseline, theirs, **words)  # type: ignore[arg-type]


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    """A round in which the machine was slow for both sides changes nothing."""
    measured = figure((50, 5, 60), (100, 10, 100))
    assert measured.value == 50
    assert measured.ratio == pytest.approx(0.5)


def test_a_target_is_for_the_ratio_where_there_is_a_baseline() -> None:
    """Unless it is said to be for the value itself."""
    assert figure((60,), (100,), target=0.6).meets_target is True
    assert figure((60,), (100,), target=0.7).meets_target is False
    assert figure((60,), (100,), target=50, target_is_absolute=True).meets_target is True
    assert figure((60,), better=Better.LESS, target=50).meets_target is False
    assert figure((60,)).meets_target is None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [((), ()), ((1.0, math.nan), ()), ((1.0, 2.0), (1.0,)), ((1.0,), (0.0,)), ((1.0,), (math.inf,))],
)
def test_what_was_not_measured_is_no_figure(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    """A round without a number is an error, never a figure over the others."""
    with pytest.raises(BenchmarkError):
        figure(ours, theirs)


def test_a_baseline_that_is_named_must_be_measured() -> None:
    """Its figure would look like one without a baseline."""
    with pytest.raises(BenchmarkError, match="was not measured"):
        Figure("speed", "per second", (1.0,), baseline="the other")


def test_a_percentile_is_one_of_the_numbers() -> None:
    """By the nearest rank: of few numbers the 99th is the last."""
    numbers = list(range(1, 201))
    assert percentile(numbers, 0.5) == 100
    assert percentile(numbers, 0.99) == 198
    assert percentile([1.0, 2.0], 0.99) == 2
    with pytest.raises(BenchmarkError):
        percentile([], 0.5)


def test_a_histogram_has_every_bin_between_the_first_and_the_last() -> None:
    """Also those that nothing falls into."""
    assert histogram([0.1, 0.2, 2.5], width=1.0) == [(0.0, 2.0), (1.0, 0.0), (2.0, 1.0)]
    assert histogram([], width=1.0) == []


def test_a_floor_leaves_room_for_the_next_run(tmp_path: Path) -> None:
    """A run like the recorded one is not below it, one that lost a quarter is; for times it is above."""
    recorded = [figure((50,), (100,)), Figure("time", "ms", (2,), "the other", (1,), Better.LESS)]
    file = tmp_path / "floors.json"
    save_floors(floors_from(recorded), file)
    floors = load_floors(file)
    assert floors == {"speed": 0.4, "time": 2.4}
    assert below_floor(recorded, floors) == []
    lost = [figure((37,), (100,)), Figure("time", "ms", (2.5,), "the other", (1,), Better.LESS)]
    assert below_floor(lost, floors) == [
        "speed: the ratio to the other is 0.37, below the recorded 0.4",
        "time: the ratio to the other is 2.5, above the recorded 2.4",
    ]


def test_a_figure_without_a_baseline_has_no_floor() -> None:
    """What one machine does in a second says nothing about another."""
    assert floors_from([figure((50,))]) == {}
    assert floors_from([figure((50,), (100,), with_floor=False)]) == {}
    assert below_floor([figure((50,))], {"speed": 100}) == []
