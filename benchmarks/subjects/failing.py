"""A process whose third step fails for good, so that two are undone, beside the same process that completes."""

from functools import partial

from benchmarks.figures import Figure, Outcome
from benchmarks.place import BATUTA, Place, Size
from benchmarks.plans import DOCUMENT_ANALYSIS
from benchmarks.subjects.throughput import AT_ONCE, PARAMETERS, successes
from benchmarks.workers.load import Load


def failures(count: int, at_once: int = AT_ONCE) -> Load:
    """Load with processes whose last step refuses."""
    parameters = PARAMETERS | {"fail_at": "indexing"}
    return Load(DOCUMENT_ANALYSIS, parameters, count, at_once, until="compensated")


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    place.serve()
    place.worker("participants", BATUTA)
    loads = {"completed": successes, "compensated": failures}
    for load in loads.values():
        place.load(BATUTA, load(size.of(300, 50), 50))
    count = size.of(2_000, 200)

    def per_second(load: Load) -> float:
        return place.load(BATUTA, load).per_second

    measured = place.rounds(
        size.rounds,
        {name: partial(per_second, load(count)) for name, load in loads.items()},
    )
    figure = Figure(
        "failing",
        "processes/s",
        tuple(measured["compensated"]),
        baseline="completed processes",
        baseline_rounds=tuple(measured["completed"]),
        target=0.6,
    )
    return Outcome([figure])
