"""A server process that belongs to this test run, together with its folder and its ports.

What starts here ends here: `close`, the end of the interpreter and even a SIGKILL of the test run
lead to the same clean-up, because a guard outside of this process does it. Nothing here knows which
server it runs; see `mongo_server` and `rabbit_server`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.02
_LOG_TAIL_LINES = 20
_PORT_MIN = 10_000
_CLEAN_UP_TIMEOUT_S = 10.0

# Each line on the guard's input is the list of process groups that run now. Its input ends when the test
# run closes it or dies; only then the guard acts. The parent-death signal of Linux would not do: it fires
# at the end of the *thread* that started the server.
_GUARD = """
while read -r line; do groups=$line; done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf -- "$1" 2>/dev/null
  [ -e "$1" ] || exit 0
  sleep 0.2
done
exit 1
"""


class ServerError(RuntimeError):
    """A server did not start, did not stop, or refused a command; the message ends with its last words."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on.

    It lies below the ports that the kernel gives to outgoing connections. Otherwise a client that tries to
    reach a server while it restarts could be given the server's own port, connect to itself and hold it.
    """
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range")
    port_max = int(ephemeral.read_text().split()[0]) if ephemeral.exists() else 32_768
    for _ in range(200):
        port = random.SystemRandom().randrange(_PORT_MIN, max(port_max, _PORT_MIN + 1_000))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError(f"no free port between {_PORT_MIN} and {port_max}")


class OwnedServer(ABC):
    """A private server in a folder of its own; as a context manager it is started, and gone afterwards.

    `kill` is a crash (SIGKILL), `stop` an orderly shutdown; after both, `start` brings back the same server
    with the same address and data. `pause` freezes it without closing its connections. `close` ends it for
    good and deletes its folder. May be used from any thread, by one thread at a time.
    """

    name: str

    def __init__(self) -> None:
        """Make the folder and its guard; nothing runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"batuta-{self.name}-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for a client's driver; the same for the whole life of the server."""

    @property
    def pid(self) -> int:
        """The process id of the server itself; raises `ServerError` when it does not run."""
        if not self._processes:
            raise ServerError(f"{self.name} is not running")
        return self._processes[-1].pid

    def is_running(self) -> bool:
        """Whether the server's process is there, also while it is paused."""
        return bool(self._processes) and self._processes[-1].poll() is None

    def start(self) -> None:
        """Start the server and return when it serves clients; raises `ServerError` if it does not."""
        if self.is_running():
            raise ServerError(f"{self.name} is running already")
        self._forget_processes()
        self._launch()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready():
            if not self.is_running():
                raise ServerError(f"{self.name} ended while it was starting:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(
                    f"{self.name} did not become ready within {_START_TIMEOUT_S:.0f} s:\n{self._log_tail()}"
                )
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Shut down in good order (SIGTERM); what is not gone after thirty seconds is killed and reported."""
        if self.is_running():
            server = self._processes[-1]
            server.send_signal(signal.SIGCONT)
            server.terminate()
            try:
                server.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                self.kill()
                raise ServerError(
                    f"{self.name} did not stop within {_STOP_TIMEOUT_S:.0f} s:\n{self._log_tail()}"
                ) from error
        self.kill()

    def kill(self) -> None:
        """End the server at once (SIGKILL to its process groups), as a crash does; it is gone on return."""
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(_STOP_TIMEOUT_S)
        self._forget_processes()

    def restart(self) -> None:
        """Stop in good order where it runs, and start again on the same data and address."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): its connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the server without ceremony and delete its folder; may be called again."""
        self.kill()
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()
        try:
            self._guard.wait(_CLEAN_UP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start the server."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the server."""
        self.close()

    @abstractmethod
    def _launch(self) -> None:
        """Call `_run` for each process of the server, the server itself last."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether a client would be served now; called again and again until it is true."""

    def _run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        with (self.folder / "output.log").open("ab") as output:
            process = subprocess.Popen(
                list(command),
                cwd=self.folder,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C at the terminal is for the test run, not for its servers
            )
        self._processes.append(process)
        self._tell_guard()

    def _forget_processes(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(_STOP_TIMEOUT_S)
        self._processes.clear()
        self._tell_guard()

    def _tell_guard(self) -> None:
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            groups = " ".join(str(process.pid) for process in self._processes)
            self._guard.stdin.write(f"{groups}\n".encode())
            self._guard.stdin.flush()

    def _log_tail(self) -> str:
        lines: list[str] = []
        for log in sorted(self.folder.rglob("*.log")):
            lines += log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join(lines)
