"""The check over HTTP: what it sends, and what it makes of answers that no participant should give."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from adapters.http.calls import HttpCalls
from saga.calling.address import read_addresses
from saga.conformance.bench import Bench, Subject
from saga.conformance.check import check
from saga.conformance.over_http import HttpWire
from saga.conformance.wire import NotReachable
from tests.support.model_participant import ACTION, COMPENSATION, VERIFY, ModelParticipant
from tests.support.raw_http import RawRequest, answer, hang, hang_up, raw_server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from saga.messages.json_text import JsonObject
    from tests.support.raw_http import RawServer, Respond

_SUBJECT = Subject("checked", ACTION, COMPENSATION, VERIFY, is_fencing=True)


def over_http(participant: ModelParticipant) -> Respond:
    """Serve a participant as a web service would: the status says what its answer is."""

    async def respond(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        given = await participant.answer(request.body)
        status, body = 400, {}
        if given is not None and given["word"] == "completed":
            status, body = 200, given["output"]
        elif given is not None:
            error = given["error"]
            refused = 404 if error["code"] in {"not_found", "unknown_action"} else 409
            status, body = 503 if error["retryable"] else refused, {"error": error}
        await answer(status, json.dumps(body).encode())(request, writer)

    return respond


@asynccontextmanager
async def _bench(server: RawServer, subject: Subject = _SUBJECT, within_s: float = 5) -> AsyncIterator[Bench]:
    (address,) = read_addresses(server.url.replace("//", "//user:secret@"))
    calls = HttpCalls(connections_max=8)
    try:
        yield Bench(
            HttpWire(calls, address),
            subject,
            run_id="check-1",
            now=lambda: time.time_ns() // 1_000_000,
            within_s=within_s,
        )
    finally:
        await calls.close()


def _found(document: JsonObject, verdict: str) -> dict[str, str]:
    cases: Any = document["cases"]
    return {case["case"]: case["found"] for case in cases if case["verdict"] == verdict}


async def test_a_good_service_passes() -> None:
    """Each command is posted to its action's address with its key, as the orchestrator does it."""
    async with raw_server(over_http(ModelParticipant())) as server, _bench(server) as bench:
        document = await check(bench)

    assert _found(document, "failed") == {}
    assert document["passed"] == len(document["cases"])  # type: ignore[arg-type]  # it is a list
    first = server.requests[0]
    command = json.loads(first.body)
    assert first.line.startswith("POST /reserve ")
    assert first.headers["idempotency-key"] == command["idempotency_key"]
    assert first.headers["authorization"].startswith("Basic ")
    assert first.headers["traceparent"].startswith("00-")
    assert command["process_id"] == "check-1-1"


@pytest.mark.parametrize(
    ("respond", "only", "failed"),
    [
        (answer(500), "unknown_action", {"unknown_action"}),
        (answer(302, b"", Location="/"), "success", {"success", "shape"}),
        (answer(200, b"<html>"), "success", {"success", "shape"}),
        (answer(200, b'{"a": NaN}'), "success", {"success", "shape"}),
        (hang, "success", {"success"}),
        (hang_up, "success", {"success"}),
        (answer(200), "garbage", {"garbage"}),
    ],
)
async def test_what_no_service_should_answer_is_found(respond: Respond, only: str, failed: set[str]) -> None:
    """A wrong status, a body that is no JSON, or none at all fails its case with what was seen."""
    async with raw_server(respond) as server, _bench(server, within_s=0.2) as bench:
        document = await check(bench, only=(only, "shape"))

    assert _found(document, "failed").keys() == failed
    assert all(_found(document, "failed").values())


async def test_what_is_answered_later_is_unclear() -> None:
    """A 202 is neither well nor wrong here."""
    async with raw_server(answer(202)) as server, _bench(server) as bench:
        document = await check(bench, only=("success", "undo_before_do", "in_time"))

    assert _found(document, "unclear").keys() == {"success", "undo_before_do"}
    assert document["failed"] == 0


async def test_where_nobody_listens_is_not_reachable() -> None:
    """It ends at once, and says why."""
    async with raw_server(hang) as server:
        pass
    async with _bench(server) as bench:
        with pytest.raises(NotReachable, match="is the service running"):
            await check(bench)
