"""How the rate changes with the number of coordinators, the length of a process and the size of its payload.

Each point is measured beside the relay: as many relays as coordinators, the same chain, the same payload.
"""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.figures import Figure, Outcome, Series
from benchmarks.place import BATUTA, RELAY, Place, Size
from benchmarks.plans import CHAINS, DOCUMENT_ANALYSIS, PAYLOAD, chain_of, messages_in
from benchmarks.subjects.throughput import successes
from benchmarks.workers.load import Load

_COORDINATORS = (1, 2, 3)
# Bytes, how many processes, and how many of them at once.
_PAYLOADS = ((100, 1_500, 200), (10_000, 900, 100), (100_000, 150, 20))
_STEPS = 4_500
_AT_ONCE = 200

Rates = Mapping[str, Sequence[float]]


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    types = (DOCUMENT_ANALYSIS, PAYLOAD, *map(chain_of, CHAINS))
    place.both_sides(*types)
    for side in (RELAY, BATUTA):
        place.load(side, successes(size.of(300, 50), 50))
    chains = {length: _rates(place, size, _chain(length, size)) for length in CHAINS}
    payloads = {
        bytes_: _rates(place, size, Load(PAYLOAD, {"text": "x" * bytes_}, size.of(count, 10), at_once))
        for bytes_, count, at_once in _PAYLOADS
    }
    coordinators = {}
    for number in _COORDINATORS:
        if number > 1:
            place.worker("relay", RELAY)
            place.serve(types)
        coordinators[number] = _rates(place, size, successes(size.of(2_000, 100)))
    return Outcome(
        [
            *_figures("coordinators: ", coordinators),
            *_figures("steps in a row: ", chains),
            *_figures("bytes of payload: ", payloads),
        ],
        [
            _series("messages per second by coordinators", "coordinators", coordinators),
            _series("messages per second by length", "steps in a row", chains, x_is_log=True),
            _series("messages per second by payload", "bytes of payload", payloads, x_is_log=True),
        ],
    )


def _chain(length: int, size: Size) -> Load:
    return Load(chain_of(length), {}, size.of(_STEPS, 120) // length, _AT_ONCE)


def _rates(place: Place, size: Size, load: Load) -> Rates:
    """Give the messages per second of both sides, round by round."""

    def messages_per_second(side: str) -> float:
        return place.load(side, load).per_second * messages_in(load.process_type)

    place.say(f"{load.process_type}: {load.count} processes")
    return place.rounds(size.rounds, {side: partial(messages_per_second, side) for side in (RELAY, BATUTA)})


def _figures(name: str, points: Mapping[int, Rates]) -> list[Figure]:
    return [
        Figure(
            f"{name}{x:,}",
            "messages/s",
            tuple(rates[BATUTA]),
            baseline="the relay",
            baseline_rounds=tuple(rates[RELAY]),
            with_floor=False,
        )
        for x, rates in points.items()
    ]


def _series(name: str, x: str, points: Mapping[int, Rates], *, x_is_log: bool = False) -> Series:
    lines = {
        label: [(number, statistics.median(rates[side])) for number, rates in points.items()]
        for label, side in (("relay", RELAY), ("Batuta", BATUTA))
    }
    return Series(name, x, "messages/s", lines, x_is_log=x_is_log)
