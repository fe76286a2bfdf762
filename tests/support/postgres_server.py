"""A private PostgreSQL; its own user, who may not be root, where the tests run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.owned_process import OwnedServer, ServerError, free_port

_USER = "postgres"


class PostgresServer(OwnedServer):
    """A server on loopback with one database, and with nothing on disk that outlives the tests."""

    name = "postgres"

    def __init__(self) -> None:
        """Choose a port."""
        super().__init__()
        self.port = free_port()
        self._binaries = find_postgres()
        self._prefix: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    @property
    def url(self) -> str:
        """The address for SQLAlchemy's asynchronous engine."""
        return f"postgresql+asyncpg://{_USER}@127.0.0.1:{self.port}/postgres"

    def _launch(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            made = subprocess.run(
                [*self._prefix, str(self._binaries / "initdb"), "--no-sync", "--auth=trust", "--encoding=UTF8",
                 f"--username={_USER}", f"--pgdata={data}"],
                capture_output=True, text=True, check=False, cwd=self.folder,
            )  # fmt: skip
            if made.returncode != 0:
                raise ServerError(f"initdb failed: {made.stderr.strip()}")
        options = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "fsync=off")
        settings = [part for option in options for part in ("-c", option)]
        postgres = str(self._binaries / "postgres")
        self._run([*self._prefix, postgres, "-D", str(data), "-p", str(self.port), *settings])

    def _is_ready(self) -> bool:
        asked = subprocess.run(
            [str(self._binaries / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"],
            check=False,
        )
        if asked.returncode != 0:
            return False
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True


def find_postgres() -> Path:
    """Return the folder with the server's programs: Debian's, else the one on the path; raises `ServerError`."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda file: file.parts[-3])
    if versions:
        return versions[-1].parent
    on_path = shutil.which("postgres")
    if on_path is not None:
        return Path(on_path).resolve().parent
    raise ServerError("there is no PostgreSQL here: run `make test-servers` (Debian's package postgresql)")
