"""What the log answers over HTTP: how a process stood, what changed, and whether its projection is right."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonpatch
import pytest
import pytest_asyncio

from adapters.embedded.folder import FILE_NAME
from api.routes import replay as routes
from api.schemas.process import ProcessDocument
from api.schemas.replay import PatchOperation, ReplayAnswer, ReplayReport
from saga.messages.json_text import JsonText
from saga.process.events import AttemptCompleted, AttemptStarted, Started
from saga.process.status import Direction
from tests.http_api.service import running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTION = Direction.ACTION
DUE_AT = 1_800_000_000_000


async def _played(service: Service) -> str:
    process_id = await service.start()
    await service.play(process_id, Started(), AttemptStarted(ACTION, "ingestion", 1, DUE_AT))
    await service.play(process_id, AttemptCompleted(ACTION, "ingestion", 1, JsonText('{"pages":3}')))
    return process_id


async def _read(service: Service, path: str) -> Any:
    answer = await service.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_process_is_read_as_it_stood_after_each_event(service: Service) -> None:
    """In the shape of the process now, which the last event gives; only the estimate may be another."""
    process_id = await _played(service)
    now = await _read(service, f"/process/{process_id}")
    states = [await _read(service, f"/process/{process_id}/state?at={number}") for number in (1, 2, 3, 4)]
    for state in states:
        ProcessDocument.model_validate(state)
    assert [state["version"] for state in states] == [1, 2, 3, 4]
    assert [state["steps"][0]["status"] for state in states] == ["pending", "pending", "running", "completed"]
    last = await _read(service, f"/process/{process_id}/state")
    assert last == states[-1]
    differing = {name for name in now if now[name] != last[name]}
    assert differing <= {"estimated_completion", "waiting_for", "attention"}


async def test_a_difference_is_the_patch_from_one_state_to_the_other(service: Service) -> None:
    """In both directions; between an event and itself there is none."""
    process_id = await _played(service)
    for first, second in ((2, 4), (4, 1), (3, 3)):
        patch = await _read(service, f"/process/{process_id}/diff?from={first}&to={second}")
        for operation in patch:
            PatchOperation.model_validate(operation)
        before = await _read(service, f"/process/{process_id}/state?at={first}")
        after = await _read(service, f"/process/{process_id}/state?at={second}")
        assert jsonpatch.apply_patch(before, patch) == after
        assert bool(patch) is (first != second)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/process/{id}/state?at=9", 404, "no event 9: its last is 4"),
        ("/process/{id}/state?at=0", 400, "from 1"),
        ("/process/{id}/state?at=x", 400, "whole number"),
        ("/process/{id}/diff?from=1", 400, "to is missing"),
        ("/process/{id}/diff?to=1", 400, "from is missing"),
        ("/process/{id}/diff?from=1&to=9", 404, "no event 9"),
        ("/process/nobody/state?at=1", 404, "no such process"),
        ("/process/nobody/diff?from=1&to=2", 404, "no such process"),
    ],
)
async def test_what_is_not_there_is_refused(service: Service, path: str, status: int, words: str) -> None:
    """With what there is."""
    process_id = await _played(service)
    answer = await service.http.get(path.format(id=process_id))
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def test_a_log_that_can_not_be_read_is_named_by_event_and_field(service: Service, folder: Path) -> None:
    """Also where the process is only read."""
    process_id = await _played(service)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute(
            "UPDATE events SET document = json_set(document, '$.events[1].attempt', 'one')"
            " WHERE process_id = ? AND first = 2",
            (process_id,),
        )
        connection.commit()
    answer = await service.http.get(f"/process/{process_id}/state?at=3")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "/problems/unreadable-log")
    assert (problem["sequence"], problem["field"]) == (3, "attempt")
    report = (await service.http.post(f"/process/{process_id}/replay")).json()
    assert report["outcome"] == "unreadable"
    assert (report["problem"]["sequence"], report["problem"]["field"]) == (3, "attempt")


async def test_a_replay_says_what_differs_and_changes_nothing(service: Service) -> None:
    """By process, event and field."""
    process_id = await _played(service)
    report = (await service.http.post(f"/process/{process_id}/replay")).json()
    ReplayReport.model_validate(report)
    assert (report["outcome"], report["events"], report["differences"]) == ("same", 4, [])
    right = await service.store.projections.load(process_id)
    assert right is not None
    wrong = replace(right, status="completed")
    await service.store.projections.rewrite(wrong, seen=4)
    report = (await service.http.post(f"/process/{process_id}/replay")).json()
    assert report["outcome"] == "different"
    assert report["differences"] == [
        {"sequence": 4, "field": "status", "log": "started", "found": "completed"}
    ]
    assert await service.store.projections.load(process_id) == wrong
    missing = await service.http.post("/process/nobody/replay")
    assert missing.status_code == 404


async def test_all_are_replayed_a_part_at_a_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer says where the next one begins, and reports only those that differ."""
    wrong = await _played(service)
    right = await service.store.projections.load(wrong)
    assert right is not None
    await service.store.projections.rewrite(replace(right, status="completed"), seen=4)
    whole = (await service.http.post("/replay")).json()
    ReplayAnswer.model_validate(whole)
    assert whole["next"] is None
    assert wrong in [report["process_id"] for report in whole["reports"]]
    assert whole["processes"] == await service.processes()
    monkeypatch.setattr(routes, "SECONDS_MAX", 0)
    counted = 0
    following: str | None = ""
    while following is not None:
        query = f"?after={following}" if following else ""
        part = (await service.http.post(f"/replay{query}")).json()
        counted += part["processes"]
        following = part["next"]
    assert counted == whole["processes"]
    assert (await service.http.post("/replay?after=a.b")).status_code == 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the service."""
    return tmp_path_factory.mktemp("replay")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(folder: Path) -> AsyncIterator[Service]:
    """Give a running service in this folder."""
    async with running_service(folder) as running:
        yield running
