"""The page about participants over HTTP: its service runs, and its table names every code that the code has."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from saga.calling.line import LineState
from tests.docs.pages import DOCS, ROOT, blocks
from tests.support.deployment import SagaServer
from tests.support.owned_process import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = DOCS / "how-to" / "participants-over-http.md"
_CODE = re.compile(r'(?:UNAVAILABLE|TIMEOUT|NOT_FOUND|_LOST|_UNUSABLE|_REDIRECTED) = "(?P<code>[a-z_]+)"')
_DEFINITION = """
process_type: purchase
steps:
  - {name: charge, service: payment, action: charge, compensation: refund}
  - {name: send, service: payment, action: send, compensation: none}
"""


def test_every_code_and_state_is_described() -> None:
    """What a step's error may say, and where an address may stand, has its line."""
    page = PAGE.read_text()
    codes = _CODE.findall((ROOT / "saga" / "calling" / "verdict.py").read_text())
    assert len(codes) == 6
    words = [*codes, "call_error", "too_early", "too_many_requests", *map(str, LineState)]
    assert [word for word in words if f"`{word}`" not in page] == []


@contextmanager
def _payment(folder: Path) -> Iterator[str]:
    (block,) = (block for block in blocks(PAGE) if block.file_name == "payment.py")
    (folder / "payment.py").write_text(block.text)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "payment:app", "--port", str(port), "--log-level", "warning"]
    running = subprocess.Popen(command, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), within_s=20, what="the page's service answers")
        yield url
    finally:
        os.kill(running.pid, signal.SIGTERM)
        running.wait(20)


@pytest.mark.acceptance
def test_the_service_of_the_page_runs(tmp_path: Path) -> None:
    """It charges, and refunds where the next step is unknown to it; a refusal has its own code."""
    definition = tmp_path / "purchase.yaml"
    definition.write_text(_DEFINITION)
    with _payment(tmp_path) as url:
        settings = {
            "SAGA_DATA": str(tmp_path / "data"),
            "SAGA_DEFINITIONS": str(definition),
            "PAYMENT_SERVICE_URL": f"{url}/steps",
        }
        with (
            SagaServer(["serve"], settings) as server,
            httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client,
        ):
            turned_back = _run(client, {"amount": 10})
            declined = _run(client, {"amount": 2000})
            wait_until(lambda: _services(client) == [("http", 1.0)], what="the calls are told of")
    charge, send = turned_back
    assert (charge["output"], charge["compensation"]["status"]) == ({"receipt": "R-1"}, "compensated")
    assert (send["status"], send["error"]["code"]) == ("failed", "http_404")
    assert declined[0]["error"]["code"] == "card_declined"


def _services(client: httpx.Client) -> list[tuple[str, float | None]]:
    return [(one["transport"], one["success_rate"]) for one in client.get("/service").json()]


def _run(client: httpx.Client, parameters: dict[str, int]) -> list[dict[str, Any]]:
    body = {"process_type": "purchase", "parameters": parameters}
    started = client.post("/process", json=body, headers={"prefer": "wait=30"})
    process = client.get(started.headers["location"]).json()
    assert process["status"] == "compensated", process
    steps: list[dict[str, Any]] = process["steps"]
    return steps


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openapi.json", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
