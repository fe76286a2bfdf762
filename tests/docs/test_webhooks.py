"""The page about being called back: its receiver, its commands and the output that it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, Block, blocks
from tests.docs.reader import Reader
from tests.support.deployment import SagaServer
from tests.support.owned_process import free_port
from tests.support.waiting import wait_until
from tests.unit.webhooks.test_signature import SECRET

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.acceptance


def test_the_receiver_of_the_page_is_told_of_the_end(tmp_path: Path) -> None:
    """It prints what it was told once, and the delivery log says that it took it."""
    page = blocks(DOCS / "how-to" / "webhooks.md")
    port = str(free_port())
    (receiver,) = (block for block in page if block.file_name == "receiver.py")
    script = tmp_path / "receiver.py"
    script.write_text(receiver.text.replace("8080", port))
    settings = {
        "SAGA_DATA": str(tmp_path / "data"),
        "SAGA_WEBHOOK_HOSTS": "127.0.0.1",
        "SAGA_WEBHOOK_ALLOW_PRIVATE": "on",
        "SAGA_WEBHOOK_SECRET": SECRET,
    }
    printed = tmp_path / "printed"
    with (
        printed.open("w") as output,
        subprocess.Popen([sys.executable, script], env={**os.environ, **settings}, stdout=output) as running,
        SagaServer(["demo"], settings) as server,
    ):
        try:
            reader = Reader(tmp_path, server.url)
            for block in page:
                if block.language == "bash" and block.shown is not None:
                    reader.run(Block("bash", block.text.replace("8080", port), block.shown))
            wait_until(lambda: printed.read_text() == "document_analysis completed\n", what="it is told once")
        finally:
            running.terminate()
