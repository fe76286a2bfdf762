"""The program that runs containers, Docker or podman, behind the few commands that both have."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.containers.telling import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_WORDS_MAX = 4_000


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Run the commands of an engine, each within a time limit."""

    name: str
    command: str
    compose: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    build_options: Sequence[str] = ()
    can_pull: bool = True
    checks_health_itself: bool = True
    keeps_nameless_volumes: bool = False
    after_start: Callable[[], None] = lambda: None

    def __call__(self, *arguments: str, within_s: float = 60, cwd: Path | None = None) -> str:
        """Run one command and give what it printed. Raises CheckError where it fails or takes too long."""
        return run([self.command, *arguments], environment=self.environment, within_s=within_s, cwd=cwd)

    def is_healthy(self, container: str) -> bool:
        """Say whether the health check that the container came with passes."""
        if self.checks_health_itself:
            status = self(
                "inspect", "--format", "{{if .State.Health}}{{.State.Health.Status}}{{end}}", container
            )
            return status.strip() == "healthy"
        try:
            self("healthcheck", "run", container)
        except CheckError:
            return False
        return True


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    within_s: float = 60,
    cwd: Path | None = None,
) -> str:
    """Run a command with its outputs in one. Raises CheckError with its last words."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        words = (error.output or b"").decode(errors="replace")[-_WORDS_MAX:]
        raise CheckError(f"{' '.join(command[:4])} took more than {within_s:.0f} s:\n{words}") from None
    words = done.stdout.decode(errors="replace")
    if done.returncode:
        raise CheckError(f"{' '.join(command[:4])} ended with {done.returncode}:\n{words[-_WORDS_MAX:]}")
    return words
