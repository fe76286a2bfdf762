"""What a coordinator holds in memory while it works off a large backlog.

The starts of processes of one step are published while no coordinator runs. Then one starts: it takes all of
them before the first reply, since the replies queue up behind them, and holds a timer for each.
"""

import asyncio
import statistics
import time

import aio_pika
from aio_pika.abc import AbstractChannel

from benchmarks.figures import BenchmarkError, Better, Figure, Outcome, Series
from benchmarks.place import BATUTA, READY_WITHIN_S, Place, Server, Size
from benchmarks.plans import WORKER, chain_of, write_definitions
from benchmarks.workers.load import Load

_EVERY_S = 0.5
_AT_ONCE = 1_000
_LEAST_PER_S = 100
_QUIET_LOOKS = 4
_POINTS = 300
_SAMPLES_MIN = 8


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    process_type = chain_of(1)
    first = place.serve((process_type,), roles="coordinator")  # makes the queue
    place.stop(first.running)
    place.say(f"publishing {size.backlog:,} starts")
    give_up_s = 60 + size.backlog / _LEAST_PER_S
    place.load(BATUTA, Load(process_type, {}, size.backlog, _AT_ONCE, until=None, give_up_after_s=give_up_s))
    place.worker("participants", BATUTA)
    server = place.launch(write_definitions((process_type,), place.folder), roles="coordinator")
    server.running.wait_for(server.is_ready, within_s=READY_WITHIN_S, what="being ready")
    place.say("watching it work them off")
    samples = asyncio.run(_watch(place, server, give_up_s=60 + 2 * size.backlog / _LEAST_PER_S))
    if len(samples) < _SAMPLES_MIN:
        raise BenchmarkError(f"it was done after {len(samples)} looks: take a larger backlog")
    memory = [mib for _, mib in samples]
    quarter = len(memory) // 4
    step = max(1, len(samples) // _POINTS)
    return Outcome(
        [
            Figure("memory, most", "MiB", (max(memory),), better=Better.LESS, target=256),
            Figure(
                "memory, last quarter",
                "MiB",
                (statistics.median(memory[-quarter:]),),
                baseline="the first quarter",
                baseline_rounds=(statistics.median(memory[:quarter]),),
                better=Better.LESS,
                target=1.05,
            ),
        ],
        [
            Series(
                "memory of a coordinator under a backlog",
                "seconds",
                "MiB",
                {"coordinator": samples[::step]},
                limit=256,
            )
        ],
        [f"{size.backlog:,} starts and as many replies were worked off in {samples[-1][0]:.0f} s"],
    )


async def _watch(place: Place, server: Server, *, give_up_s: float) -> list[tuple[float, float]]:
    """Sample the memory until both queues stay empty."""
    samples: list[tuple[float, float]] = []
    began = time.monotonic()
    quiet = 0
    async with await aio_pika.connect(place.rabbit.url) as connection:
        channel = await connection.channel()
        while quiet < _QUIET_LOOKS:
            samples.append((time.monotonic() - began, server.running.rss_mib))
            waiting = [await _depth(channel, name) for name in ("coordinator", f"step.{WORKER}")]
            quiet = 0 if any(waiting) else quiet + 1
            place.check()
            if time.monotonic() > began + give_up_s:
                raise BenchmarkError(f"after {give_up_s:.0f} s {waiting[0]:,} messages are still waiting")
            await asyncio.sleep(_EVERY_S)
    return samples


async def _depth(channel: AbstractChannel, name: str) -> int:
    found = await channel.declare_queue(f"{BATUTA}.{name}", passive=True)
    return found.declaration_result.message_count or 0
