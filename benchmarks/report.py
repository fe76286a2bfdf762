"""What the terminal shows: how far the run is, and a table of the figures at its end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from benchmarks.figures import Better, Figure, Outcome


class Report:
    """Show a bar on a terminal, and a line per change elsewhere."""

    def __init__(self, subjects: int) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=subjects)
        self._subject = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar while the run lasts."""
        with self._bar:
            yield

    @contextmanager
    def subject(self, name: str) -> Iterator[None]:
        """Show which subject is measured."""
        self._subject = name
        began = time.monotonic()
        try:
            yield
        finally:
            self._bar.advance(self._task)
            self._console.print(f"{name}: {time.monotonic() - began:.0f} s", highlight=False)

    def say(self, what: str) -> None:
        """Show what is going on."""
        text = f"{self._subject}: {what}"
        self._bar.update(self._task, description=text)
        if not self._console.is_terminal:
            self._console.print(text, highlight=False)

    def warn(self, what: str) -> None:
        """Say what went wrong, above the bar."""
        self._console.print(what, style="red", highlight=False, markup=False)


def show(outcomes: Mapping[str, Outcome]) -> None:
    """Print the figures as a table, then what should be known about them."""
    table = Table("subject", "figure", "value", "baseline", "ratio", "target")
    for name, outcome in outcomes.items():
        for figure in outcome.figures:
            table.add_row(name, *_cells(figure))
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    for name, outcome in outcomes.items():
        for note in outcome.notes:
            console.print(f"{name}: {note}", highlight=False, markup=False)


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    baseline = "" if figure.baseline_value is None else f"{figure.baseline_value:.4g} ({figure.baseline})"
    target = ""
    if figure.target is not None:
        sign = "≥" if figure.better is Better.MORE else "≤"
        colour, word = ("green", "met") if figure.meets_target else ("red", "missed")
        target = f"[{colour}]{sign} {figure.target:g} {word}[/]"
    return figure.name, f"{figure.value:.4g} {figure.unit}", baseline, ratio, target
