"""The examples, and the README's code for RabbitMQ, on a real broker and a real store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, README, ROOT, Block, blocks
from tests.docs.reader import Reader
from tests.support.deployment import SagaServer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.acceptance

_NOT_REACHABLE = 6
SHOP = ROOT / "examples" / "shop"
_SHOP_SAYS = """\
ID completed
ID compensated
saga: process ID is compensated
declined: the stock is released
ID compensated
saga: process ID is compensated
out of stock: nothing to undo
"""


@pytest.fixture
def settings(amqp_url: str, mongodb_url: str, amqp_prefix: str, mongodb_database: str) -> dict[str, str]:
    """Give the settings of servers and participants that belong together."""
    return {
        "SAGA_AMQP_URL": amqp_url,
        "SAGA_MONGODB_URL": mongodb_url,
        "SAGA_AMQP_PREFIX": amqp_prefix,
        "SAGA_MONGODB_DATABASE": mongodb_database,
    }


def test_the_shop_sells_declines_and_runs_out(settings: Mapping[str, str], tmp_path: Path) -> None:
    """The page of the example ends as it says: one order completed, one released, one refused at once."""
    participants = {**settings, "STOCK_DATABASE": str(tmp_path / "stock.db")}
    definition = {"SAGA_DEFINITIONS": str(SHOP / "order.yaml")}
    with ExitStack() as stack:
        for script in ("stock.py", "billing.py"):
            stack.enter_context(_running(SHOP / script, participants))
        server = stack.enter_context(SagaServer(["serve"], {**settings, **definition}))
        _, starts, _ = [block for block in blocks(SHOP / "README.md") if block.language == "bash"]
        shown = Block("text", _SHOP_SAYS)
        Reader(tmp_path, server.url).run(Block("bash", starts.text, shown))


@pytest.mark.parametrize(
    "page", [DOCS / "how-to" / "test-a-saga.md", SHOP / "README.md"], ids=["how-to", "shop"]
)
def test_a_saga_is_tested_as_the_page_says(page: Path, tmp_path: Path) -> None:
    """The files are saved, the command is typed, and all tests of it pass."""
    found = blocks(page)
    reader = Reader(ROOT if page.is_relative_to(SHOP) else tmp_path, "")
    for block in found:
        if block.file_name is not None:
            reader.save(block)
    (command,) = [block for block in found if block.text.startswith("pytest ")]
    reader.run(command)


def test_the_test_of_the_readme_passes(tmp_path: Path) -> None:
    """It tests the definition that stands above it, and the command beside it writes a participant for that."""
    reader = Reader(tmp_path, "")
    for block in blocks(README):
        if block.file_name in {"weekend.yaml", "test_weekend.py"}:
            reader.save(block)
    reader.run(Block("bash", "pytest -q test_weekend.py\n"))
    (new,) = re.findall("saga participant new .*", README.read_text())
    reader.run(Block("bash", f"{new}\npython -c 'import hotel'\n"))


def test_a_start_published_by_hand_runs(settings: Mapping[str, str], tmp_path: Path) -> None:
    """The README's Python publishes a start that the demo carries out."""
    (publish,) = (
        block for block in blocks(README) if "process.start" in block.text and block.language == "python"
    )
    script = tmp_path / "publish.py"
    script.write_text(publish.text.replace("saga.commands", f"{settings['SAGA_AMQP_PREFIX']}.commands"))
    with SagaServer(["demo"], settings) as server:
        subprocess.run([sys.executable, script], env={**os.environ, **settings}, check=True, timeout=30)
        show = "saga watch c0ffee00-0000-4000-8000-000000000002 | tail -n 1 | cut -d ' ' -f 2"
        Reader(tmp_path, server.url).run(Block("bash", f"{show}\n", Block("text", "completed\n")))


def test_the_participant_of_the_readme_carries_out_steps(settings: Mapping[str, str], tmp_path: Path) -> None:
    """The README's participant is a whole program."""
    (participant,) = (block for block in blocks(README) if block.file_name == "stock.py")
    script = tmp_path / "stock.py"
    script.write_text(participant.text)
    definition = tmp_path / "order.yaml"
    definition.write_text(
        "process_type: order\n"
        "steps: [{name: reserve, service: stock, action: reserve, compensation: release}]\n"
    )
    with (
        _running(script, settings),
        SagaServer(["serve"], {**settings, "SAGA_DEFINITIONS": str(definition)}) as server,
    ):
        start = "saga start order -p item=lamp -p quantity=2 --wait 20\n"
        Reader(tmp_path, server.url).run(Block("bash", start, Block("text", "ID completed\n")))


def test_the_participant_in_python_bears_everything(settings: Mapping[str, str], tmp_path: Path) -> None:
    """The program on its page passes every case of the check, also those about questions and fences."""
    page = DOCS / "how-to" / "participant-in-python.md"
    (program,) = (block for block in blocks(page) if block.file_name == "bakery.py")
    script = tmp_path / "bakery.py"
    script.write_text(program.text)
    database = {"BAKERY_DATABASE": f"sqlite+aiosqlite:///{tmp_path / 'bakery.db'}"}
    check = ["-m", "saga", "participant", "check", "bakery", "--action", "bake", "--compensation", "eat"]
    check += ["--verify", "status", "--fences", "-p", "flavour=plum", "--yes"]
    ended: list[subprocess.CompletedProcess[str]] = []

    def is_reached() -> bool:
        environment = {**os.environ, **settings}
        ended.append(
            subprocess.run(
                [sys.executable, *check], env=environment, capture_output=True, text=True, check=False
            )
        )
        return ended[-1].returncode != _NOT_REACHABLE

    with _running(script, {**settings, **database}):
        wait_until(is_reached, within_s=30, what="a participant that consumes")
    assert ended[-1].returncode == 0, ended[-1].stdout


def test_the_dead_letters_can_be_read(settings: Mapping[str, str], tmp_path: Path) -> None:
    """The program on their page prints why a start was refused, and leaves it where it is."""
    page = DOCS / "how-to" / "dead-letters.md"
    (program,) = (block for block in blocks(page) if block.file_name == "dead_letters.py")
    (publish,) = (
        block for block in blocks(README) if "process.start" in block.text and block.language == "python"
    )
    prefix = settings["SAGA_AMQP_PREFIX"]
    (tmp_path / "dead_letters.py").write_text(
        program.text.replace("saga.dead-letter", f"{prefix}.dead-letter")
    )
    (tmp_path / "publish.py").write_text(publish.text.replace("saga.commands", f"{prefix}.commands"))
    with SagaServer(["serve"], settings) as server:  # no definition: the start's type is unknown here
        reader = Reader(tmp_path, server.url, settings)
        reader.run(Block("bash", "python publish.py\n"))
        shown = Block("text", "unknown-process-type no definition of 'document_analysis' is loaded\n")
        for _ in range(2):
            reader.run(Block("bash", "python dead_letters.py | sed -n 1p\n", shown))


@contextmanager
def _running(script: Path, environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, script], env={**os.environ, **environment})
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
