"""The package as users install it: its wheel in an environment of its own, and pytest in a project of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

pytestmark = pytest.mark.acceptance

UV = Path(sys.prefix) / "share" / "uv" / "bin" / "uv"
_TRIP = """
process_type: trip
timeout: 30
steps:
- {name: hotel, service: hotel, action: book, compensation: cancel}
- {name: payment, service: payment, action: charge, pivot: true}
"""
_USES_IT = """
import asyncio

import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def loop_of_the_user():
    return asyncio.get_running_loop()


def test_a_declined_card_gives_the_room_back(saga_harness):
    saga_harness.load("trip.yaml")
    saga_harness.service("hotel").otherwise().completes()
    saga_harness.service("payment").on("charge").fails("declined")
    assert saga_harness.start("trip").ends().status == "compensated"
    assert saga_harness.service("hotel").actions == ["book", "cancel"]


@pytest.mark.asyncio
async def test_the_users_own_loop_is_left_alone(loop_of_the_user):
    assert asyncio.get_running_loop() is loop_of_the_user
    assert type(loop_of_the_user).__module__.startswith("asyncio")


@pytest.mark.asyncio
async def test_a_coroutine_is_told_what_to_write(saga_harness):
    with pytest.raises(RuntimeError, match="def test_"):
        saga_harness.load("trip.yaml")
"""
_DOES_NOT_USE_IT = """
import sys
from pathlib import Path


def test_nothing_of_it_is_loaded():
    import saga
    assert Path(saga.__file__).is_relative_to(sys.prefix), "the wheel, not the working tree"
    assert "saga.pytest_plugin" in sys.modules
    assert not {"saga.testing", "saga.definition", "pydantic", "motor", "aio_pika"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of an environment with the wheel in it; what the wheel needs comes from ours."""
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "venv"
    _run(UV, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT)
    _run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    _run(UV, "pip", "install", "--quiet", "--no-deps", "--offline", "--python", python, wheel)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_the_fixture_works_beside_the_asynchronous_tests_of_a_project(
    python: Path, tmp_path: Path, mode: str
) -> None:
    """In both modes of pytest-asyncio, with warnings as errors, and without a word of configuration."""
    (tmp_path / "trip.yaml").write_text(_TRIP)
    (tmp_path / "test_trip.py").write_text(_USES_IT)
    options = ("-o", "asyncio_default_fixture_loop_scope=function", "-o", f"asyncio_mode={mode}")
    assert "3 passed" in _pytest(python, tmp_path, *options, "-W", "error")


def test_a_project_that_does_not_test_sagas_pays_nothing(python: Path, tmp_path: Path) -> None:
    """Its pytest loads a file with one fixture, and nothing else of ours."""
    (tmp_path / "test_other.py").write_text(_DOES_NOT_USE_IT)
    assert "1 passed" in _pytest(python, tmp_path)


def test_the_types_reach_the_user(python: Path, tmp_path: Path) -> None:
    """A type checker that meets the package is told that it is typed."""
    typed = "import importlib.resources as r; print(r.files('saga').joinpath('py.typed').is_file())"
    assert _run(python, "-c", typed, cwd=tmp_path) == "True\n"


def _pytest(python: Path, folder: Path, *options: str) -> str:
    return _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, cwd=folder)


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))
    }
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
