"""`saga deliveries` and `--callback-url`, beside a real server that calls a real receiver."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from saga.webhooks import verify_signature
from tests.support.deployment import SagaServer
from tests.support.raw_http import answer, raw_server
from tests.support.waiting import eventually
from tests.unit.cli.test_acting import DEFINITIONS, Command
from tests.unit.webhooks.test_signature import SECRET

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.acceptance


async def test_a_receiver_is_told_and_the_terminal_shows_it(tmp_path: Path) -> None:
    """What failed is shown with its reason, what is sent again arrives, and no secret stands in any output."""
    (tmp_path / "approving.yaml").write_text(DEFINITIONS)
    async with raw_server(answer(410, b"not here")) as receiver:
        settings = {
            "SAGA_DATA": str(tmp_path / "data"),
            "SAGA_DEFINITIONS": str(tmp_path / "approving.yaml"),
            "SAGA_WEBHOOK_HOSTS": "127.0.0.1",
            "SAGA_WEBHOOK_SECRET": SECRET,
            "SAGA_WEBHOOK_ALLOW_PRIVATE": "on",
            "LOG_LEVEL": "DEBUG",
        }
        with SagaServer(["serve"], settings) as server:
            saga = Command(tmp_path, server.url)

            async def run(*arguments: str) -> Any:
                return await asyncio.to_thread(saga, *arguments)

            url = f"{receiver.url}/hook?token=canary"
            process_id = await asyncio.to_thread(saga.started, "approving", "--callback-url", url)
            nothing = await run("deliveries", process_id)
            assert nothing.returncode == 0
            assert "calls http" in nothing.stdout
            assert (await run("cancel", process_id, "--reason", "enough")).returncode == 0

            async def told(status: str) -> dict[str, Any]:
                log = json.loads((await run("deliveries", process_id, "-o", "json")).stdout)
                return next((one for one in log["deliveries"] if one["status"] == status), {})

            given_up = await eventually(lambda: told("given_up"), what="it is given up")
            assert given_up["attempts"][0]["status_code"] == 410
            assert "410" in (await run("deliveries", process_id)).stdout
            again = await run("deliveries", process_id, "--retry", str(given_up["sequence"]))
            assert again.returncode == 0, again.stderr
            await eventually(lambda: len(receiver.requests) == 2, what="it is sent again")
            for request in receiver.requests:
                verify_signature(request.headers, request.body, SECRET)
                assert json.loads(request.body)["status"] == "compensated"
            refused = await run("start", "approving", "--callback-url", "https://example.com/")
            assert refused.returncode == 1
            assert "SAGA_WEBHOOK_HOSTS" in refused.stderr
            plain = await asyncio.to_thread(saga.started)
            assert "calls nobody back" in (await run("deliveries", plain)).stdout
            assert (await run("deliveries", plain, "--retry", "1")).returncode == 3
            written = "".join(log.read_text(errors="replace") for log in server.folder.rglob("*.log"))
        signatures = {
            request.headers["webhook-signature"].removeprefix("v1,") for request in receiver.requests
        }
        assert "had webhook" in written
        for secret in (SECRET, "canary", *signatures):
            assert secret not in written
