"""`make bench`: the three-step process on real servers, beside a bare relay of the same messages, as a ratio.

Both sides run in turns in one run, each with its coordinator's half in one process and its participants' half
in another; medians are printed and written to benchmarks/out/results.json.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from tests.support.servers import MongoServer, RabbitServer, free_port
from tests.support.waiting import wait_until

ROUNDS = 3
THROUGHPUT = (3_000, 200)
ALONE = (150, 1)
WARM_UP = (300, 50)
OUT = Path(__file__).parent / "out"
DEFINITION = Path(__file__).parent.parent / "api" / "demo" / "document_analysis.yaml"

say = Console(stderr=True)


def main() -> int:
    """Run all, print a table, write the results."""
    with ExitStack() as owned:
        say.print("starting RabbitMQ and mongod ...")
        rabbit = owned.enter_context(RabbitServer())
        mongo = owned.enter_context(MongoServer())
        folder = owned.enter_context(tempfile.TemporaryDirectory())
        sides = {
            "relay": os.environ | {"SAGA_AMQP_URL": rabbit.url, "SAGA_AMQP_PREFIX": "relay"},
            "batuta": os.environ
            | {
                "SAGA_AMQP_URL": rabbit.url,
                "SAGA_AMQP_PREFIX": "saga",
                "SAGA_MONGODB_URL": mongo.url,
                "SAGA_DEFINITIONS": str(DEFINITION),
                "SAGA_HTTP_PORT": str(free_port()),
            },
        }
        owned.enter_context(_process(["-m", "benchmarks.relay"], sides["relay"], folder))
        owned.enter_context(_process(["-m", "saga", "serve"], sides["batuta"], folder))
        _wait_until_ready(sides["batuta"]["SAGA_HTTP_PORT"])
        for environment in sides.values():
            owned.enter_context(_process(["-m", "benchmarks.participants"], environment, folder))
        results = _measure(sides)
    OUT.mkdir(exist_ok=True)
    (OUT / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    _show(results)
    return 0


def _measure(sides: dict[str, dict[str, str]]) -> dict[str, object]:
    throughput: dict[str, list[float]] = {side: [] for side in sides}
    medians: dict[str, list[float]] = {side: [] for side in sides}
    slowest: dict[str, list[float]] = {side: [] for side in sides}
    for side, environment in sides.items():
        say.print(f"warming up: {side} ...")
        _load(WARM_UP, environment)
    for number in range(1, ROUNDS + 1):
        for side, environment in sides.items():
            say.print(f"round {number} of {ROUNDS}: {side} ...")
            throughput[side].append(_load(THROUGHPUT, environment)["per_second"])
            alone = _load(ALONE, environment)
            medians[side].append(alone["median_ms"])
            slowest[side].append(alone["p99_ms"])
    figures = {
        "processes per second": throughput,
        "median latency alone, ms": medians,
        "99th percentile alone, ms": slowest,
    }
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "figures": {
            name: {
                "relay": statistics.median(sides_of["relay"]),
                "batuta": statistics.median(sides_of["batuta"]),
                # Pair by pair: the machine's speed drifts, and both halves of a pair drift together.
                "ratio": statistics.median(
                    ours / theirs for ours, theirs in zip(sides_of["batuta"], sides_of["relay"], strict=True)
                ),
            }
            for name, sides_of in figures.items()
        },
    }


def _load(size: tuple[int, int], environment: dict[str, str]) -> dict[str, float]:
    count, at_once = size
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", str(count), str(at_once)],
        env=environment, check=True, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    result: dict[str, float] = json.loads(done.stdout)
    return result


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], folder: str) -> Iterator[None]:
    name = arguments[1].replace(".", "-")
    with Path(folder, f"{name}.log").open("ab") as log:
        running = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            running.terminate()
            try:
                running.wait(timeout=15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _wait_until_ready(port: str) -> None:
    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False

    wait_until(is_ready, within_s=30, what="the server to be ready")


def _show(results: dict[str, object]) -> None:
    table = Table("figure", "relay", "batuta", "ratio")
    for name, figure in cast("dict[str, dict[str, float]]", results["figures"]).items():
        table.add_row(name, *(f"{figure[column]:.2f}" for column in ("relay", "batuta", "ratio")))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
