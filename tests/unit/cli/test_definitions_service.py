"""The commands for definitions that ask a service, against a running demo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.cli.outcome import Exit
from tests.support.deployment import SagaServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.acceptance

SAGA = Path(sys.executable).with_name("saga")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a demo."""
    data = tmp_path_factory.mktemp("data")
    with SagaServer(["demo"], {"SAGA_DATA": str(data)}) as server:
        yield server.url


def _definition(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    command = [str(SAGA), "definition", *arguments, "--url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_types_are_listed(url: str) -> None:
    """A line per type for people, a document per type for programs."""
    done = _definition("list", url=url)
    assert (done.returncode, done.stderr) == (Exit.WELL, "")
    assert "trip_booking" in done.stdout
    types = [json.loads(line) for line in _definition("list", "-o", "jsonl", url=url).stdout.splitlines()]
    assert {"document_analysis", "trip_booking"} <= {one["process_type"] for one in types}


def test_a_type_is_shown(url: str) -> None:
    """Its steps, what undoes them, and its versions."""
    done = _definition("show", "trip_booking", url=url)
    assert (done.returncode, done.stderr) == (Exit.WELL, "")
    assert "payment" in done.stdout
    assert "pivot" in done.stdout
    assert "versions: " in done.stdout
    shown = _definition("show", "trip_booking", "-o", "json", url=url)
    assert json.loads(shown.stdout)["process_type"] == "trip_booking"


def test_a_type_that_is_not_there_is_3(url: str) -> None:
    """Nothing goes to stdout."""
    done = _definition("show", "unheard_of", url=url)
    assert (done.returncode, done.stdout) == (Exit.NOT_FOUND, "")
    assert done.stderr


def test_a_service_that_is_not_there_is_6() -> None:
    """Whoever asks hears that nobody is there."""
    done = _definition("list", url="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (Exit.NOT_REACHABLE, "")
