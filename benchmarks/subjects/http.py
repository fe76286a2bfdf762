"""How many starts per second the API takes, beside a bare route that only publishes; and how long one takes.

Nobody consumes what either publishes: the API has no coordinator beside it, and the route's queue no consumer.
"""

import json
from dataclasses import asdict, dataclass
from functools import partial

from benchmarks.figures import Better, Figure, Outcome
from benchmarks.place import BATUTA, READY_WITHIN_S, RELAY, Place, Server, Size
from benchmarks.plans import DOCUMENT_ANALYSIS
from benchmarks.subjects.throughput import PARAMETERS
from benchmarks.workers.http_load import HttpLoad
from tests.support.servers import free_port

_BODY = json.dumps({"process_type": DOCUMENT_ANALYSIS, "parameters": PARAMETERS})
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class _Side:
    """One route: how fast it is at most, and how patient one must be at half of that."""

    place: Place
    server: Server
    path: str
    seconds: float

    def measure(self) -> tuple[float, float]:
        """Give the requests per second, and the 99th percentile in milliseconds at half of them."""
        most = self.load(None)["per_second"]
        return most, self.load(most / 2)["p99_ms"]

    def load(self, per_second: float | None) -> dict[str, float]:
        """Run one load."""
        load = HttpLoad(self.server.port, self.path, _BODY, _CONNECTIONS, self.seconds, per_second)
        return self.place.run("http_load", asdict(load), BATUTA, within_s=self.seconds + 60)


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    bare, ours = _bare(place), place.serve(roles="api")
    seconds = size.of(15, 2)
    sides = {
        "nothing": _Side(place, bare, "/nothing", seconds),
        "publishes": _Side(place, bare, "/process", seconds),
        "POST /process": _Side(place, ours, "/process", seconds),
    }
    for side in sides.values():
        side.load(100.0)
    measured = place.rounds(size.rounds, {name: partial(side.measure) for name, side in sides.items()})
    rates = {name: tuple(rate for rate, _ in rounds) for name, rounds in measured.items()}
    slowest = {name: tuple(p99 for _, p99 in rounds) for name, rounds in measured.items()}
    return Outcome(
        [
            Figure(
                "POST /process",
                "requests/s",
                rates["POST /process"],
                baseline="a route that publishes",
                baseline_rounds=rates["publishes"],
                target=0.7,
            ),
            Figure(
                "POST /process, 99th percentile at half load",
                "ms",
                slowest["POST /process"],
                baseline="a route that publishes",
                baseline_rounds=slowest["publishes"],
                better=Better.LESS,
                target=50,
                target_is_absolute=True,
            ),
            # Whether the load itself holds the others up.
            Figure(
                "what the load can reach",
                "requests/s",
                rates["nothing"],
                baseline="a route that publishes",
                baseline_rounds=rates["publishes"],
                with_floor=False,
            ),
        ]
    )


def _bare(place: Place) -> Server:
    port = free_port()
    environment = place.environment(RELAY, SAGA_HTTP_PORT=str(port))
    server = Server(place.start(["-m", "benchmarks.workers.bare_http"], environment), port)
    server.running.wait_for(server.is_listening, within_s=READY_WITHIN_S, what="listening")
    return server
