"""The real `saga` command as a subprocess: what goes where, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.owned_process import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.acceptance

SAGA = Path(sys.executable).with_name("saga")
NOBODY = "00000000-0000-4000-8000-000000000000"


class Command:
    """Run `saga` against one service, in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SAGA_")},
            "SAGA_URL": url,
        }

    def __call__(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [SAGA, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def saga(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Give the command beside a running demo."""
    folder = tmp_path_factory.mktemp("demo")
    command = Command(folder, f"http://127.0.0.1:{free_port()}")
    environment = {
        **{name: value for name, value in command.environment.items() if name != "SAGA_URL"},
        "SAGA_HTTP_PORT": command.url.rpartition(":")[2],
        "SAGA_DATA": str(folder / "data"),
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([SAGA, "demo"], cwd=folder, env=environment, stderr=log, stdout=log) as server,
    ):
        try:
            wait_until(lambda: _is_ready(command.url), within_s=30, what="the demo is ready")
            yield command
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_process_is_started_and_waited_for(saga: Command) -> None:
    """Completed within the wait: 0, and the data on stdout."""
    done = saga(
        "start", "document_analysis", "-p", "document_id=doc123", "-p", "analysis_level=full", "--wait", "30"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "completed"
    assert done.stderr == ""


def test_a_process_is_watched_line_by_line_where_there_is_no_terminal(saga: Command) -> None:
    """Each change is one line; the id goes to stderr, because it is not what was asked for."""
    done = saga("start", "document_analysis", "--parameters", "-", "--watch", given='{"document_id": "d"}')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].endswith("completed ingestion=completed analysis=completed indexing=completed")
    assert done.stderr.startswith("started ")


def test_a_process_that_is_undone_is_code_4(saga: Command) -> None:
    """It ended, and it did not complete."""
    done = saga("start", "document_analysis", "-p", "document_id=d", "-p", "fail_at=analysis", "--wait", "30")
    assert done.returncode == 4
    assert "compensated" in done.stdout
    process_id = done.stdout.split()[0]
    assert saga("watch", process_id).returncode == 4
    shown = saga("show", process_id, "--output", "json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["status"] == "compensated"


def test_a_wait_that_is_too_short_is_code_5(saga: Command) -> None:
    """Not ended within the wait: 5, and it goes on all the same."""
    done = saga("start", "document_analysis", "-p", "document_id=d", "--wait", "0")
    assert done.returncode == 5
    process_id = done.stdout.split()[0]
    assert saga("watch", process_id).returncode == 0


def test_processes_are_listed_and_their_log_is_read(saga: Command) -> None:
    """As a table for people, as JSON lines for programs."""
    started = saga("start", "document_analysis", "-p", "document_id=d", "--label", "run=list", "--wait", "30")
    process_id = started.stdout.split()[0]
    table = saga("list", "--label", "run:list")
    assert process_id in table.stdout
    assert "completed" in table.stdout
    lines = saga("list", "--label", "run:list", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line)["process_id"] for line in lines] == [process_id]
    events = saga("events", process_id, "-o", "json")
    assert [entry["type"] for entry in json.loads(events.stdout)][-1] == "completed"
    assert "step_started" in saga("events", process_id).stdout
    shown = saga("show", process_id).stdout
    assert "3 of 3 steps completed" in shown


def test_what_is_not_there_is_code_3(saga: Command) -> None:
    """A process that nobody started is not found; nothing goes to stdout."""
    for command in ("show", "watch", "events"):
        done = saga(command, NOBODY)
        assert (done.returncode, done.stdout) == (3, "")
        assert "no such process" in done.stderr


def test_a_refusal_is_code_1_and_says_where(saga: Command) -> None:
    """The pointers of the problem document reach whoever typed."""
    done = saga("start", "document_analysis", "-p", "document_id=7")
    assert done.returncode == 1
    assert "/parameters/document_id" in done.stderr
    unknown = saga("start", "unheard_of")
    assert unknown.returncode == 1
    assert "document_analysis" in unknown.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("start",),
        ("start", "x", "-p", "nokey"),
        ("list", "--nonsense"),
        ("list", "--output", "xml"),
        ("list", "--limit", "0"),
        ("serve", "--roles", "king"),
        ("nonsense",),
        ("show", NOBODY, "--url", "ftp://x"),
    ],
)
def test_wrong_usage_is_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What can't be understood is said on stderr."""
    done = Command(tmp_path, "http://127.0.0.1:1")(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_a_service_that_is_away_is_code_6(tmp_path: Path) -> None:
    """Nobody listens there."""
    done = Command(tmp_path, f"http://127.0.0.1:{free_port()}")("list")
    assert (done.returncode, done.stdout) == (6, "")
    assert "not reachable" in done.stderr


def test_a_misspelt_setting_stops_the_server_at_once(tmp_path: Path) -> None:
    """`saga serve` refuses to run with a setting that nobody reads."""
    command = Command(tmp_path, "http://127.0.0.1:1")
    command.environment["SAGA_HTTP_PROT"] = "1"
    done = command("serve")
    assert done.returncode == 2
    assert "did you mean SAGA_HTTP_PORT?" in done.stderr


def test_folders_of_the_user_with_our_names_are_not_taken_for_ours(tmp_path: Path) -> None:
    """`saga` works in a folder that has an api/ and an adapters/ of its own, also as a module."""
    for name in ("api", "adapters"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(
            "raise SystemExit('the folder of the user was imported')"
        )
    command = Command(tmp_path, "http://127.0.0.1:1")
    for arguments in ([str(SAGA), "--help"], [sys.executable, "-m", "saga", "--help"]):
        done = subprocess.run(
            arguments,
            cwd=tmp_path,
            env=command.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "watch" in done.stdout


_DRIVERS = {"aio_pika", "aiormq", "faststream", "motor", "pymongo"}


def _loaded(program: str, names: set[str]) -> str:
    """Run a program and say which of these modules it has loaded in the end."""
    program = f"import sys; {program}; print(sorted({names} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["definition", "--help"]], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """It is quick because neither the server, nor its drivers, nor the model are loaded."""
    server = {"fastapi", "starlette", "structlog", "uvicorn", "uvloop"}
    model = {"httpx", "importlib.metadata", "jmespath", "jsonschema", "pydantic", "yaml"}
    assert _loaded(f"from api.cli import run; run({arguments})", server | model | _DRIVERS) == "[]"


def test_a_server_loads_only_the_drivers_that_it_uses() -> None:
    """The embedded default starts without those of RabbitMQ and MongoDB, which take a quarter of a second."""
    assert _loaded("import api.bootstrap", {"api.app", *_DRIVERS}) == "['api.app']"


def test_an_action_needs_a_reason(saga: Command) -> None:
    """Exit code 2, and nothing is asked of anybody."""
    for action in ("cancel", "pause", "resume", "retry", "skip", "compensate", "fail"):
        ran = saga(action, NOBODY)
        assert ran.returncode == 2, action
        assert "--reason" in ran.stderr


def test_an_action_that_does_not_apply_says_what_does(saga: Command) -> None:
    """Exit code 1 with the status of the process; 3 where there is no such process."""
    started = saga("start", "trip_booking", "-p", "trip_id=t1", "--wait", "20", "--output", "json")
    process_id = json.loads(started.stdout)["process_id"]
    ran = saga("cancel", process_id, "--reason", "too late")
    assert ran.returncode == 1
    assert "it is completed" in ran.stderr
    assert saga("cancel", NOBODY, "--reason", "nobody").returncode == 3


def test_a_type_is_paused_held_and_resumed(saga: Command) -> None:
    """What is started meanwhile waits, and ends once the type is resumed."""
    assert saga("pause", "--type", "document_analysis", "--reason", "maintenance").returncode == 0
    started = saga("start", "document_analysis", "-p", "document_id=d1", "--output", "json")
    process_id = json.loads(started.stdout)["process_id"]
    wait_until(lambda: json.loads(saga("show", process_id, "-o", "json").stdout)["status"] == "paused")
    assert saga("resume", "--type", "document_analysis", "--reason", "done").returncode == 0
    assert saga("watch", process_id, "--timeout", "30").returncode == 0


def test_pause_names_one_process_or_one_type(saga: Command) -> None:
    """Both, or neither, is a usage error."""
    assert saga("pause", "--reason", "why").returncode == 2
    assert saga("pause", NOBODY, "--type", "trip_booking", "--reason", "why").returncode == 2


def test_a_signal_for_a_command_that_was_never_sent(saga: Command) -> None:
    """Exit code 3, given or refused."""
    assert saga("signal", f"{NOBODY}.approval.a1", "--output-value", '{"by": "ada"}').returncode == 3
    assert saga("signal", f"{NOBODY}.approval.a1", "--refuse", "declined").returncode == 3
