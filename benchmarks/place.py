"""The one place where servers and processes are started: a broker, a store, both sides, and what loads them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar

from benchmarks.figures import BenchmarkError
from benchmarks.plans import DOCUMENT_ANALYSIS, write_definitions
from benchmarks.running import ROOT, Running
from benchmarks.workers.load import Load
from tests.support.servers import MongoServer, RabbitServer, ServerError, free_port

RELAY = "relay"
BATUTA = "batuta"
DATABASE = "saga"
READY_WITHIN_S = 60.0
_READY_POLL_S = 1.0
_LAST_WORDS = 2_000

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Size:
    """Say how much to measure: all of it, or so little that it takes seconds and its figures mean little."""

    is_quick: bool
    rounds: int
    timers: int
    backlog: int
    stored: int

    def of(self, full: int, quick: int) -> int:
        """Choose a number."""
        return quick if self.is_quick else full


@dataclass(frozen=True, slots=True)
class Loaded:
    """Hold what a load saw."""

    seconds: float
    per_second: float
    median_ms: float
    p99_ms: float
    latencies_ms: Sequence[float]


@dataclass(frozen=True, slots=True)
class Server:
    """Hold a `saga serve`, and where its HTTP side is."""

    running: Running
    port: int

    def is_ready(self) -> bool:
        """Whether it says that it can do its work."""
        return self._answers("/readyz")

    def is_listening(self) -> bool:
        """Whether it answers at all: one without a coordinator beside it is never ready."""
        return self._answers("/healthz")

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=_READY_POLL_S
            ) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False


class Place:
    """A fresh broker and a fresh store for one subject, and every process that it starts beside them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take what progress is told to."""
        self.say = say
        self._owned = ExitStack()
        self._running: list[Running] = []
        self._started = 0

    def __enter__(self) -> Self:
        """Start the broker and the store, both at once."""
        self.say("starting RabbitMQ and mongod")
        try:
            self.folder = Path(self._owned.enter_context(tempfile.TemporaryDirectory(prefix="batuta-bench-")))
            self.rabbit, self.mongo = RabbitServer(), MongoServer()
            self._owned.callback(self.rabbit.close)
            self._owned.callback(self.mongo.close)
            with ThreadPoolExecutor() as pool:
                for started in [pool.submit(self.rabbit.start), pool.submit(self.mongo.start)]:
                    started.result()
        except BaseException as error:
            self._owned.close()
            if isinstance(error, ServerError):
                raise BenchmarkError(str(error)) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all that was started, the last one first."""
        self._owned.close()

    def environment(self, prefix: str, **settings: str) -> dict[str, str]:
        """Give a process its environment: this broker and this store, nothing of the caller's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        chosen = {
            "SAGA_AMQP_URL": self.rabbit.url,
            "SAGA_AMQP_PREFIX": prefix,
            "SAGA_MONGODB_URL": self.mongo.url,
            "SAGA_MONGODB_DATABASE": DATABASE,
            "LOG_LEVEL": "WARNING",
        }
        return kept | chosen | settings

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Running:
        """Start `python <arguments>`; it ends with this place, if not before."""
        self._started += 1
        log = self.folder / f"{self._started}.log"
        running = Running(arguments, environment, log)
        self._running.append(running)
        self._owned.enter_context(running)
        return running

    def worker(self, name: str, prefix: str) -> Running:
        """Start one of `benchmarks.workers` that says a word when it is at work."""
        running = self.start(["-m", f"benchmarks.workers.{name}"], self.environment(prefix))
        running.wait_for(
            lambda: running.has_said(f"for {prefix}"), within_s=READY_WITHIN_S, what="its first word"
        )
        return running

    def serve(
        self,
        process_types: Collection[str] = (DOCUMENT_ANALYSIS,),
        *,
        roles: str = "api,coordinator",
        waits_s: int = 3_600,
    ) -> Server:
        """Start a `saga serve` that knows these types, and wait until it works."""
        definitions = write_definitions(process_types, self.folder, waits_s=waits_s)
        server = self.launch(definitions, roles=roles)
        look = server.is_ready if "coordinator" in roles else server.is_listening
        server.running.wait_for(look, within_s=READY_WITHIN_S, what="being ready")
        return server

    def launch(self, definitions: str, *, roles: str, prefix: str = BATUTA, **settings: str) -> Server:
        """Start a `saga serve` and don't wait."""
        port = free_port()
        environment = self.environment(
            prefix, SAGA_DEFINITIONS=definitions, SAGA_HTTP_PORT=str(port), **settings
        )
        return Server(self.start(["-m", "saga", "serve", "--roles", roles], environment), port)

    def both_sides(self, *process_types: str) -> None:
        """Start the relay and Batuta, each with its coordinator's half and its participants' half."""
        self.worker("relay", RELAY)
        self.serve(process_types)
        for prefix in (RELAY, BATUTA):
            self.worker("participants", prefix)

    def load(self, prefix: str, load: Load) -> Loaded:
        """Run a load in a process of its own."""
        return Loaded(**self.run("load", asdict(load), prefix, within_s=load.give_up_after_s + 30))

    def run(
        self, worker: str, instructions: Mapping[str, object], prefix: str, *, within_s: float
    ) -> dict[str, Any]:
        """Run one of `benchmarks.workers` to its end and give the JSON that it prints."""
        try:
            done = subprocess.run(
                [sys.executable, "-m", f"benchmarks.workers.{worker}"],
                cwd=ROOT,
                env=self.environment(prefix),
                input=json.dumps(instructions),
                capture_output=True,
                text=True,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{worker} did not end within {within_s:.0f} s") from None
        self.check()
        if done.returncode != 0:
            raise BenchmarkError(f"{worker} failed: {done.stderr.strip()[-_LAST_WORDS:]}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def rounds(self, count: int, sides: Mapping[str, Callable[[], Measured]]) -> dict[str, list[Measured]]:
        """Measure each side in turn, round by round; what was started must still be there afterwards."""
        measured: dict[str, list[Measured]] = {name: [] for name in sides}
        for number in range(1, count + 1):
            for name, measure in sides.items():
                self.say(f"round {number} of {count}: {name}")
                measured[name].append(measure())
                self.check()
        return measured

    def check(self) -> None:
        """Raise BenchmarkError if a process that should run does not."""
        for running in self._running:
            running.check()

    def stop(self, running: Running) -> None:
        """End a process before the others."""
        self._running.remove(running)
        running.stop()

    def kill(self, running: Running) -> None:
        """End a process before the others, as a crash does."""
        self._running.remove(running)
        running.kill()


def end_in_good_order(*_: object) -> None:
    """Make of a SIGTERM what a Ctrl-C is, so that all that was started is ended."""
    raise SystemExit(128 + signal.SIGTERM)
