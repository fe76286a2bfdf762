"""Our compose file, run as one project of a name of its own."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.containers.engine import run
from tests.containers.telling import CheckError, check, say, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.containers.engine import Engine

NAME = "batuta-check"
ROLES = ("api", "coordinator-1", "coordinator-2", "participants")
SERVERS = ("rabbitmq", "mongodb")
MONITORS = ("prometheus", "grafana")
_PROFILE = ("--profile", "monitoring")
_LOG_LINES = "40"
_DOWN_WITHIN_S = 120
_LISTS = (
    ("container", "ls", "--all", "--format", "{{.Names}}"),
    ("network", "ls", "--format", "{{.Name}}"),
    ("volume", "ls", "--format", "{{.Name}}"),
)


class Project:
    """Run the compose file's services; a service is called by its name there."""

    def __init__(self, engine: Engine, folder: Path, variables: Mapping[str, str]) -> None:
        """Take the values that a person writes into `.env`."""
        self._engine = engine
        self._folder = folder
        self._variables = variables
        self._files: tuple[str, ...] = ()

    def take_secrets_from_files(self) -> None:
        """From the next `up` on; the variables name the folder."""
        self._files = ("--file", "docker-compose.yml", "--file", "deploy/secrets.yml")

    def compose(self, *arguments: str, within_s: float = 120) -> str:
        """Run one command of the compose client. Raises CheckError."""
        # The variables of the environment win over those of a file; a `.env` of whoever runs this is left alone.
        files = ("--env-file", os.devnull, *self._files)
        command = [*self._engine.compose, *files, "--project-name", NAME, *arguments]
        environment = {**self._engine.environment, **self._variables}
        return run(command, environment=environment, within_s=within_s, cwd=self._folder)

    def up(self) -> None:
        """Start everything in the order that the file asks for, and wait until all of it is healthy."""
        # podman before 4.6 starts all at once whatever depends_on says, so the order is given here as well.
        self._up(*SERVERS)
        self.wait_until_healthy(SERVERS)
        self._up()
        self.wait_until_healthy((*SERVERS, *ROLES))

    def up_with_monitoring(self) -> Sequence[str]:
        """Start what the profile adds and name it: all, or where no image can be pulled, what has a stand-in."""
        services = MONITORS if self._engine.can_pull else MONITORS[:1]
        self.compose(*_PROFILE, "up", "--detach", "--no-build", *services)
        self.wait_until_healthy(services)
        return services

    def _up(self, *services: str) -> None:
        self.compose("up", "--detach", "--no-build", *services)
        self._engine.after_start()

    def wait_until_healthy(self, services: Iterable[str], *, within_s: float = 120) -> None:
        """Wait for the health checks that the compose file and the image define. Raises CheckError."""
        for service in services:
            took = wait_for(
                lambda service=service: self.is_healthy(service),  # type: ignore[misc] # bound now
                within_s=within_s,
                what=f"{service} is healthy",
            )
            say(f"  {service} is healthy ({took:.1f} s)")

    def is_healthy(self, service: str) -> bool:
        """Say whether the health check of a service passes now."""
        return self._engine.is_healthy(self.container(service))

    def container(self, service: str) -> str:
        """Give the name of the one container of a service. Raises CheckError."""
        names = self._engine(
            *("ps", "--all", "--format", "{{.Names}}"),
            *("--filter", f"label=com.docker.compose.project={NAME}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        ).split()
        check(len(names) == 1, f"there should be one container of {service}, not {names}")
        return names[0]

    def inside(self, service: str, *command: str) -> str:
        """Run a command inside of a service's container."""
        return self._engine("exec", self.container(service), *command)

    def kill(self, service: str) -> None:
        """End a container at once, without a word to it."""
        self._engine("kill", self.container(service))

    def start(self, service: str) -> None:
        """Start a container that was killed or stopped."""
        self._engine("start", self.container(service))

    def stop(self, service: str) -> None:
        """Ask a container to end, by SIGTERM, within the grace of the compose file."""
        self.compose("stop", service)

    def environment(self, service: str) -> str:
        """Give what a container's environment shows to whoever may inspect it."""
        return self._engine("inspect", "--format", "{{.Config.Env}}", self.container(service))

    def exit_code(self, service: str) -> int:
        """Give the code that a container ended with: 137 means that it had to be killed."""
        return int(self._engine("inspect", "--format", "{{.State.ExitCode}}", self.container(service)))

    def show_logs(self) -> None:
        """Say the last lines of every container, for whoever looks for the reason of a failure."""
        for service in (*SERVERS, *ROLES, *MONITORS):
            with suppress(CheckError):
                container = self.container(service)
                state = self._engine(
                    "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container
                )
                say(f"--- {service}: {state.strip()}")
                say(self._engine("logs", "--tail", _LOG_LINES, container))

    def down(self, *, with_data: bool) -> None:
        """Remove containers and networks, and with the data the volumes too."""
        volumes = ("--volumes",) if with_data else ()
        self.compose(*_PROFILE, "down", *volumes, "--remove-orphans", within_s=_DOWN_WITHIN_S)
        if with_data and self._engine.keeps_nameless_volumes:  # its storage is our own, so they are ours too
            self._engine("volume", "prune", "--force")

    def left_behind(self) -> list[str]:
        """Name what is still there of the project."""
        listed = [self._engine(*kind).split() for kind in _LISTS]
        return [name for names in listed for name in names if name.startswith(NAME)]
