"""The commands that act on processes, beside a real server: what they say, and their exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.owned_process import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.acceptance

SAGA = Path(sys.executable).with_name("saga")
NOBODY = "00000000-0000-4000-8000-000000000000"
WHY = ("--reason", "a person said so")
DEFINITIONS = """
process_type: approving
steps:
  - {name: approval, signal: true, timeout: 3600}
  - {name: again, signal: true, timeout: 3600}
"""
ITEMS = """
process_type: listing
steps:
  - name: parcel
    service: depot
    action: pack
    compensation: none
    for_each: parameters.parcels
    timeout: 3600
"""


class Command:
    """Run `saga` against one server."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        self.environment = {**kept, "SAGA_URL": url}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, without a terminal."""
        return subprocess.run(
            [SAGA, *arguments], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def on_a_terminal(self, *arguments: str, typed: str) -> subprocess.CompletedProcess[str]:
        """Run it on a terminal where somebody types a line; what it asks there is thrown away."""
        ours, theirs = pty.openpty()
        os.write(ours, typed.encode())
        try:
            return subprocess.run(
                [SAGA, *arguments], cwd=self.folder, env=self.environment, stdin=theirs, stderr=theirs,
                stdout=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
        finally:
            os.close(ours)
            os.close(theirs)

    def started(self, process_type: str = "approving", *more: str) -> str:
        """Start a process and give its id."""
        done = self("start", process_type, "-o", "jsonl", *more)
        assert done.returncode == 0, done.stderr
        process_id: str = json.loads(done.stdout)["process_id"]
        return process_id

    def shown(self, process_id: str) -> dict[str, Any]:
        """Read a process, quicker than by the command."""
        document: dict[str, Any] = httpx.get(f"{self.url}/process/{process_id}", trust_env=False).json()
        return document

    def becomes(self, process_id: str, status: str) -> None:
        """Wait until a process has a status."""
        wait_until(lambda: self.shown(process_id)["status"] == status, within_s=30, what=f"it is {status}")

    def waits(self, process_id: str, kind: str) -> None:
        """Wait until a process waits for something of a kind."""
        wait_until(
            lambda: kind in [wait["kind"] for wait in self.shown(process_id)["waiting_for"]],
            within_s=30,
            what=f"it waits for {kind}",
        )


@pytest.fixture(scope="module")
def saga(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Give the command beside a running server."""
    folder = tmp_path_factory.mktemp("acting")
    for name, text in (("approving", DEFINITIONS), ("listing", ITEMS)):
        (folder / f"{name}.yaml").write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    command = Command(folder, url)
    environment = {
        **{name: value for name, value in command.environment.items() if name != "SAGA_URL"},
        "SAGA_HTTP_PORT": url.rpartition(":")[2],
        "SAGA_DATA": str(folder / "data"),
        "SAGA_DEFINITIONS": "approving.yaml,listing.yaml",
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([SAGA, "serve"], cwd=folder, env=environment, stderr=log, stdout=log) as server,
    ):
        try:
            wait_until(lambda: _is_ready(url), within_s=30, what="the server is ready")
            yield command
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_process_is_paused_resumed_and_cancelled(saga: Command) -> None:
    """Each shows the process, as it stood, on stdout; that it is on its way goes to stderr."""
    process_id = saga.started()
    saga.waits(process_id, "signal")
    for action, status in (("pause", "paused"), ("resume", "started"), ("cancel", "compensated")):
        done = saga(action, process_id, *WHY, "--key", f"{action}-1")
        assert done.returncode == 0, done.stderr
        assert process_id in done.stdout
        assert done.stderr == f"{action} is on its way\n"
        saga.becomes(process_id, status)
    assert saga("cancel", process_id, *WHY, "--key", "cancel-1").returncode == 0, "a repeated key"


def test_what_is_not_allowed_now_is_code_1_with_what_is(saga: Command) -> None:
    """The status and the allowed actions are said; nothing goes to stdout."""
    process_id = saga.started()
    saga.waits(process_id, "signal")
    for action, *more in (("resume",), ("retry", "--step", "approval"), ("skip",), ("fail",)):
        done = saga(action, process_id, *WHY, *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert "it is started; allowed now: cancel, pause, compensate" in done.stderr
    done = saga("resolve", process_id, *WHY, "--outcome", "failed", "--step", "shipping")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/step: is no step of this process" in done.stderr


def test_show_says_how_a_signal_is_given(saga: Command) -> None:
    """The line can be typed as it stands; the second signal is refused, and the process turned back."""
    process_id = saga.started()
    saga.waits(process_id, "signal")
    shown = saga("show", process_id).stdout
    assert "may be asked to: cancel, pause, compensate" in shown
    command = next(line.split() for line in shown.splitlines() if "saga signal" in line)
    done = saga(*command[1:], "--output-value", "-5")
    assert (done.returncode, done.stdout) == (0, f"{process_id}.approval.a1 taken\n")
    wait_until(lambda: saga.shown(process_id)["steps"][1]["status"] == "waiting", within_s=30)
    assert saga.shown(process_id)["steps"][0]["output"] == -5
    assert saga("signal", f"{process_id}.again.a1", "--refuse", "too_expensive").returncode == 0
    saga.becomes(process_id, "compensated")
    assert saga.shown(process_id)["steps"][1]["error"]["code"] == "too_expensive"
    assert "may be asked to" not in saga("show", process_id).stdout


def test_show_counts_the_items_of_a_step(saga: Command) -> None:
    """How many are done of how many, and why the process stands."""
    process_id = saga.started("listing", "-p", 'parcels=["a","b","c"]')
    saga.waits(process_id, "service")
    shown = saga("show", process_id).stdout
    assert "0/3" in shown
    assert "waits for service (parcel[2]): nobody takes commands for the service depot" in shown
    command = f"{process_id}.parcel.1.a1"
    assert saga("signal", command).returncode == 0, "a reply for a participant that can't"
    wait_until(lambda: "1/3" in saga("show", process_id).stdout, within_s=30)


def test_a_type_is_paused_and_resumed(saga: Command) -> None:
    """How many were asked is what it says; there is a process, or a type, and not both."""
    process_id = saga.started("listing", "-p", 'parcels=["a"]', "--label", "lot=type")
    saga.waits(process_id, "reply")
    done = saga("pause", "--type", "listing", *WHY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("processes were asked\n")
    saga.becomes(process_id, "paused")
    assert saga("resume", "--type", "listing", *WHY, "-o", "json").returncode == 0
    saga.becomes(process_id, "started")
    assert saga("pause", "--type", "unheard_of", *WHY).returncode == 3


def test_a_bulk_counts_first_and_needs_a_yes(saga: Command) -> None:
    """Without a terminal --yes is needed, on one somebody is asked; no match is no question."""
    lot = ("--label", "lot=bulk", "--status", "started")
    started = [saga.started("approving", "--label", "lot=bulk") for _ in range(2)]
    for process_id in started:
        saga.waits(process_id, "signal")
    done = saga("bulk", "cancel", *WHY, *lot)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("2 processes match\n")
    assert "--yes" in done.stderr
    assert saga.on_a_terminal("bulk", "cancel", *WHY, *lot, typed="n\n").returncode == 1
    assert saga.shown(started[0])["status"] == "started"
    done = saga.on_a_terminal("bulk", "cancel", *WHY, *lot, "--type", "approving", typed="y\n")
    assert (done.returncode, done.stdout) == (0, "2 processes were asked\n")
    for process_id in started:
        saga.becomes(process_id, "compensated")
    done = saga("bulk", "cancel", *WHY, *lot, "-o", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"matching": 0, "requested": 0})
    last = saga.started("approving", "--label", "lot=bulk")
    saga.waits(last, "signal")
    assert saga("bulk", "pause", *WHY, *lot, "--yes", "--key", "b1").stdout == "1 processes were asked\n"
    saga.becomes(last, "paused")


def test_what_is_not_there_is_code_3(saga: Command) -> None:
    """A process that nobody started, and a command that was never sent."""
    assert saga("cancel", NOBODY, *WHY).returncode == 3
    assert saga("signal", f"{NOBODY}.approval.a1").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        *(((action, NOBODY), "--reason") for action in ("cancel", "pause", "resume", "retry", "skip")),
        *(((action, NOBODY), "--reason") for action in ("compensate", "fail")),
        (("bulk", "cancel", "--attention"), "--reason"),
        (("resolve", NOBODY, "--outcome", "failed"), "--reason"),
        (("resolve", NOBODY, *WHY), "--outcome"),
        (("resolve", NOBODY, *WHY, "--outcome", "maybe"), "--outcome"),
        (("cancel", NOBODY, *WHY, "--step", "a"), "--step"),
        (("pause", *WHY), "--type"),
        (("pause", NOBODY, *WHY, "--type", "approving"), "--type"),
        (("cancel", NOBODY, *WHY, "--key", "ä"), "--key"),
        (("bulk", "cancel", *WHY, "--yes"), "--label"),
        (("bulk", "delete", *WHY, "--attention"), "delete"),
        (("signal", f"{NOBODY}.a.a1", "--refuse", "no", "--output-value", "1"), "--refuse"),
    ],
)
def test_wrong_usage_is_code_2_and_says_what_is_missing(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    """Nothing is sent to anybody."""
    done = Command(tmp_path, "http://127.0.0.1:1")(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_service_that_is_away_is_code_6(tmp_path: Path) -> None:
    """Nobody listens there."""
    command = Command(tmp_path, f"http://127.0.0.1:{free_port()}")
    for arguments in (("cancel", NOBODY, *WHY), ("bulk", "pause", *WHY, "--attention"), ("signal", "a.b.a1")):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (6, "")
        assert "not reachable" in done.stderr
