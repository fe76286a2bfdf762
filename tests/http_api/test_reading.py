"""GET: one process in all its states, pages of many, the log and its stream."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from api.schemas.process import Counts, EventEntry, ProcessDocument, ProcessSummary
from api.schemas.process_type import ProcessTypeDocument, ProcessTypeSummary
from saga.messages.json_text import JsonText
from saga.process.events import (
    AttemptCompleted,
    AttemptFailed,
    AttemptStarted,
    Compensated,
    CompensationPlanned,
    Completed,
    RetryScheduled,
    Started,
    TurnedBack,
)
from saga.process.status import Direction, EffortStatus
from tests.http_api.service import BODY, initial, running_service

if TYPE_CHECKING:
    from pathlib import Path

    from saga.process.events import Event
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

DUE_AT = 1_800_000_000_000
_ERROR = JsonText('{"code":"broken","message":"no"}')
_STEPS = ("ingestion", "analysis", "indexing")


def _done(step: str, direction: Direction = Direction.ACTION) -> list[Event]:
    return [
        AttemptStarted(direction, step, 1, DUE_AT),
        AttemptCompleted(direction, step, 1, JsonText('{"of":"' + step + '"}')),
    ]


def _ended() -> list[Event]:
    return [Started(), *(event for step in _STEPS for event in _done(step)), Completed()]


async def _read(service: Service, path: str) -> Any:
    answer = await service.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_running_process_tells_what_it_waits_for(service: Service) -> None:
    """A running step waits for a reply, of a service that nobody carries out; one in backoff for a timer."""
    process_id = await service.start()
    await service.play(process_id, Started(), AttemptStarted(Direction.ACTION, "ingestion", 1, DUE_AT))
    document = await _read(service, f"/process/{process_id}")
    ProcessDocument.model_validate(document)
    wait, unserved = document["waiting_for"]
    assert (wait["kind"], wait["step"]) == ("reply", "ingestion")
    assert (unserved["kind"], unserved["step"]) == ("service", "ingestion")
    assert document["attention"] is True
    assert wait["command_id"] == f"{process_id}.ingestion.a1" == document["steps"][0]["command_id"]
    assert wait["until"] == "2027-01-15T08:00:00.000Z"
    await service.play(
        process_id,
        AttemptFailed(Direction.ACTION, "ingestion", 1, EffortStatus.RETRYING, _ERROR),
        RetryScheduled(Direction.ACTION, "ingestion", 2, DUE_AT),
    )
    document = await _read(service, f"/process/{process_id}")
    assert [(wait["kind"], wait["until"]) for wait in document["waiting_for"]] == [
        ("timer", "2027-01-15T08:00:00.000Z")
    ]
    assert document["steps"][0]["status"] == "retrying"
    assert document["steps"][0]["next_attempt_at"] == "2027-01-15T08:00:00.000Z"
    assert document["steps"][0]["error"] == {"code": "broken", "message": "no"}


async def test_an_undone_process_reads_in_the_words_of_the_contract(service: Service) -> None:
    """The step that failed, the step that was undone, and those that never ran are told apart."""
    process_id = await service.start()
    await service.play(
        process_id,
        Started(),
        *_done("ingestion"),
        AttemptStarted(Direction.ACTION, "analysis", 1, DUE_AT),
        AttemptFailed(Direction.ACTION, "analysis", 1, EffortStatus.FAILED, _ERROR),
        TurnedBack("step_failed", "analysis", ()),
        CompensationPlanned(("ingestion",)),
        *_done("ingestion", Direction.COMPENSATION),
        Compensated(),
    )
    document = await _read(service, f"/process/{process_id}")
    ProcessDocument.model_validate(document)
    assert document["status"] == "compensated"
    assert document["reason"] == "step_failed"
    assert [step["status"] for step in document["steps"]] == ["completed", "failed", "pending"]
    undo = document["steps"][0]["compensation"]
    assert (undo["action"], undo["status"], undo["attempt"]) == ("discard", "compensated", 1)
    assert document["steps"][2]["compensation"] is None
    assert document["waiting_for"] == []
    assert document["estimated_completion"] == document["ended_at"] is not None


async def test_the_version_is_the_entity_tag(service: Service) -> None:
    """If-None-Match with the version at hand is answered with 304 and no body."""
    process_id = await service.start()
    answer = await service.http.get(f"/process/{process_id}")
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    again = await service.http.get(
        f"/process/{process_id}", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_a_long_poll_ends_with_the_next_change(service: Service) -> None:
    """With a wait the answer comes as soon as there is another version, or 304 at the end of the wait."""
    process_id = await service.start()
    headers = {"if-none-match": '"1"', "prefer": "wait=20"}
    waiting = asyncio.create_task(service.http.get(f"/process/{process_id}", headers=headers))
    await service.play(process_id, Started())
    answer = await waiting
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    short = {"if-none-match": '"2"', "prefer": "wait=0"}
    assert (await service.http.get(f"/process/{process_id}", headers=short)).status_code == 304


async def test_the_log_is_read_in_order_from_any_number(service: Service) -> None:
    """Also from the middle of a transition; payloads are JSON, times are RFC 3339."""
    process_id = await service.start()
    await service.play(process_id, *_ended())
    entries = await _read(service, f"/process/{process_id}/events")
    for entry in entries:
        EventEntry.model_validate(entry)
    assert [entry["sequence"] for entry in entries] == list(range(1, 10))
    assert entries[0]["data"]["parameters"] == BODY["parameters"]
    assert entries[2]["data"]["due_at"] == "2027-01-15T08:00:00.000Z"
    assert (entries[3]["type"], entries[3]["step"], entries[3]["attempt"]) == (
        "step_completed",
        "ingestion",
        1,
    )
    assert await _read(service, f"/process/{process_id}/events?after=6") == entries[6:]
    assert await _read(service, f"/process/{process_id}/events?after=99") == []


async def test_the_log_is_exported_one_entry_a_line(service: Service) -> None:
    """`Accept: application/x-ndjson` gives the same entries, one a line."""
    process_id = await service.start()
    await service.play(process_id, *_ended())
    answer = await service.http.get(
        f"/process/{process_id}/events", headers={"accept": "application/x-ndjson"}
    )
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == await _read(service, f"/process/{process_id}/events")


async def test_the_stream_follows_until_the_end_and_resumes(service: Service) -> None:
    """Entries come as they are appended, `event: end` closes the stream, Last-Event-ID goes on behind it."""
    process_id = await service.start()
    seen = asyncio.create_task(_stream(service, process_id))
    await service.play(process_id, Started())
    await service.play(process_id, *_ended()[1:])
    blocks = await seen
    assert [block["id"] for block in blocks[:-1]] == [str(number) for number in range(1, 10)]
    entries = await _read(service, f"/process/{process_id}/events")
    assert [json.loads(block["data"]) for block in blocks[:-1]] == entries
    assert blocks[-1]["event"] == "end"
    assert json.loads(blocks[-1]["data"]) == {"process_id": process_id, "status": "completed"}
    resumed = await _stream(service, process_id, **{"last-event-id": "7"})
    assert [block.get("id") for block in resumed] == ["8", "9", None]


async def test_streams_of_nothing_and_from_nowhere_are_refused(service: Service) -> None:
    """An unknown process is 404 before the stream begins, a Last-Event-ID that is no number is 400."""
    assert (await service.http.get("/process/nobody/events/stream")).status_code == 404
    assert (await service.http.get("/process/nobody/events")).status_code == 404
    process_id = await service.start()
    answer = await service.http.get(
        f"/process/{process_id}/events/stream", headers={"last-event-id": "first"}
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-header")


async def test_pages_lead_to_each_other_and_lose_nothing(service: Service) -> None:
    """Following `next` from page to page gives every process once, the newest first."""
    started = [await service.start({**BODY, "labels": {"run": "pages"}}) for _ in range(7)]
    path: str | None = "/process?label=run:pages&limit=3"
    found, sizes = [], []
    while path is not None:
        answer = await service.http.get(path)
        page = answer.json()
        for summary in page:
            ProcessSummary.model_validate(summary)
        found += [summary["process_id"] for summary in page]
        sizes.append(len(page))
        path = answer.links.get("next", {}).get("url")
    assert found == list(reversed(started))
    assert sizes == [3, 3, 1]


async def test_a_cursor_of_other_filters_is_refused(service: Service) -> None:
    """A page that goes on with other filters would leave something out in silence."""
    for _ in range(2):
        await service.start()
    answer = await service.http.get("/process?limit=1")
    following = answer.links["next"]["url"]
    assert (await service.http.get(following)).status_code == 200
    refused = await service.http.get(f"{following}&status=completed")
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/bad-query")


async def test_filters_choose(service: Service) -> None:
    """Status, type, label and time narrow the page, each alone and together."""
    ended = await service.start({**BODY, "labels": {"run": "filters"}})
    open_ = await service.start({**BODY, "labels": {"run": "filters"}})
    await service.play(ended, *_ended())

    async def ids(query: str) -> list[str]:
        page = await _read(service, f"/process?label=run:filters&{query}")
        return [summary["process_id"] for summary in page]

    assert await ids("status=completed") == [ended]
    assert await ids("status=started,compensating") == [open_]
    assert await ids("status=started&status=completed") == [open_, ended]
    assert await ids("process_type=nothing") == []
    assert await ids("attention=true") == []
    assert await ids("started_after=2001-01-01T00:00:00Z") == [open_, ended]
    assert await ids("started_before=2001-01-01T00:00:00%2B00:00") == []


async def test_counts_add_up(tmp_path: Path) -> None:
    """Processes are counted by status and by type."""
    async with running_service(tmp_path) as own:
        await own.play(await own.start(), *_ended())
        await own.start()
        answer = await own.http.get("/process/counts")
    counts = answer.json()
    assert answer.headers["age"] == "0"
    Counts.model_validate(counts)
    assert counts == {
        "total": 2,
        "by_status": {"completed": 1, "started": 1},
        "by_type": {"document_analysis": {"completed": 1, "started": 1}},
    }


async def test_the_estimate_learns_from_what_was_seen(tmp_path: Path) -> None:
    """The medians of completed processes replace what was declared."""
    async with running_service(tmp_path) as own:
        seen = "p-seen"
        now = own.store.clock.now()
        await own.store.log.append(initial(seen, own.catalog, at=now))
        await own.play(seen, Started(), at=now)
        for step in _STEPS:
            await own.play(seen, AttemptStarted(Direction.ACTION, step, 1, DUE_AT), at=now)
            now += 3_000
            await own.play(seen, AttemptCompleted(Direction.ACTION, step, 1, JsonText("{}")), at=now)
        await own.play(seen, Completed(), at=now)
        durations = (await _read(own, "/process-type/document_analysis"))["durations"]
    assert durations == {"ingestion": 3.0, "analysis": 3.0, "indexing": 3.0}


async def test_process_types_are_described(service: Service) -> None:
    """A type tells its steps with all defaults resolved, its graph and the schema of its parameters."""
    (line,) = await _read(service, "/process-type")
    ProcessTypeSummary.model_validate(line)
    document = await _read(service, "/process-type/document_analysis")
    ProcessTypeDocument.model_validate(document)
    assert document["graph"]["edges"] == [["ingestion", "analysis"], ["analysis", "indexing"]]
    assert document["parameters"]["required"] == ["document_id"]
    assert document["versions"][0]["is_current"] is True
    assert (await service.http.get("/process-type/nothing")).status_code == 404


async def _stream(service: Service, process_id: str, **headers: str) -> list[dict[str, str]]:
    answer = await service.http.get(f"/process/{process_id}/events/stream", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
