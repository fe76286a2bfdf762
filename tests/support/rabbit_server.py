"""A private RabbitMQ node with its own folders, ports and port mapper (epmd), started as any user.

Debian's command becomes the user `rabbitmq` and uses the folders of the system's node. Here the server's
own script is called instead, and every path and port is given to it, so nothing is shared with that node.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.owned_process import OwnedServer, ServerError, free_port

_INSTALLED_UNDER = Path("/usr/lib/rabbitmq/lib")
_ANSWER_TIMEOUT_S = 2.0
_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = 1

QUORUM_QUEUE_SETTLES_AFTER_S = 3.0  # a kill of the node within the first second of a quorum queue may ruin it


class RabbitServer(OwnedServer):
    """A RabbitMQ node of its own, without plugins, that listens on loopback only; user `guest`, vhost `/`."""

    name = "rabbitmq"

    def __init__(self, *, queues_expire_after_s: int | None = None) -> None:
        """Choose names and ports; with `queues_expire_after_s` the node removes queues that nobody uses."""
        super().__init__()
        self.port = free_port()
        self.node = f"batuta-{secrets.token_hex(4)}@localhost"
        self._scripts = find_rabbitmq()
        self._epmd_port = free_port()
        self._dist_port = free_port()
        self._queues_expire_after_s = queues_expire_after_s
        self._write_settings()

    @property
    def url(self) -> str:
        """The connection string of the default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def ctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        """Run `rabbitmqctl` against this node and return what it prints; takes about half a second.

        For example `ctl("set_vm_memory_high_watermark", "0")` or `ctl("delete_queue", "saga.coordinator")`.
        Raises `ServerError` with its message when it fails.
        """
        command = [str(self._scripts / "rabbitmqctl"), "--quiet", "--node", self.node, *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise ServerError(
                f"rabbitmqctl {' '.join(arguments)} failed: {error.stderr or error.stdout}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ServerError(
                f"rabbitmqctl {' '.join(arguments)} did not end within {timeout_s:.0f} s"
            ) from error
        return done.stdout

    def _launch(self) -> None:
        # A port mapper of our own: otherwise the first node starts a shared one, which outlives all tests.
        environment = self._environment()
        self._run([_find_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"], environment)
        self._run([str(self._scripts / "rabbitmq-server")], environment)

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), _ANSWER_TIMEOUT_S) as connection:
                connection.sendall(_AMQP_HEADER)
                answer = connection.recv(1)
        except OSError:
            return False
        return answer == bytes([_METHOD_FRAME])

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not re.match("RABBITMQ_|ERL_", name)}
        return kept | {
            "HOME": str(self.folder),  # the Erlang cookie lives here
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Then the script becomes the node instead of waiting for it: signals reach the node itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _write_settings(self) -> None:
        settings = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "log.console = false",
            "log.file.level = warning",
            "disk_free_limit.absolute = 50MB",
        ]
        if self._queues_expire_after_s is not None:
            definitions = self.folder / "definitions.json"
            definitions.write_text(json.dumps(_definitions(self._queues_expire_after_s)))
            settings.append(f"load_definitions = {definitions}")
        (self.folder / "rabbitmq.conf").write_text("\n".join(settings) + "\n")
        (self.folder / "rabbitmq-env.conf").touch()
        (self.folder / "enabled_plugins").write_text("[].\n")


def find_rabbitmq() -> Path:
    """Return the folder of the RabbitMQ scripts on this machine; raises `ServerError` without one."""
    found = sorted(_INSTALLED_UNDER.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if found:
        return found[-1].parent
    raise ServerError(
        "there is no RabbitMQ here: run `make test-servers`, or name a server in SAGA_TEST_AMQP_URL"
    )


def _find_epmd() -> str:
    found = shutil.which("epmd")
    if found is None:
        raise ServerError(
            "RabbitMQ is here, but Erlang's epmd is not on the path: install the package erlang-base"
        )
    return found


def _definitions(queues_expire_after_s: int) -> dict[str, object]:
    everything = {"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return {
        # Definitions replace the defaults, so what a fresh node would have stands here too.
        "vhosts": [{"name": "/"}],
        "users": [{"name": "guest", "password": "guest", "tags": ["administrator"]}],
        "permissions": [everything],
        "policies": [
            {
                "vhost": "/",
                "name": "unused-queues-expire",
                "pattern": ".*",
                "apply-to": "queues",
                "definition": {"expires": queues_expire_after_s * 1_000},
                "priority": 0,
            }
        ],
    }
