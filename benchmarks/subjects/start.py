"""How long it takes until a server is ready, and until the command line says its help."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import BenchmarkError, Better, Figure, Outcome
from benchmarks.place import BATUTA, READY_WITHIN_S, Place, Size
from benchmarks.plans import DOCUMENT_ANALYSIS, write_definitions

_ROUNDS = 5
_SAGA = Path(sys.executable).parent / "saga"


def run(place: Place, _: Size) -> Outcome:
    """Measure it."""
    definitions = write_definitions((DOCUMENT_ANALYSIS,), place.folder)
    _ready_after(place, definitions, BATUTA)  # what is ready again later finds its queues and indexes
    measured = place.rounds(
        _ROUNDS,
        {
            # A prefix and a database of its own each time: it makes its queues and its indexes.
            "fresh": lambda: _ready_after(place, definitions, f"fresh-{time.monotonic_ns()}"),
            "again": lambda: _ready_after(place, definitions, BATUTA),
            "help": lambda: _help_after(place),
        },
    )
    return Outcome(
        [
            Figure(
                "ready on an empty broker and store",
                "s",
                tuple(measured["fresh"]),
                better=Better.LESS,
                target=2,
            ),
            Figure("ready again", "s", tuple(measured["again"]), better=Better.LESS, target=2),
            Figure("saga --help", "s", tuple(measured["help"]), better=Better.LESS, target=0.3),
        ]
    )


def _ready_after(place: Place, definitions: str, prefix: str) -> float:
    server = place.launch(definitions, roles="api,coordinator", prefix=prefix, SAGA_MONGODB_DATABASE=prefix)
    server.running.wait_for(server.is_ready, within_s=READY_WITHIN_S, what="being ready")
    took = time.perf_counter() - server.running.began
    place.stop(server.running)
    return took


def _help_after(place: Place) -> float:
    began = time.perf_counter()
    done = subprocess.run([_SAGA, "--help"], cwd=place.folder, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise BenchmarkError(f"saga --help failed: {done.stderr}")
    return took
