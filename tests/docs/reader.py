"""A reader who types what a page says: into a shell, beside a server, and compares the answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.docs.pages import Block

SHOWN_ADDRESS = "http://127.0.0.1:8003"
_COMMAND_WITHIN_S = 60
# What is another at each run: ids, times, how long it took, and the hashes.
_VARIES = (
    (re.compile(r"(?!c0ffee)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r"\b\d+\.\ds\b"), "N.Ns"),
    (re.compile(r"[0-9a-f]{64}"), "HASH"),
    (re.compile(r'(?<="definition_hash":")[0-9a-f]+…'), "HASH"),
)
# Repeating these would start something, or is not about a state that is on its way.
_ACTS = ("-X POST", "saga start")


@dataclass
class Reader:
    """Types commands in one folder; `address` stands for the one that the pages show."""

    folder: Path
    address: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, block: Block) -> None:
        """Run a block of shell and expect the output that the page shows; what only reads may be early."""
        if block.shown is None:
            self._output(block.text)
            return
        expected = _comparable(block.shown.text, block.shown.language)
        if any(act in block.text for act in _ACTS):
            assert self._compared(block) == expected
            return
        wait_until(lambda: self._compared(block) == expected, within_s=15, what=f"{block.text}{expected}")

    def save(self, block: Block) -> None:
        """Save a block under the name in its first line."""
        assert block.file_name is not None
        (self.folder / block.file_name).write_text(block.text, encoding="utf-8")

    def _compared(self, block: Block) -> str:
        assert block.shown is not None
        return _comparable(self._output(block.text), block.shown.language)

    def _output(self, command: str) -> str:
        ran = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", command.replace(SHOWN_ADDRESS, self.address)],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # as a terminal shows it
            text=True,
            timeout=_COMMAND_WITHIN_S,
            check=False,
        )
        assert ran.returncode == 0, f"{command}ended with {ran.returncode}: {ran.stdout}"
        return ran.stdout

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, "SAGA_URL": self.address, **self.environment}


def _comparable(text: str, language: str) -> str:
    """Write output so that equal means: equal but for what is another at each run."""
    if language == "json":
        text = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
