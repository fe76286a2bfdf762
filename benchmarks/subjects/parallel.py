"""What a step costs in a process of 1,000 steps side by side, beside one of 10; and the same for a list's items.

Both sides do the same number of steps with the same number in flight, so it is the cost of a step that is
compared: one large process after the other, or a hundred small ones at once.
"""

from functools import partial

from benchmarks.figures import Better, Figure, Outcome
from benchmarks.place import BATUTA, Place, Size
from benchmarks.plans import ITEMS, parallel_of
from benchmarks.workers.load import Load

LARGE, SMALL = 1_000, 10
# Of a list, so many items are worked on at once; of steps side by side, all.
_ITEMS_AT_ONCE = 100


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    place.serve((parallel_of(LARGE), parallel_of(SMALL), ITEMS))
    place.worker("participants", BATUTA)
    large = size.of(3, 1)
    small = large * LARGE // SMALL
    loads = {
        "1,000 steps": Load(parallel_of(LARGE), {}, large, 1),
        "10 steps": Load(parallel_of(SMALL), {}, small, LARGE // SMALL),
        "1,000 items": Load(ITEMS, _items(LARGE), large, 1),
        "10 items": Load(ITEMS, _items(SMALL), small, _ITEMS_AT_ONCE // SMALL),
    }
    place.load(BATUTA, Load(parallel_of(SMALL), {}, 20, 10))
    steps = large * LARGE

    def ms_per_step(load: Load) -> float:
        return place.load(BATUTA, load).seconds / steps * 1_000

    measured = place.rounds(
        size.rounds,
        {name: partial(ms_per_step, load) for name, load in loads.items()},
    )
    return Outcome(
        [
            Figure(
                name,
                "ms per step",
                tuple(measured[many]),
                baseline=few,
                baseline_rounds=tuple(measured[few]),
                better=Better.LESS,
                target=1.5,
            )
            for name, many, few in (
                ("parallel", "1,000 steps", "10 steps"),
                ("for_each", "1,000 items", "10 items"),
            )
        ]
    )


def _items(count: int) -> dict[str, object]:
    return {"items": list(range(count))}
