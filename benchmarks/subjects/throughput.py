"""How many processes of three steps per second, beside a bare relay of the same seven messages."""

from functools import partial

from benchmarks.figures import Figure, Outcome
from benchmarks.place import BATUTA, RELAY, Place, Size
from benchmarks.plans import DOCUMENT_ANALYSIS
from benchmarks.workers.load import Load

PARAMETERS: dict[str, object] = {"document_id": "doc123"}
AT_ONCE = 200


def successes(count: int, at_once: int = AT_ONCE) -> Load:
    """Load with processes of three steps that complete."""
    return Load(DOCUMENT_ANALYSIS, PARAMETERS, count, at_once)


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    place.both_sides(DOCUMENT_ANALYSIS)
    for side in (RELAY, BATUTA):
        place.load(side, successes(size.of(300, 50), 50))
    load = successes(size.of(3_000, 200))

    def per_second(side: str) -> float:
        return place.load(side, load).per_second

    measured = place.rounds(size.rounds, {side: partial(per_second, side) for side in (RELAY, BATUTA)})
    figure = Figure(
        "throughput",
        "processes/s",
        tuple(measured[BATUTA]),
        baseline="the relay",
        baseline_rounds=tuple(measured[RELAY]),
    )
    return Outcome([figure])
