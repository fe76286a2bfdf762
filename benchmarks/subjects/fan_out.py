"""A process of 1 + 50 + 1 steps: its messages per second, beside a relay that counts the answers in memory."""

from functools import partial

from benchmarks.figures import Figure, Outcome
from benchmarks.place import BATUTA, RELAY, Place, Size
from benchmarks.plans import DOCUMENT_ANALYSIS, FAN_OUT, messages_in
from benchmarks.subjects.throughput import successes
from benchmarks.workers.load import Load

_AT_ONCE = 10
_SIDES = {
    "the same relay": (RELAY, FAN_OUT),
    "Batuta": (BATUTA, FAN_OUT),
    "the relay of three steps": (RELAY, DOCUMENT_ANALYSIS),
}


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    place.both_sides(FAN_OUT)
    loads = {
        FAN_OUT: Load(FAN_OUT, {}, size.of(150, 6), _AT_ONCE),
        DOCUMENT_ANALYSIS: successes(size.of(2_000, 100)),
    }

    def messages_per_second(side: str) -> float:
        prefix, process_type = _SIDES[side]
        return place.load(prefix, loads[process_type]).per_second * messages_in(process_type)

    for prefix in (RELAY, BATUTA):
        place.load(prefix, Load(FAN_OUT, {}, size.of(20, 2), _AT_ONCE))
    measured = place.rounds(size.rounds, {side: partial(messages_per_second, side) for side in _SIDES})
    ours = tuple(measured["Batuta"])
    same, plain = tuple(measured["the same relay"]), tuple(measured["the relay of three steps"])
    return Outcome(
        [
            Figure(
                "fan-out", "messages/s", ours, baseline="the same relay", baseline_rounds=same, target=0.7
            ),
            Figure(
                "fan-out beside three steps",
                "messages/s",
                ours,
                baseline="the relay of three steps",
                baseline_rounds=plain,
            ),
        ]
    )
