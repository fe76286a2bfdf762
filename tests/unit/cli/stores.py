"""An embedded store with processes in it, for the commands that work on the store itself."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from adapters.embedded.folder import FILE_NAME
from adapters.embedded.store import EmbeddedStore
from api.cli import run
from saga.coordinator.projector import project
from saga.process.evolve import fold
from saga.process.timers import next_wake
from tests.unit.replay.histories import definition, known, paid

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class StoreFolder:
    """The folder of an embedded store that the settings name."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self._capsys = capsys
        for name in ("SAGA_AMQP_URL", "SAGA_MONGODB_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SAGA_DATA", str(folder))

    def has(self, *process_ids: str) -> StoreFolder:
        """Let processes that completed be there, with their projections and their definition."""

        async def fill() -> None:
            store = await EmbeddedStore.open(self.folder)
            await store.definitions.register(definition())
            for process_id in process_ids:
                for transition in paid(process_id):
                    await store.log.append(transition)
                state = fold(paid(process_id))
                assert state is not None
                await store.projections.save(project(state, next_wake(known().graph, state)))
            await store.close()

        asyncio.run(fill())
        return self

    def changes(self, statement: str, *values: object) -> None:
        """Change the file by hand."""
        with closing(sqlite3.connect(self.folder / FILE_NAME)) as connection:
            connection.execute(statement, values)
            connection.commit()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command; give its exit code, what it printed, and what it said."""
        self._capsys.readouterr()
        code = run(arguments)
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def json(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Run the command for JSON Lines, and expect its exit code."""
        found, out, err = self.run(*arguments, "--output", "jsonl")
        assert found == code, err
        return [json.loads(line) for line in out.splitlines()]
