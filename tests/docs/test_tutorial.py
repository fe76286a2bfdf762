"""The tutorial, from its first file to its last answer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, blocks
from tests.docs.reader import Reader
from tests.support.deployment import SagaServer

if TYPE_CHECKING:
    from pathlib import Path

TUTORIAL = DOCS / "tutorial.md"
_SERVES = "SAGA_DEFINITIONS=weekend.yaml saga demo\n"


@pytest.mark.acceptance
def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    """Files are saved, commands typed and answers compared in their order; a changed file means a restart."""
    settings = {"SAGA_DATA": str(tmp_path / "data"), "SAGA_DEFINITIONS": str(tmp_path / "weekend.yaml")}
    server = SagaServer(["demo"], settings)
    reader = Reader(tmp_path, server.url)
    with ExitStack() as stack:
        stack.callback(server.close)
        for block in blocks(TUTORIAL):
            if block.file_name:
                reader.save(block)
                if server.is_running() and block.language == "yaml":
                    server.restart()
            elif block.text == _SERVES:
                server.start()
            elif not block.text.startswith("make "):
                reader.run(block)
