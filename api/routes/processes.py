"""GET /process…: one process, a page of them, and how many there are."""

from collections import Counter, defaultdict
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import problems as kinds
from api.auth import MayRead
from api.context import Stopping, TheServices, promptly, refusals
from api.cursor import read_cursor, write_cursor
from api.headers import etag, knows_version, preferred_wait
from api.problems import Problem
from api.query import ProcessId, bad_query, number, point_in_time
from api.responses import JsonAnswer
from api.schemas.process import Counts, ProcessDocument, ProcessSummary
from saga.messages.json_text import Json, JsonObject
from saga.ports.projections import ProjectionFilter
from saga.process.status import ProcessStatus

router = APIRouter(tags=["processes"])

PAGE_DEFAULT = 50
PAGE_MAX = 200
STATUSES = frozenset(map(str, ProcessStatus))
_VALUES_MAX = 20
_HEADERS = [
    ("If-None-Match", "The version that is known, from ETag: answered with 304 while it is the current one."),
    ("Prefer", "`wait=N` beside If-None-Match: answer at the next change, or after N seconds, 60 at most."),
]


@router.get(
    "/process",
    operation_id="list_processes",
    summary="List processes",
    response_model=list[ProcessSummary],
    responses=refusals(),
)
async def list_processes(  # noqa: PLR0913, PLR0917 - one per filter
    request: Request,
    _: MayRead,
    services: TheServices,
    status: Annotated[list[str] | None, Query(description="One or more, also separated by commas.")] = None,
    process_type: str | None = None,
    label: Annotated[
        list[str] | None, Query(description="`key:value`; all that are given must hold.")
    ] = None,
    attention: Annotated[str | None, Query(description="`true` or `false`.")] = None,
    started_after: str | None = None,
    started_before: str | None = None,
    limit: Annotated[str | None, Query(description="1 to 200, 50 if left out.")] = None,
    cursor: Annotated[str | None, Query(description="From the `next` link of the page before.")] = None,
) -> JsonAnswer:
    """Give a page of summaries, the newest first; the header Link says where the next page is."""
    chosen = ProjectionFilter(
        statuses=_statuses(status or []),
        process_type=process_type,
        labels=_labels(label or []),
        attention=_truth("attention", attention),
        started_after=point_in_time("started_after", started_after),
        started_before=point_in_time("started_before", started_before),
    )
    size = number("limit", limit, default=PAGE_DEFAULT, least=1, most=PAGE_MAX)
    position = read_cursor(cursor, chosen)
    async with promptly():
        page, following = await services.read.page(chosen, after=position, limit=size)
    headers = {}
    if following is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        query = urlencode([*kept, ("cursor", write_cursor(following, chosen))])
        headers["link"] = f'</process?{query}>; rel="next"'
    return JsonAnswer(list[Json](page), headers=headers)


@router.get(
    "/process/counts",
    operation_id="count_processes",
    summary="Count processes",
    response_model=Counts,
    responses=refusals(),
)
async def count_processes(_: MayRead, services: TheServices) -> JsonAnswer:
    """Count the processes by status and type; the header Age says how many seconds ago they were counted."""
    async with promptly():
        counts = await services.read.counts()
    by_status: Counter[str] = Counter()
    by_type: defaultdict[str, dict[str, Json]] = defaultdict(dict)
    for (process_type, status), count in sorted(counts.by_type_and_status.items()):
        by_status[status] += count
        by_type[process_type][status] = count
    document: JsonObject = {
        "total": by_status.total(),
        "by_status": dict[str, Json](by_status),
        "by_type": dict[str, Json](by_type),
    }
    return JsonAnswer(document, headers={"age": str(int(counts.age_s))})


@router.get(
    "/process/{process_id}",
    operation_id="read_process",
    summary="Read a process",
    response_model=ProcessDocument,
    responses={
        304: {"description": "The version is still the one of If-None-Match"},
        **refusals(kinds.NOT_FOUND),
    },
    openapi_extra={
        "parameters": [
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS
        ]
    },
)
async def read_process(
    request: Request, process_id: ProcessId, _: MayRead, services: TheServices, stopping: Stopping
) -> Response:
    """Give everything that is known of a process; with `Prefer: wait=N` and `If-None-Match` a long poll."""
    wait = preferred_wait(request.headers)
    async with promptly():
        state = await services.read.get(process_id)
    headers = {}
    if state is not None and wait is not None and knows_version(request.headers, state.version):
        state = await services.read.wait_for_change(
            process_id, version=state.version, seconds=wait.seconds, stopping=stopping
        )
        headers = wait.applied
    if state is None:
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    headers["etag"] = etag(state.version)
    if knows_version(request.headers, state.version):
        return Response(status_code=304, headers=headers)
    async with promptly():
        return JsonAnswer(await services.read.document(state), headers=headers)


def _statuses(given: list[str]) -> tuple[str, ...]:
    words = tuple(word for text in given for word in text.split(","))
    if len(words) > _VALUES_MAX or not STATUSES.issuperset(words):
        raise bad_query("status", f"must be of {', '.join(sorted(STATUSES))}")
    return words


def _labels(given: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition(":") for text in given]
    if len(pairs) > _VALUES_MAX or any(not key or not colon for key, colon, _ in pairs):
        raise bad_query("label", "must be key:value")
    return tuple((key, value) for key, _, value in pairs)


def _truth(name: str, text: str | None) -> bool | None:
    match text:
        case None:
            return None
        case "true":
            return True
        case "false":
            return False
        case _:
            raise bad_query(name, "must be true or false")
