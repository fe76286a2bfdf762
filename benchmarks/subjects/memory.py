"""What a coordinator holds in memory while it works off a large backlog.

The starts are published while no coordinator runs; then one begins. Once the processes are over with their
start: that is the backlog and nothing else. Once they have a step, whose commands and replies pile up in queues
of their own beside the starts.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence

import aio_pika
from aio_pika.abc import AbstractChannel

from benchmarks.figures import BenchmarkError, Better, Figure, Outcome, Series
from benchmarks.place import BATUTA, Place, Server, Size
from benchmarks.plans import OVER_AT_ONCE, WORKER, chain_of
from benchmarks.workers.load import Load

_EVERY_S = 0.5
_AT_ONCE = 1_000
_LEAST_PER_S = 100
_QUIET_LOOKS = 4
_POINTS = 300
_SAY_EVERY = 60
_SAMPLES_MIN = 8
_QUEUES = ("coordinator", "coordinator.1", f"step.{WORKER}")


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    types = (OVER_AT_ONCE, chain_of(1))
    first = place.serve(types, roles="coordinator")  # makes the queues
    place.stop(first.running)
    place.worker("participants", BATUTA)
    figures: list[Figure] = []
    lines, notes = {}, []
    for process_type, name in zip(types, ("processes that end at once", "processes of a step"), strict=True):
        place.say(f"{name}: publishing {size.backlog:,} starts")
        give_up_s = 60 + size.backlog / _LEAST_PER_S
        load = Load(process_type, {}, size.backlog, _AT_ONCE, until=None, give_up_after_s=give_up_s)
        place.load(BATUTA, load)
        place.say(f"{name}: watching the coordinator work them off")
        server = place.serve(types, roles="coordinator")
        samples = asyncio.run(_watch(place, server, give_up_s=2 * give_up_s))
        place.stop(server.running)
        figures += _figures(name, [mib for _, mib in samples])
        lines[name] = samples[:: max(1, len(samples) // _POINTS)]
        notes.append(f"{size.backlog:,} {name} were worked off in {samples[-1][0]:.0f} s")
    series = Series("memory of a coordinator under a backlog", "seconds", "MiB", lines, limit=256)
    return Outcome(figures, [series], notes)


def _figures(name: str, memory: Sequence[float]) -> list[Figure]:
    if len(memory) < _SAMPLES_MIN:
        raise BenchmarkError(f"{name}: it was done after {len(memory)} looks; take a larger backlog")
    quarter = len(memory) // 4
    return [
        Figure(f"memory, {name}", "MiB", (max(memory),), better=Better.LESS, target=256),
        Figure(
            f"growth of memory, {name}",
            "MiB",
            (statistics.median(memory[-quarter:]),),
            baseline="the first quarter",
            baseline_rounds=(statistics.median(memory[:quarter]),),
            better=Better.LESS,
            target=1.05,
        ),
    ]


async def _watch(place: Place, server: Server, *, give_up_s: float) -> list[tuple[float, float]]:
    """Sample the memory until the queues stay empty."""
    samples: list[tuple[float, float]] = []
    began = time.monotonic()
    quiet = 0
    async with await aio_pika.connect(place.rabbit.url) as connection:
        channel = await connection.channel()
        while quiet < _QUIET_LOOKS:
            samples.append((time.monotonic() - began, server.running.rss_mib))
            waiting = [await _depth(channel, name) for name in _QUEUES]
            quiet = 0 if any(waiting) else quiet + 1
            if len(samples) % _SAY_EVERY == 0:
                place.say(f"{waiting[0]:,} messages are waiting")
            place.check()
            if time.monotonic() > began + give_up_s:
                raise BenchmarkError(f"after {give_up_s:.0f} s {waiting[0]:,} messages are still waiting")
            await asyncio.sleep(_EVERY_S)
    return samples


async def _depth(channel: AbstractChannel, name: str) -> int:
    found = await channel.declare_queue(f"{BATUTA}.{name}", passive=True)
    return found.declaration_result.message_count or 0
