"""The README's commands, word for word, against a server of its own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.docs.pages import README, Block, blocks
from tests.docs.reader import Reader
from tests.support.deployment import SagaServer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.acceptance

# What prepares the reader's own terminal, needs servers of theirs, or runs for minutes.
_NOT_TYPED = (
    "make ",
    "export ",
    "amqp-publish ",
    "SAGA_DEFINITIONS=weekend.yaml make run",
    "saga participant check",
)
_BREAKS = "seq 300"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[SagaServer]:
    """Give what `make run` starts, with the tutorial's definition beside the demo's."""
    weekend = tmp_path / "weekend.yaml"
    weekend.write_text(next(block.text for block in blocks(README) if block.file_name == "weekend.yaml"))
    server = SagaServer(["demo"], {"SAGA_DATA": str(tmp_path / "data"), "SAGA_DEFINITIONS": str(weekend)})
    with server:
        yield server


def _typed() -> list[Block]:
    return [
        block
        for block in blocks(README)
        if block.language == "bash" and not block.text.startswith(_NOT_TYPED) and _BREAKS not in block.text
    ]


def test_the_commands_answer_what_the_readme_shows(demo: SagaServer, tmp_path: Path) -> None:
    """Every command runs, and its answer is the one shown, but for ids, times and durations."""
    reader = Reader(tmp_path, demo.url)
    typed = _typed()
    assert len([block for block in typed if block.shown]) >= 5
    for block in typed:
        reader.run(block)


def test_every_accepted_process_ends_when_the_server_is_killed(demo: SagaServer, tmp_path: Path) -> None:
    """A Ctrl-backslash right behind the README's starts leaves none unfinished after the restart."""
    (block,) = (block for block in blocks(README) if _BREAKS in block.text)
    starts = Block(block.language, block.text.replace("seq 300", "seq 40"))
    Reader(tmp_path, demo.url).run(starts)
    os.kill(demo.pid, signal.SIGQUIT)
    wait_until(lambda: not demo.is_running(), what="the end by SIGQUIT")
    demo.start()
    wait_until(lambda: _by_status(demo.url) == {"completed": 40}, within_s=30, what="all completed")


def _by_status(url: str) -> dict[str, int]:
    counts: dict[str, int] = httpx.get(f"{url}/process/counts", trust_env=False).json()["by_status"]
    return counts
