"""The way to the store without a server: which one, and how each failure ends the command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.embedded.store import EmbeddedStore
from api.cli.outcome import CommandError, Exit
from api.cli.store import exported, with_histories, with_store
from saga.replay.lines import end_line, header_line, transition_line
from tests.unit.replay.histories import booked

if TYPE_CHECKING:
    from pathlib import Path

    from api.backends import StorePorts
    from saga.replay.history import Histories


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of an embedded store with one process, which the settings name."""
    for name in ("SAGA_AMQP_URL", "SAGA_MONGODB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_DATA", str(tmp_path))

    async def fill() -> None:
        store = await EmbeddedStore.open(tmp_path)
        for transition in booked():
            await store.log.append(transition)
        await store.close()

    asyncio.run(fill())
    return tmp_path


async def _events(store: StorePorts) -> int:
    return sum(len(transition.events) for transition in await store.log.read("p1"))


async def _ids(histories: Histories) -> list[str]:
    return [history.process_id async for history in histories.every()]


def _refusal(code: Exit, words: str, *, may_write: bool = False) -> None:
    with pytest.raises(CommandError, match=words) as refused:
        with_store(_events, may_write=may_write)
    assert refused.value.code == code


def test_the_embedded_store_is_the_default() -> None:
    """To read and to write."""
    assert with_store(_events) == with_store(_events, may_write=True) == 5
    assert with_histories(None, _ids) == ["p1"]


def test_beside_a_server_the_embedded_store_is_only_read(folder: Path) -> None:
    """Whoever wants to write hears who has it."""

    async def both() -> int:
        server = await EmbeddedStore.open(folder)
        try:
            await asyncio.to_thread(
                _refusal, Exit.NOT_REACHABLE, r"another server \(process \d+\)", may_write=True
            )
            return await asyncio.to_thread(with_store, _events)
        finally:
            await server.close()

    assert asyncio.run(both()) == 5


def test_a_store_that_is_away_is_code_6(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded one, and MongoDB, which needs no broker beside it here."""
    monkeypatch.setenv("SAGA_DATA", str(folder / "nowhere"))
    _refusal(Exit.NOT_REACHABLE, "there is no embedded store")
    monkeypatch.setenv("SAGA_MONGODB_URL", "mongodb://127.0.0.1:9/?directConnection=true")
    _refusal(Exit.NOT_REACHABLE, "the store is not reachable")


def test_wrong_settings_are_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker without MongoDB, and a misspelt name."""
    monkeypatch.setenv("SAGA_AMQP_URL", "amqp://nowhere")
    _refusal(Exit.USAGE, "SAGA_MONGODB_URL is missing")
    monkeypatch.setenv("SAGA_DATTA", "x")
    _refusal(Exit.USAGE, "did you mean SAGA_DATA")


def test_an_exported_file_takes_the_place_of_the_store(tmp_path: Path) -> None:
    """It is read from the beginning each time; one that is missing is code 3, a broken one code 1."""
    file = tmp_path / "x.jsonl"
    lines = [header_line(), *map(transition_line, booked("other")), end_line(1)]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert with_histories(file, _ids) == with_histories(file, _ids) == ["other"]
    with pytest.raises(CommandError) as missing:
        exported(tmp_path / "y.jsonl")
    assert missing.value.code == Exit.NOT_FOUND
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(CommandError, match="line 1") as broken:
        with_histories(file, _ids)
    assert broken.value.code == Exit.ERROR
    file.write_bytes(b"\xff")
    with pytest.raises(CommandError, match="no text in UTF-8"):
        with_histories(file, _ids)
