"""How long one process of three steps takes when it is alone, beside the relay."""

from functools import partial

from benchmarks.figures import Better, Figure, Outcome, Series, histogram
from benchmarks.place import BATUTA, RELAY, Place, Size
from benchmarks.plans import DOCUMENT_ANALYSIS
from benchmarks.subjects.throughput import successes

_BIN_MS = 1.0


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    place.both_sides(DOCUMENT_ANALYSIS)
    for side in (RELAY, BATUTA):
        place.load(side, successes(size.of(300, 30), 20))
    load = successes(size.of(300, 50), at_once=1)
    measured = place.rounds(size.rounds, {side: partial(place.load, side, load) for side in (RELAY, BATUTA)})
    median, slowest = (
        Figure(
            name,
            "ms",
            tuple(getattr(loaded, member) for loaded in measured[BATUTA]),
            baseline="the relay",
            baseline_rounds=tuple(getattr(loaded, member) for loaded in measured[RELAY]),
            better=Better.LESS,
        )
        for name, member in (("alone, median", "median_ms"), ("alone, 99th percentile", "p99_ms"))
    )
    lines = {
        name: histogram([ms for loaded in measured[side] for ms in loaded.latencies_ms], width=_BIN_MS)
        for name, side in (("relay", RELAY), ("Batuta", BATUTA))
    }
    series = Series("latency of a process alone", "ms", "processes", lines, is_histogram=True)
    return Outcome([median, slowest], [series])
