"""How late timers fire when very many processes wait, and what the coordinator costs while all of them do.

Each process waits for a signal that nobody gives. They are started at the rate that they are to be due at, by
the broker, so that the coordinator holds their timers as it does in production. How late one fires is the time
in the log between when it was due and when the coordinator decided on it.
"""

import time
from collections.abc import Mapping, Sequence

import pymongo
from pymongo import MongoClient

from benchmarks.figures import BenchmarkError, Better, Figure, Outcome, Series, histogram, percentile
from benchmarks.place import BATUTA, DATABASE, Place, Server, Size
from benchmarks.plans import WAITING, WAITING_SHORTLY, WAITS_SHORTLY_S
from benchmarks.workers.load import Load
from saga.process import events as ev
from saga.process.codec import decode_transitions
from saga.process.transition import Transition

DUE_PER_SECOND = 500
_AT_ONCE = 1_000
_WINDOWS = 3
_SETTLE_S = 3
_LATE_BY_AT_MOST_S = 120
_LOOK_EVERY_S = 1.0
_BIN_S = 0.05


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    window_s = size.of(10, 2)
    setup_s = size.timers / DUE_PER_SECOND
    # Half as long again as the starts should take: a coordinator that takes them more slowly is still in time.
    waits_s = round(setup_s * 1.5) + _WINDOWS * window_s + 2 * _SETTLE_S
    server = place.serve((WAITING, WAITING_SHORTLY), roles="coordinator", waits_s=waits_s)
    began = time.monotonic()
    place.say(f"starting {size.timers:,} processes that wait")
    _start(place, WAITING, size.timers)
    left_s = began + waits_s - time.monotonic()
    if left_s < _WINDOWS * window_s + _SETTLE_S:
        raise BenchmarkError(
            f"the {size.timers:,} starts took {waits_s - left_s:.0f} s: the first are due already"
        )
    time.sleep(_SETTLE_S)
    idle = [_cpu_percent(place, server, window_s) for _ in range(_WINDOWS)]
    place.say(f"waiting until {size.timers:,} timers fired")
    _wait_for_ends(place, size.timers, within_s=waits_s + setup_s + _LATE_BY_AT_MOST_S)
    late, due = _lateness(place, WAITING)
    orphans = _of_one_that_died(place, server, size.of(2_000, 200))
    return Outcome(
        [
            Figure("timers, latest", "s", (late[-1],), better=Better.LESS, target=1),
            Figure(
                "timers, 99th percentile late", "s", (percentile(late, 0.99),), better=Better.LESS, target=1
            ),
            Figure("timers due", "a second", (due,), target=None),
            Figure("idle coordinator", "% of a core", tuple(idle), better=Better.LESS, target=3),
            Figure("timers of a coordinator that died, latest", "s", (orphans[-1],), better=Better.LESS),
        ],
        [
            Series(
                "how late timers fire",
                "seconds late",
                "timers",
                {"all": histogram(late, width=_BIN_S)},
                is_histogram=True,
                limit=1,
            )
        ],
        [f"{len(late):,} timers fired"],
    )


def _start(place: Place, process_type: str, count: int) -> None:
    give_up_s = 2 * count / DUE_PER_SECOND + 60
    place.load(
        BATUTA, Load(process_type, {}, count, _AT_ONCE, "started", DUE_PER_SECOND, give_up_after_s=give_up_s)
    )


def _cpu_percent(place: Place, server: Server, window_s: float) -> float:
    place.say("watching the coordinator while all wait")
    began, before = time.monotonic(), server.running.cpu_s
    time.sleep(window_s)
    return (server.running.cpu_s - before) / (time.monotonic() - began) * 100


def _of_one_that_died(place: Place, server: Server, count: int) -> Sequence[float]:
    """Kill the coordinator that holds the timers, start another, and give how late it fires them."""
    before = _ended(place)
    _start(place, WAITING_SHORTLY, count)
    place.kill(server.running)
    place.serve((WAITING_SHORTLY,), roles="coordinator")
    place.say("waiting for timers that nobody holds")
    _wait_for_ends(place, before + count, within_s=WAITS_SHORTLY_S + _LATE_BY_AT_MOST_S)
    late, _ = _lateness(place, WAITING_SHORTLY)
    return late


def _wait_for_ends(place: Place, count: int, *, within_s: float) -> None:
    give_up_at = time.monotonic() + within_s
    while (ended := _ended(place)) < count:
        place.check()
        if time.monotonic() > give_up_at:
            raise BenchmarkError(f"after {within_s:.0f} s only {ended:,} of {count:,} timers fired")
        time.sleep(_LOOK_EVERY_S)


def _ended(place: Place) -> int:
    with MongoClient[dict[str, object]](place.mongo.url) as client:
        return client[DATABASE]["processes"].count_documents({"status": "compensated"})


def _lateness(place: Place, process_type: str) -> tuple[Sequence[float], float]:
    """Read from the log how late each timer fired, in seconds and sorted, and how many were due a second."""
    due: dict[str, int] = {}
    late: list[float] = []
    with MongoClient[dict[str, object]](place.mongo.url) as client:
        wanted = {
            str(found["_id"])
            for found in client[DATABASE]["processes"].find({"process_type": process_type}, {"_id": 1})
        }
        for document in client[DATABASE]["events"].find().sort("_id", pymongo.ASCENDING):
            if document["p"] in wanted:
                _read(document, due, late)
    if len(late) != len(wanted):
        raise BenchmarkError(f"of {len(wanted):,} timers the log knows {len(late):,}")
    span_s = (max(due.values()) - min(due.values())) / 1_000
    return sorted(late), len(due) / max(span_s, 1.0)


def _read(document: Mapping[str, object], due: dict[str, int], late: list[float]) -> None:
    for transition in decode_transitions(dict(document)):
        _read_transition(transition, due, late)


def _read_transition(transition: Transition, due: dict[str, int], late: list[float]) -> None:
    for event in transition.events:
        if isinstance(event, ev.SignalAwaited):
            due[transition.process_id] = event.due_at
        elif isinstance(event, ev.AttemptTimedOut):
            late.append((transition.at - due[transition.process_id]) / 1_000)
