"""Results are written by subject and drawn from the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.charts import draw
from benchmarks.figures import Better, Figure, Outcome, Series

if TYPE_CHECKING:
    from pathlib import Path


def test_every_series_and_every_judgement_is_drawn(tmp_path: Path) -> None:
    """Bars for the ratios and the targets, one chart per series; charts of old ones go away."""
    outcome = Outcome(
        [
            Figure("speed", "per second", (1, 2, 3), "the other", (2, 4, 6), target=0.7),
            Figure("size", "MiB", (100,), better=Better.LESS, target=256),
        ],
        [
            Series("How it grows", "x", "y", {"a": [(1, 1), (2, 4)], "b": [(1, 2), (2, 3)]}, x_is_log=True),
            Series("late", "s", "timers", {"all": [(0.0, 5.0)]}, is_histogram=True, limit=1),
        ],
    )
    results = tmp_path / "results.json"
    subject = {
        "figures": [figure.document() for figure in outcome.figures],
        "series": [series.document() for series in outcome.series],
    }
    results.write_text(json.dumps({"subject": subject}))
    folder = tmp_path / "charts"
    folder.mkdir()
    (folder / "old.png").touch()
    drawn = draw(results, folder)
    assert {file.name for file in drawn} == {"ratios.png", "targets.png", "how-it-grows.png", "late.png"}
    assert set(folder.iterdir()) == set(drawn)
