"""Charts from the results: ratios beside their targets, and each series that a subject gave.

`python -m benchmarks.charts` draws them anew from what was measured last.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmarks.figures import Better
from benchmarks.floors import load_floors
from benchmarks.results import CHARTS, RESULTS

Document = Mapping[str, Any]

OURS, BASELINE, GOOD, BAD, MARK = "#1f5fa8", "#9aa3ad", "#2e7d4f", "#b3402f", "#222222"
_WIDTH_IN = 8.0
_BAR_IN = 0.34
_DPI = 110


def draw(results: Path, folder: Path) -> list[Path]:
    """Draw all charts of a file of results into a folder; those of series that are no more there go away."""
    mpl.use("agg")
    known: dict[str, Document] = json.loads(results.read_text("utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    figures = [figure for subject in known.values() for figure in subject["figures"]]
    drawn = [_ratios(figures, folder), _targets(figures, folder)]
    drawn += [_series(series, folder) for subject in known.values() for series in subject["series"]]
    return [file for file in drawn if file is not None]


def _ratios(figures: Sequence[Document], folder: Path) -> Path | None:
    """Draw each ratio as a bar, its target as a line across it, and its floor as a dot."""
    shown = [figure for figure in figures if figure["ratio"] is not None]
    if not shown:
        return None
    drawing, axes = _bars(
        [_label(figure) for figure in shown],
        [figure["ratio"] for figure in shown],
        [_colour(figure) if not figure["target_is_absolute"] else OURS for figure in shown],
    )
    floors = load_floors()
    for place, figure in enumerate(shown):
        if figure["target"] is not None and not figure["target_is_absolute"]:
            _mark(axes, place, figure["target"])
        if figure["name"] in floors:
            axes.plot([floors[figure["name"]]], [place], "o", color=MARK, markersize=4)
    axes.axvline(1, color=BASELINE, linewidth=0.8)
    axes.set_xlabel("ratio to the baseline; line: target (green met, red missed), dot: recorded floor")
    return _saved(drawing, folder / "ratios.png")


def _targets(figures: Sequence[Document], folder: Path) -> Path | None:
    """Draw how much of what each target allows is used up: whatever stays left of 1 is within it."""
    shown = [figure for figure in figures if figure["target"] is not None]
    if not shown:
        return None
    drawing, axes = _bars(
        [figure["name"] for figure in shown],
        [_used_up(figure) for figure in shown],
        [_colour(figure) for figure in shown],
    )
    axes.axvline(1, color=MARK, linewidth=1.2)
    axes.set_xlabel("part of what the target allows (left of 1: met)")
    return _saved(drawing, folder / "targets.png")


def _series(series: Document, folder: Path) -> Path:
    drawing = Drawing(figsize=(_WIDTH_IN, 4.2), dpi=_DPI, layout="constrained")
    axes = drawing.add_subplot()
    colours = [OURS] if len(series["lines"]) == 1 else [BASELINE, OURS]
    for colour, (label, points) in zip(colours, series["lines"].items(), strict=False):
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        if series["is_histogram"]:
            width = xs[1] - xs[0] if len(xs) > 1 else 1.0
            axes.bar(xs, ys, width=width, align="edge", color=colour, alpha=0.75, label=label)
        else:
            axes.plot(xs, ys, "-" if len(xs) > 30 else "o-", color=colour, label=label)  # noqa: PLR2004
    if series["limit"] is not None:
        _limit(axes, series)
    if series["x_is_log"]:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set(title=series["name"], xlabel=series["x"], ylabel=series["y"])
    if len(series["lines"]) > 1 or series["limit"] is not None:
        axes.legend(frameon=False)
    _plain(axes)
    return _saved(drawing, folder / f"{_slug(series['name'])}.png")


def _limit(axes: Axes, series: Document) -> None:
    if series["is_histogram"]:
        axes.axvline(series["limit"], color=BAD, linewidth=1, linestyle="--", label="target")
    else:
        axes.axhline(series["limit"], color=BAD, linewidth=1, linestyle="--", label="target")


def _bars(labels: Sequence[str], lengths: Sequence[float], colours: Sequence[str]) -> tuple[Drawing, Axes]:
    height = 1.2 + _BAR_IN * len(labels)
    drawing = Drawing(figsize=(_WIDTH_IN, height), dpi=_DPI, layout="constrained")
    axes = drawing.add_subplot()
    bars = axes.barh(range(len(labels)), lengths, height=0.66, color=colours)
    axes.bar_label(bars, [f"{length:.2f}" for length in lengths], padding=4, fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    _plain(axes)
    return drawing, axes


def _label(figure: Document) -> str:
    word = "" if figure["better"] == Better.MORE else " (less is better)"
    return f"{figure['name']}{word}"


def _colour(figure: Document) -> str:
    return OURS if figure["target"] is None else GOOD if figure["meets_target"] else BAD


def _used_up(figure: Document) -> float:
    judged = figure["value"] if figure["target_is_absolute"] else figure["ratio"]
    used = judged / figure["target"]
    return float(1 / used if figure["better"] == Better.MORE else used)


def _mark(axes: Axes, place: int, target: float) -> None:
    axes.plot([target, target], [place - 0.42, place + 0.42], color=MARK, linewidth=1.6)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _saved(drawing: Drawing, file: Path) -> Path:
    drawing.savefig(file, metadata={"Software": None})
    return file


if __name__ == "__main__":
    print(*draw(RESULTS, CHARTS), sep="\n")
