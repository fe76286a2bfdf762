"""A private mongod: a replica set of one member, as the product wants it, or a standalone server."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure

from tests.support.owned_process import OwnedServer, ServerError, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_TIMEOUT_MS = 1_000
_ALREADY_INITIALIZED = 23
_DEFAULT_PARAMETERS = {
    "enableTestCommands": "1",  # for failCommand: errors and lost replies on demand
    "diagnosticDataCollectionEnabled": "false",  # it writes every second and nobody reads it here
}


class MongoServer(OwnedServer):
    """A mongod that obeys `failCommand` too; it counts as started when it is primary (of a set of one)."""

    name = "mongod"

    def __init__(
        self, *, replica_set: str | None = "rs0", parameters: Mapping[str, str] | None = None
    ) -> None:
        """Choose a port; `parameters` are further `--setParameter` of mongod."""
        super().__init__()
        self.port = free_port()
        self.replica_set = replica_set
        self._parameters = _DEFAULT_PARAMETERS | dict(parameters or {})
        self._initiated = replica_set is None
        self._binary = find_mongod()

    @property
    def url(self) -> str:
        """The connection string, with the name of the replica set."""
        query = "" if self.replica_set is None else f"?replicaSet={self.replica_set}"
        return f"mongodb://127.0.0.1:{self.port}/{query}"

    def admin(self, command: Mapping[str, object]) -> dict[str, Any]:
        """Run one command on the `admin` database and return its answer, `failCommand` for example."""
        client: MongoClient[dict[str, Any]] = MongoClient(
            "127.0.0.1",
            self.port,
            directConnection=True,
            serverSelectionTimeoutMS=_ANSWER_TIMEOUT_MS,
            timeoutMS=_ANSWER_TIMEOUT_MS,
        )
        with client:
            return client.admin.command(dict(command))

    def _launch(self) -> None:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        command = [self._binary, "--dbpath", str(data), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "1"]
        if self.replica_set is not None:
            command += ["--replSet", self.replica_set]
        for name, value in self._parameters.items():
            command += ["--setParameter", f"{name}={value}"]
        self._run(command)

    def _is_ready(self) -> bool:
        try:
            if not self._initiated:
                self._initiate()
            return bool(self.admin({"hello": 1})["isWritablePrimary"])
        except (ConnectionFailure, ExecutionTimeout):
            return False  # not there yet, or too busy to say so within its second: it is asked again

    def _initiate(self) -> None:
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        try:
            self.admin({"replSetInitiate": {"_id": self.replica_set, "members": [member]}})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
        self._initiated = True


def find_mongod() -> str:
    """Return the mongod of the dependency group `mongod`, else the one on the path; raises `ServerError`."""
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "db" / "bin" / "mongod"
        if binary.exists():
            return str(binary)
    on_path = shutil.which("mongod")
    if on_path is not None:
        return on_path
    raise ServerError(
        "there is no mongod here: run `make test-servers`, or name a server in SAGA_TEST_MONGODB_URL"
    )
