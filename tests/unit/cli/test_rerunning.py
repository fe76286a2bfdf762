"""Undo previews, compensations and reruns at the terminal, beside a real server and the demo's participants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.deployment import SagaServer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.acceptance

SAGA = Path(sys.executable).with_name("saga")
WHY = ("--reason", "a person said so")


class Command:
    """Run `saga` against one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        self.environment = {**kept, "SAGA_URL": url}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [SAGA, *arguments], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def document(self, *arguments: str) -> dict[str, Any]:
        """Run it, and give the document that it prints."""
        done = self(*arguments, "-o", "jsonl")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def ended(self, process_type: str, **parameters: str) -> str:
        """Start a process, and give its id once it has ended."""
        pairs = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
        done = self("start", process_type, *pairs, "--wait", "30", "-o", "jsonl")
        process_id: str = json.loads(done.stdout)["process_id"]
        return process_id

    def becomes(self, process_id: str, status: str) -> None:
        """Wait until a process has a status."""
        path = f"{self.url}/process/{process_id}"
        wait_until(
            lambda: httpx.get(path, trust_env=False).json()["status"] == status,
            within_s=30,
            what=f"it is {status}",
        )

    def events(self, process_id: str) -> list[dict[str, Any]]:
        """Read a log."""
        entries: list[dict[str, Any]] = httpx.get(
            f"{self.url}/process/{process_id}/events", trust_env=False
        ).json()
        return entries


@pytest.fixture(scope="module")
def saga(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Give the command beside a running server."""
    folder = tmp_path_factory.mktemp("rerunning")
    with SagaServer(["demo"], {"SAGA_DATA": str(folder)}) as server:
        yield Command(server.url)


def test_a_completed_process_is_previewed_and_then_compensated_just_so(saga: Command) -> None:
    """The undos go in the order of the waves, under the ids that were shown."""
    process_id = saga.ended("document_analysis", document_id="d1")
    preview = saga.document("undo-preview", process_id)
    shown = [command["command_id"] for wave in preview["waves"] for command in wave]
    assert shown == [f"{process_id}.{step}.c1" for step in ("indexing", "analysis", "ingestion")]
    table = saga("undo-preview", process_id)
    assert table.returncode == 0
    assert '"output":{"reference":"indexing-' in "".join(table.stdout.split()), "folded, and whole"
    assert saga("compensate", process_id, *WHY).returncode == 0
    saga.becomes(process_id, "compensated")
    begun = [entry for entry in saga.events(process_id) if entry["type"] == "compensation_started"]
    assert [f"{process_id}.{entry['step']}.c{entry['attempt']}" for entry in begun] == shown


def test_a_process_is_seen_as_a_timeline_and_as_a_graph(saga: Command) -> None:
    """For people, for Mermaid and Graphviz, and for programs."""
    process_id = saga.ended("document_analysis", document_id="d0", fail_at="analysis")
    spans = saga.document("timeline", process_id)["spans"]
    assert [(span["kind"], span["step"], span["outcome"]) for span in spans][-1] == (
        "compensation", "ingestion", "completed"
    )  # fmt: skip
    table = saga("timeline", process_id)
    assert (table.returncode, len(table.stdout.splitlines())) == (0, 2 + len(spans))
    assert saga("graph", process_id).stdout.startswith("%% document_analysis\nflowchart TD\n")
    assert 'label="ingestion\\ncompleted' in saga("graph", process_id, "--format", "dot").stdout
    nodes = saga.document("graph", process_id)["nodes"]
    assert [node["status"] for node in nodes] == ["completed", "failed", "pending"]
    assert saga("graph", process_id, "--format", "svg").returncode == 2
    assert saga("timeline", "00000000-0000-4000-8000-000000000000").returncode == 3


def test_behind_the_pivot_compensate_is_refused_and_the_preview_says_why(saga: Command) -> None:
    """Exit code 1; nothing is undone."""
    process_id = saga.ended("trip_booking", trip_id="t1")
    refused = saga("compensate", process_id, *WHY)
    assert refused.returncode == 1
    assert "completed" in refused.stderr
    preview = saga("undo-preview", process_id)
    assert preview.returncode == 0
    assert "compensate is refused: its pivot has passed" in preview.stdout
    assert "not undone: payment: the pivot has passed" in preview.stdout


def test_a_process_is_begun_anew_and_both_logs_name_each_other(saga: Command) -> None:
    """The new one does only what was asked for, and ends by itself; the old one stays as it was."""
    process_id = saga.ended("document_analysis", document_id="d2", fail_at="indexing")
    words = ("rerun", process_id, "--from", "indexing", "--without", "fail_at", "--key", "k1")
    done = saga(*words, "--watch", "-o", "jsonl")
    assert done.returncode == 0, done.stderr
    new = json.loads(done.stdout.splitlines()[-1])
    assert (new["status"], new["forked_from"], new["parameters"]) == (
        "completed", process_id, {"document_id": "d2"}
    )  # fmt: skip
    assert "has undone it: ingestion, analysis" in done.stderr
    asked = [entry["step"] for entry in saga.events(new["process_id"]) if entry["type"] == "step_started"]
    assert asked == ["indexing"]
    wait_until(lambda: saga.events(process_id)[-1]["type"] == "operator_rerun", within_s=30, what="lineage")
    last = saga.events(process_id)[-1]
    assert (last["data"]["fork"], last["step"], last["actor"]) == (new["process_id"], "indexing", "anybody")
    assert last["data"]["reason"] == "rerun from indexing"
    assert saga.document("show", process_id)["status"] == "compensated"
    assert saga.document(*words)["process_id"] == new["process_id"], "the same key"
    assert f"forked from {process_id}" in saga("show", new["process_id"]).stdout


def test_what_can_t_be_begun_is_said(saga: Command) -> None:
    """Exit codes: 1 for a refusal, 2 without a step, 3 for no such process."""
    process_id = saga.ended("document_analysis", document_id="d3")
    refused = saga("rerun", process_id, "--from", "unheard")
    assert refused.returncode == 1
    assert "/step: is no step of this process" in refused.stderr
    assert saga("rerun", process_id).returncode == 2
    nobody = "00000000-0000-4000-8000-000000000000"
    assert saga("rerun", nobody, "--from", "indexing").returncode == 3
    assert saga("undo-preview", nobody).returncode == 3
