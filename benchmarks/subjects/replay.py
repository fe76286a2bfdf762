"""How many stored events per second `saga replay --all` and `saga verify` fold, and in what memory."""

import re
from collections.abc import Mapping

from benchmarks.figures import BenchmarkError, Better, Figure, Outcome
from benchmarks.place import BATUTA, Place, Size
from benchmarks.subjects.failing import failures
from benchmarks.subjects.throughput import successes

_WITHIN_S = 1_800
_TARGET_PER_SECOND = 20_000
# Four times as many processes take this much more memory at most, or it is not constant.
_GROWTH_MAX = 1.2
_COMMANDS: Mapping[str, tuple[str, ...]] = {"replay": ("replay", "--all"), "verify": ("verify",)}
_SAID = re.compile(r"(?P<processes>\d+) processes, (?P<events>\d+) events: 0 differ")


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    server = place.serve()
    participants = place.worker("participants", BATUTA)
    for load in (successes(20, 10), failures(5, 5)):
        place.load(BATUTA, load)
    place.stop(participants)
    place.stop(server.running)
    quarter = size.of(25_000, 200)
    _store(place, quarter)
    small = {name: _command(place, name)["memory_mib"] for name in _COMMANDS}
    _store(place, 3 * quarter, first=quarter)
    rounds = place.rounds(
        size.rounds,
        {name: lambda name=name: _command(place, name) for name in _COMMANDS},  # type: ignore[misc]  # the name of this turn
    )
    figures: list[Figure] = []
    for name, measured in rounds.items():
        rates = tuple(one["events"] / one["seconds"] for one in measured)
        figures.append(Figure(f"{name}, events per second", "1/s", rates, target=_TARGET_PER_SECOND))
        growth = tuple(one["memory_mib"] / small[name] for one in measured)
        figures.append(
            Figure(
                f"{name}, memory by four times as many", "x", growth, better=Better.LESS, target=_GROWTH_MAX
            )
        )
    peak = max(one["memory_mib"] for measured in rounds.values() for one in measured)
    return Outcome(figures, notes=[f"{4 * quarter:,} processes; {peak:.0f} MiB at most"])


def _store(place: Place, count: int, *, first: int = 0) -> None:
    place.say(f"storing {count:,} processes")
    place.run("store_histories", {"count": count, "first": first}, BATUTA, within_s=_WITHIN_S)


def _command(place: Place, name: str) -> dict[str, float]:
    measured = place.run("command", {"words": _COMMANDS[name]}, BATUTA, within_s=_WITHIN_S)
    found = _SAID.search(measured["said"])
    if found is None:
        raise BenchmarkError(f"saga {name} said {measured['said']!r}")
    return {
        "events": float(found["events"]),
        "seconds": measured["seconds"],
        "memory_mib": measured["memory_mib"],
    }
