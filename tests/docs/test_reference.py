"""The reference is whole: what the code has stands in it, and what follows from the code is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry

from adapters.telemetry.metrics import PrometheusObserver
from api.problems import REGISTRY
from api.settings import Settings
from docs.generate import generated
from saga.contract.log_entries import events_schema
from saga.definition.model import (
    CompensationDefinition,
    RetryPolicy,
    SagaDefinition,
    StepDefinition,
    VerifyDefinition,
)
from tests.docs.pages import DOCS, ROOT
from tests.support.deployment import SagaServer

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = DOCS / "reference"
_COMMAND = re.compile(r"^│ (?P<name>[a-z][a-z-]*) ", re.MULTILINE)
_REASON = re.compile(r"(?:Rejected\(|_park\(delivery,|_park\(\n\s+delivery,)\s*\"(?P<reason>[a-z-]+)\"")
_OPTION = re.compile(r"(?P<name>--[a-z][a-z-]*)")


@pytest.mark.parametrize("file", generated(), ids=lambda file: file.name)
def test_generated_pages_are_up_to_date(file: Path) -> None:
    """`python -m docs.generate` would change nothing."""
    assert file.read_text(encoding="utf-8") == generated()[file]


def test_every_setting_is_described() -> None:
    """The page of the settings has each variable, and its default where it is a plain one."""
    page = (REFERENCE / "settings.md").read_text()
    names = [
        "LOG_LEVEL" if name == "log_level" else f"SAGA_{name.upper()}"
        for name in Settings.model_fields
        if name != "service_urls"
    ]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_command_and_option_is_described() -> None:
    """The page of the command line has each command, and each option that its help shows."""
    page = (REFERENCE / "cli.md").read_text()
    commands = _COMMAND.findall(_help())
    assert commands
    missing = [command for command in commands if f"## saga {command}\n" not in page]
    for command in commands:
        missing += [
            f"{command} {option}" for option in _OPTION.findall(_help(command)) if f"`{option}`" not in page
        ]
    assert missing == []


def test_every_problem_is_described() -> None:
    """The page of the problems has each name."""
    page = (REFERENCE / "problems.md").read_text()
    assert [slug for slug in REGISTRY if f"| `{slug}` |" not in page] == []


def test_every_metric_is_described() -> None:
    """The page about running it names each counter."""
    registry = CollectorRegistry()
    PrometheusObserver(registry)
    page = (DOCS / "how-to" / "rabbitmq-and-mongodb.md").read_text()
    assert [family.name for family in registry.collect() if f"`{family.name}_total`" not in page] == []


def test_every_reason_of_a_dead_letter_is_described() -> None:
    """The page about them names each reason that a coordinator gives."""
    page = (DOCS / "how-to" / "dead-letters.md").read_text()
    source = "".join(file.read_text() for file in (ROOT / "saga" / "coordinator").glob("*.py"))
    reasons = set(_REASON.findall(source))
    assert len(reasons) > 10
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in page] == []


def test_every_word_of_a_definition_is_described() -> None:
    """The page of the definitions has each word."""
    page = (REFERENCE / "definitions.md").read_text()
    models = (SagaDefinition, StepDefinition, CompensationDefinition, VerifyDefinition, RetryPolicy)
    words = {word for model in models for word in model.model_fields}
    assert [word for word in sorted(words) if f"`{word}`" not in page] == []


@pytest.mark.acceptance
def test_what_a_server_serves_is_described(tmp_path: Path) -> None:
    """Each path of the API stands in its page, and each entry of a log fits the schema of the events."""
    with (
        SagaServer(["demo"], {"SAGA_DATA": str(tmp_path)}) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client,
    ):
        page = (REFERENCE / "http.md").read_text()
        paths = client.get("/openapi.json").json()["paths"]
        assert [path for path in paths if f"`{path}`" not in page and f" {path}`" not in page] == []
        body = {"process_type": "trip_booking", "parameters": {"trip_id": "t", "fail_at": "payment"}}
        started = client.post("/process", json=body, headers={"prefer": "wait=20"})
        entries = client.get(f"{started.headers['location']}/events").json()
    validator = Draft202012Validator(events_schema())
    assert {entry["type"] for entry in entries} >= {"accepted", "step_failed", "compensation_completed"}
    assert [error.message for entry in entries for error in validator.iter_errors(entry)] == []


def _help(*command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "saga", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return ran.stdout
