"""The log answers, on a real broker and store: what is damaged by hand, and what moves to another store."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pymongo import AsyncMongoClient

from adapters.mongodb.store import MongoStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pymongo.asynchronous.database import AsyncDatabase

    from tests.acceptance.conftest import Stage

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]


async def _saga(stage: Stage, *words: str, database: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `saga` on the store alone: it has no address of a broker, and none of the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    deployment = stage.world.deployment
    environment = kept | {
        "SAGA_MONGODB_URL": deployment.mongodb_url,
        "SAGA_MONGODB_DATABASE": database or deployment.database,
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "saga", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def _json(stage: Stage, *words: str, code: int, database: str | None = None) -> list[dict[str, Any]]:
    done = await _saga(stage, *words, "--output", "jsonl", database=database)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@asynccontextmanager
async def _database(stage: Stage, name: str | None = None) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    deployment = stage.world.deployment
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(deployment.mongodb_url)
    try:
        yield client[name or deployment.database]
    finally:
        await client.close()


async def _completed(stage: Stage) -> str:
    process_id = await stage.start("document_analysis", analysis="fail:1")
    await stage.world.becomes(stage.server, process_id, "completed")
    return process_id


async def test_what_ran_is_replayed_and_verified_without_a_difference(stage: Stage) -> None:
    """Processes that completed after a retry, and those that were undone, while the server runs."""
    await _completed(stage)
    undone = await stage.start("diamond", end="refuse")
    await stage.world.becomes(stage.server, undone, "compensated")
    for words in (("replay", "--all"), ("verify",)):
        done = await _saga(stage, *words)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout
        assert " 0 differ" in done.stderr


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        ({"$set": {"status": "started"}}, "status"),
        ({"$set": {"version": 99}}, "version"),
        ({"$unset": {"version": ""}}, "version"),
        ({"$set": {"state": "broken"}}, "state"),
        ({"$set": {"state_format": 1}}, "state_format"),
        (None, "projection"),
    ],
)
async def test_a_damaged_projection_comes_back_right(
    stage: Stage, damage: dict[str, Any] | None, field: str
) -> None:
    """It is named by process, event and field, and the document is the same as before in the end."""
    process_id = await _completed(stage)
    async with _database(stage) as database:
        before = await database["processes"].find_one({"_id": process_id})
        assert before is not None
        if damage is None:
            await database["processes"].delete_one({"_id": process_id})
        else:
            await database["processes"].update_one({"_id": process_id}, damage)
        (report,) = await _json(stage, "replay", process_id, code=1)
        assert (report["process_id"], report["outcome"]) == (process_id, "different")
        assert [(one["sequence"], one["field"]) for one in report["differences"]] == [
            (before["version"], field)
        ]
        (repaired,) = await _json(stage, "replay", process_id, "--repair", code=0)
        assert repaired["outcome"] == "repaired"
        assert await database["processes"].find_one({"_id": process_id}) == before


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        ({"$set": {"v": 9}}, "v"),
        ({"$set": {"events.0.mood": "blue"}}, "mood"),
        ({"$unset": {"cause": ""}}, "cause"),
        (None, None),
    ],
)
async def test_a_damaged_log_is_named_by_event_and_field(
    stage: Stage, damage: dict[str, Any] | None, field: str | None
) -> None:
    """By each of the tools, and over HTTP."""
    process_id = await _completed(stage)
    async with _database(stage) as database:
        events = database["events"]
        third = await events.find({"p": process_id}).sort("_id").skip(2).limit(1).to_list()
        if damage is None:
            await events.delete_one({"_id": third[0]["_id"]})
        else:
            await events.update_one({"_id": third[0]["_id"]}, damage)
        for command in ("replay", "verify"):
            (report,) = await _json(stage, command, process_id, code=1)
            assert report["outcome"] == "unreadable"
            assert (report["problem"]["sequence"], report["problem"]["field"]) == (third[0]["n"], field)
        done = await _saga(stage, "export", process_id)
        assert done.returncode == 1
        assert process_id in done.stderr
        async with httpx.AsyncClient(base_url=stage.server.url, timeout=30, trust_env=False) as client:
            answer = await client.post(f"/process/{process_id}/replay")
        assert answer.json()["problem"]["sequence"] == third[0]["n"]
        await events.replace_one({"_id": third[0]["_id"]}, third[0], upsert=True)
    await _json(stage, "verify", process_id, code=0)


async def test_an_output_that_was_changed_in_the_log_is_told_by_verify(stage: Stage) -> None:
    """The fold alone can't know: the message that caused it says otherwise."""
    process_id = await _completed(stage)
    async with _database(stage) as database:
        events = database["events"]
        chosen = {"p": process_id, "events.type": "step_completed"}
        document = await events.find_one(chosen)
        assert document is not None
        await events.update_one({"_id": document["_id"]}, {"$set": {"events.0.output": '"forged"'}})
        (report,) = await _json(stage, "verify", process_id, code=1)
        first = report["differences"][0]
        assert first["sequence"] == document["n"]
        assert (first["fields"][0]["field"], first["fields"][0]["then"]) == ("output", '"forged"')
        await events.replace_one({"_id": document["_id"]}, document)


async def test_an_export_is_imported_into_an_empty_store(stage: Stage, tmp_path: Path) -> None:
    """All of it is there then, as it was; the file, too, answers without any store."""
    process_id = await _completed(stage)
    file = tmp_path / "all.jsonl"
    done = await _saga(stage, "export", "--to", str(file))
    assert done.returncode == 0, done.stderr
    other = f"{stage.world.deployment.database}_other"
    for expected in (" 0 same, 0 refused", "0 imported, "):
        done = await _saga(stage, "import", str(file), database=other)
        assert done.returncode == 0, done.stdout
        assert expected in done.stderr
    for words in (("replay", "--all"), ("verify",), ("verify", str(file))):
        done = await _saga(stage, *words, database=other)
        assert (done.returncode, done.stdout) == (0, "")
    again = await _saga(stage, "export", database=other)
    assert again.stdout == file.read_text(encoding="utf-8")
    (shown,) = await _json(stage, "show", str(file), "--process", process_id, code=0)
    answered = await stage.world.get(stage.server, f"/process/{process_id}/state")
    assert shown == answered
    store = await MongoStore.open(stage.world.deployment.mongodb_url, other)
    try:
        assert len(await store.definitions.current()) > 0
    finally:
        await store.close()
    async with _database(stage, other) as database:
        await database.client.drop_database(other)
