"""What the log answers: how a process stood, what changed between, and whether its projection is right."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from api import problems as kinds
from api.auth import MayOperate, MayRead
from api.context import Stopping, TheServices, promptly, refusals
from api.problems import Problem
from api.query import PROCESS_ID, ProcessId, bad_query, number
from api.responses import JsonAnswer
from api.routes.events import SEQUENCE_MAX
from api.schemas.process import ProcessDocument
from api.schemas.replay import PatchOperation, ReplayAnswer, ReplayReport
from saga.messages.json_text import Json

router = APIRouter(tags=["replay"])

# One answer takes so long at most; the next request goes on from there.
SECONDS_MAX = 5.0
REPORTS_MAX = 100


@router.get(
    "/process/{process_id}/state",
    operation_id="read_state",
    summary="Read a process as it stood after one of its events",
    response_model=ProcessDocument,
    responses=refusals(kinds.NOT_FOUND, kinds.UNREADABLE_LOG),
)
async def read_state(
    process_id: ProcessId,
    _: MayRead,
    services: TheServices,
    at: Annotated[str | None, Query(description="The number of the event; the last one if left out.")] = None,
) -> JsonAnswer:
    """Give the process in the shape of GET /process/{id}, from its log alone."""
    wanted = None if at is None else number("at", at, default=1, least=1, most=SEQUENCE_MAX)
    async with promptly():
        document = await services.past.state(process_id, wanted)
    if document is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return JsonAnswer(document)


@router.get(
    "/process/{process_id}/diff",
    operation_id="read_difference",
    summary="What changed between two events?",
    response_model=list[PatchOperation],
    responses=refusals(kinds.NOT_FOUND, kinds.UNREADABLE_LOG),
)
async def read_difference(
    process_id: ProcessId,
    _: MayRead,
    services: TheServices,
    first: Annotated[str | None, Query(alias="from", description="The number of an event.")] = None,
    second: Annotated[str | None, Query(alias="to", description="The number of another.")] = None,
) -> JsonAnswer:
    """Give the JSON Patch (RFC 6902) that makes the one state the other."""
    if first is None or second is None:
        raise bad_query("from" if first is None else "to", "is missing")
    before = number("from", first, default=1, least=1, most=SEQUENCE_MAX)
    after = number("to", second, default=1, least=1, most=SEQUENCE_MAX)
    async with promptly():
        patch = await services.past.difference(process_id, before, after)
    if patch is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return JsonAnswer(list[Json](patch))


@router.post(
    "/process/{process_id}/replay",
    operation_id="replay_process",
    summary="Compare a process's projection with its log",
    response_model=ReplayReport,
    responses=refusals(kinds.NOT_FOUND),
)
async def replay_process(process_id: ProcessId, _: MayOperate, services: TheServices) -> JsonAnswer:
    """Fold the log and say what differs; nothing is sent, and nothing is changed."""
    async with promptly():
        report = await services.replay.one(process_id)
    if report is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return JsonAnswer(report.document())


@router.post(
    "/replay",
    operation_id="replay_processes",
    summary="Compare all projections with the log",
    response_model=ReplayAnswer,
    responses=refusals(),
)
async def replay_processes(
    _: MayOperate,
    services: TheServices,
    stopping: Stopping,
    after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
) -> JsonAnswer:
    """Replay as many as fit into five seconds, and report those that differ; `next` says where to go on."""
    if after is not None and not PROCESS_ID.fullmatch(after):
        raise bad_query("after", "must be the `next` of an earlier answer")
    ends_at = asyncio.get_running_loop().time() + SECONDS_MAX
    processes = events = 0
    reports: list[Json] = []
    following = None
    async for report in services.replay.every(after=after or ""):
        processes += 1
        events += report.events
        if not report.is_well:
            reports.append(report.document())
        is_late = asyncio.get_running_loop().time() > ends_at
        if is_late or len(reports) >= REPORTS_MAX or stopping.is_set():
            following = report.process_id
            break
    return JsonAnswer({"processes": processes, "events": events, "reports": reports, "next": following})
