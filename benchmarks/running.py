"""A process that a benchmark started: its log, what it costs, and its end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from benchmarks.figures import BenchmarkError

ROOT = Path(__file__).parent.parent
_STOP_WITHIN_S = 20.0
_LOG_LINES = 15
_POLL_S = 0.01
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Running:
    """One Python process of ours; as a context manager it is gone afterwards."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start `python <arguments>` with its output in a file."""
        self.name = " ".join(arguments[:3])
        self._log = log
        self.began = time.perf_counter()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is for the benchmark, which ends what it started
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise BenchmarkError with its last words if it has ended."""
        if not self.is_alive:
            raise BenchmarkError(f"{self.name} ended with {self._process.poll()}:\n{self.last_words}")

    def wait_for(self, look: Callable[[], bool], *, within_s: float, what: str) -> None:
        """Look again and again until it is true. Raises BenchmarkError when it ends or takes too long."""
        give_up_at = time.monotonic() + within_s
        while not look():
            self.check()
            if time.monotonic() > give_up_at:
                raise BenchmarkError(f"{self.name}: not within {within_s:.0f} s: {what}\n{self.last_words}")
            time.sleep(_POLL_S)

    def has_said(self, word: str) -> bool:
        """Whether its output has a word."""
        return word in self._log.read_text(errors="replace")

    @property
    def last_words(self) -> str:
        """The end of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    @property
    def cpu_s(self) -> float:
        """The processor time that it has used, user and system, from /proc."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    @property
    def rss_mib(self) -> float:
        """The memory that it holds now, from /proc."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise BenchmarkError(f"{self.name} has no memory any more: {self.last_words}")

    def stop(self) -> None:
        """End it in good order; what is not gone then is killed."""
        if self.is_alive:
            self._process.terminate()
            try:
                self._process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once."""
        if self.is_alive:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        """Give the process, which runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()
