"""The subjects: each measures one thing on a broker and a store of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.figures import Outcome
from benchmarks.place import Place, Size
from benchmarks.subjects import (
    alone,
    failing,
    fan_out,
    growth,
    http,
    lists,
    memory,
    parallel,
    replay,
    start,
    throughput,
    timers,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to measure: what it is in a few words, and how."""

    about: str
    run: Callable[[Place, Size], Outcome]


SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        "start": Subject("until a server is ready, and the help is shown", start.run),
        "throughput": Subject("processes of three steps per second, beside a relay", throughput.run),
        "alone": Subject("one process at a time, beside a relay", alone.run),
        "failing": Subject("processes that are undone, beside those that complete", failing.run),
        "fan-out": Subject("1 + 50 + 1 steps, beside a relay", fan_out.run),
        "parallel": Subject("1,000 steps side by side, beside 10", parallel.run),
        "http": Subject("starts over HTTP, beside a bare route", http.run),
        "lists": Subject("pages and counts of very many processes", lists.run),
        "memory": Subject("memory of a coordinator under a large backlog", memory.run),
        "timers": Subject("very many processes that wait: how late, and at what cost", timers.run),
        "replay": Subject("events that replay and verify fold per second, and in what memory", replay.run),
        "growth": Subject("the rate by coordinators, length and payload, beside a relay", growth.run),
    }
)
