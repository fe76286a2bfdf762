"""Each word of the language, from outside: the real command, a real broker, a real store, other participants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from tests.acceptance.conftest import Stage
from tests.acceptance.world import opened_world, step_of
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

_RETRY = {"attempts": 2, "backoff": 0.1, "jitter": 0}


def _step(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "service": "work", "action": "do", "compensation": "undo", **more}


def _saga(process_type: str, steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"process_type": process_type, "timeout": 20, "retry": _RETRY, "steps": steps, **more}


_SCRIPTED = {"script": "parameters.script"}
DEFINITIONS = (
    _saga("choosing", [
        _step("ask", after=[]),
        _step("dear", after=["ask"], when="parameters.price > `100`"),
        _step("cheap", after=["ask"], when="parameters.price <= `100`"),
        _step("merge", after=["dear", "cheap"], join="any"),
    ]),
    _saga("listing", [
        _step("legs", after=[]),
        _step("ticket", after=["legs"], for_each="parameters.legs", at_once=3),
        _step("last", after=["ticket"], input={"count": "length(results.ticket)", **_SCRIPTED}),
    ], result={"tickets": "results.ticket[].by", "count": "length(results.ticket)"}),
    _saga("approving", [
        _step("offer", after=[]),
        {"name": "approval", "signal": True, "after": ["offer"], "timeout": 20},
        _step("deliver", after=["approval"], input={"by": "results.approval.by", **_SCRIPTED}),
    ]),
    _saga("hurrying", [
        _step("offer", after=[]), {"name": "approval", "signal": True, "after": ["offer"], "timeout": 0.5},
    ]),
    _saga("child", [_step("inner")], result={"value": "parameters.value"}),
    _saga("parent", [
        _step("before", after=[]),
        {"name": "sub", "process": "child", "after": ["before"], "timeout": 20,
         "input": {"value": "parameters.value", **_SCRIPTED}},
        _step("behind", after=["sub"], input={"value": "results.sub.value", **_SCRIPTED}),
    ], result={"value": "results.sub.value"}),
    _saga("asking", [
        _step("first", after=[]),
        _step("pay", after=["first"], timeout=0.5, verify={"action": "status", "fences": True}),
    ]),
    _saga("locked", [_step("only")], locks=["parameters.account", "parameters.other"], on_locked="wait"),
    _saga("refusing", [_step("only")], locks=["parameters.account"], on_locked="refuse"),
    _saga("joining", [_step("only")], locks=["parameters.account"], on_locked="join",
          result={"by": "results.only.by"}),
    _saga("timed", [
        _step("first", timeout=1, retry={"attempts": 1}),
        {"name": "word", "signal": True, "timeout": 1},
    ], deadline=2),
    _saga("forward", [
        _step("first"), {"name": "pay", "service": "work", "action": "pay", "pivot": True},
        {"name": "tell", "service": "work", "action": "tell"},
    ]),
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(amqp_url: str, mongodb_url: str) -> AsyncIterator[Stage]:
    """Give these tests a server with definitions of their own."""
    async with opened_world(amqp_url, mongodb_url, DEFINITIONS) as world:
        yield Stage(world, await world.deployment.serve())


async def _start(
    stage: Stage, process_type: str, parameters: dict[str, Any] | None = None, **words: str
) -> str:
    body = {"process_type": process_type, "parameters": {**(parameters or {}), "script": words}}
    answer = await stage.world.post(stage.server, body)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["process_id"])


async def _post(stage: Stage, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=stage.server.url, timeout=30, trust_env=False) as client:
        return await client.post(path, json=body, headers=headers)


async def _waits_for(stage: Stage, process_id: str, kind: str) -> dict[str, Any]:
    """Wait until a process waits for something of a kind, and give what it says of it."""

    async def look() -> dict[str, Any]:
        document = await stage.world.get(stage.server, f"/process/{process_id}")
        return next((wait for wait in document["waiting_for"] if wait["kind"] == kind), {})

    return await eventually(look, within_s=30, what=f"{process_id} waits for {kind}")


async def test_a_condition_chooses_a_branch_and_a_join_goes_on_with_either(stage: Stage) -> None:
    """The branch whose condition does not hold is skipped; the join needs only the one that was taken."""
    process_id = await _start(stage, "choosing", {"price": 500})
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert [step["status"] for step in document["steps"]] == [
        "completed",
        "completed",
        "skipped",
        "completed",
    ]
    assert stage.world.participants.ledger.order(process_id, "action") == ["ask", "dear", "merge"]


async def test_one_instance_per_item_with_a_limit_on_how_many_run_at_once(stage: Stage) -> None:
    """Forty items, three at once: each has its own command, and the step's output is the list of theirs."""
    process_id = await _start(stage, "listing", {"legs": [{"to": f"x{number}"} for number in range(40)]})
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert document["result"] == {"tickets": ["ticket"] * 40, "count": 40}
    ticket = step_of(document, "ticket")
    assert ticket["items"] == {"total": 40, "completed": 40, "failed": 0, "unknown": 0}
    assert (
        len({one.command_id for one in stage.world.participants.ledger.of(process_id, step="ticket")}) == 40
    )


async def test_an_item_that_fails_for_good_undoes_the_items_that_were_done(stage: Stage) -> None:
    """Item 4 is refused: those that completed are undone, each by itself; no new one starts."""
    legs = [{"to": f"x{number}"} for number in range(40)]
    process_id = await _start(stage, "listing", {"legs": legs}, **{"ticket[4]": "refuse"})
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    ledger = stage.world.participants.ledger
    tried = {one.idempotency_key for one in ledger.of(process_id, step="ticket", kind="action")}
    undone = ledger.of(process_id, step="ticket", kind="compensation")
    assert len(tried) < 12
    assert len({one.command_id for one in undone}) == len(tried) - 1
    assert ledger.order(process_id, "compensation") == ["ticket", "legs"]
    assert step_of(document, "ticket")["status"] == "failed"
    assert step_of(document, "ticket")["items"]["failed"] == 1


async def test_a_person_gives_a_signal_over_http(stage: Stage) -> None:
    """The step waits, somebody posts the answer, and the next step sees it."""
    process_id = await _start(stage, "approving")
    wait = await _waits_for(stage, process_id, "signal")
    document = await stage.world.get(stage.server, f"/process/{process_id}")
    assert step_of(document, "approval")["status"] == "waiting"
    assert step_of(document, "approval")["service"] == "signal"
    answer = await _post(stage, f"/step/{wait['command_id']}/completed", {"output": {"by": "ada"}})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert step_of(document, "approval")["output"] == {"by": "ada"}


async def test_a_signal_that_is_refused_or_never_given_turns_back(stage: Stage) -> None:
    """Either way what was done before it is undone."""
    process_id = await _start(stage, "approving")
    wait = await _waits_for(stage, process_id, "signal")
    body = {"error": {"code": "declined", "retryable": False}}
    assert (await _post(stage, f"/step/{wait['command_id']}/failed", body)).status_code == 202
    assert step_of(await stage.world.becomes(stage.server, process_id, "compensated"), "offer")[
        "compensation"
    ]
    process_id = await _start(stage, "hurrying")
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    assert step_of(document, "approval")["status"] == "failed"


async def test_a_command_that_was_never_sent_can_t_be_answered(stage: Stage) -> None:
    """404, for an id of the right form and for nonsense."""
    process_id = await _start(stage, "approving")
    for command_id in (f"{process_id}.deliver.a1", f"{process_id}.approval.a7", "nonsense", "a.b.c1"):
        answer = await _post(stage, f"/step/{command_id}/completed", {"output": None})
        assert answer.status_code == httpx.codes.NOT_FOUND
    assert (await _post(stage, f"/process/{process_id}/cancel", {"reason": "clean up"})).status_code == 202
    await stage.world.becomes(stage.server, process_id, "compensated")


async def test_a_process_carries_out_a_step_and_gives_its_result(stage: Stage) -> None:
    """The child's result is the step's output."""
    process_id = await _start(stage, "parent", {"value": 7})
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert document["result"] == {"value": 7}
    assert step_of(document, "sub")["service"] == "process:child"


async def test_a_completed_child_is_undone_with_its_parent(stage: Stage) -> None:
    """The step behind it is refused: the child, which had completed, is compensated, then what was before it."""
    process_id = await _start(stage, "parent", {"value": 7}, behind="refuse")
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    assert step_of(document, "sub")["compensation"]["status"] == "compensated"
    children = await stage.world.get(stage.server, "/process?process_type=child&status=compensated")
    assert children
    child = stage.world.participants.ledger.of(children[0]["process_id"], step="inner", kind="compensation")
    assert len({one.command_id for one in child}) == 1


async def test_a_child_that_fails_fails_its_step(stage: Stage) -> None:
    """The child undoes itself and says so; the parent turns back."""
    process_id = await _start(stage, "parent", {"value": 7}, inner="refuse")
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    assert step_of(document, "sub")["error"]["code"] == "process_compensated"


async def test_a_question_saves_an_attempt_whose_answer_was_lost(stage: Stage) -> None:
    """The effect is there: the participant says so, and the process goes on without another attempt."""
    process_id = await _start(stage, "asking", pay="silent")
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert step_of(document, "pay")["attempt"] == 1
    assert step_of(document, "pay")["output"]["by"] == "pay"


async def test_a_question_about_a_command_that_was_lost_allows_another_attempt(stage: Stage) -> None:
    """There is no effect, and never will be: the second attempt brings it about."""
    process_id = await _start(stage, "asking", pay="lost:1")
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert step_of(document, "pay")["attempt"] == 2


async def test_a_second_process_on_the_same_key_waits_until_the_first_has_ended(stage: Stage) -> None:
    """Two keys in opposite order in two processes: no deadlock, and never both at once."""
    first = await _start(stage, "locked", {"account": "A", "other": "B"}, only="slow:1")
    await _waits_for(stage, first, "reply")
    second = await _start(stage, "locked", {"account": "B", "other": "A"})
    wait = await _waits_for(stage, second, "lock")
    assert "held by process" in wait["reason"]
    await stage.world.becomes(stage.server, first, "completed")
    await stage.world.becomes(stage.server, second, "completed")
    ends = {name: await stage.events(name) for name in (first, second)}
    started = next(one for one in ends[second] if one["type"] == "step_started")
    assert started["at"] >= ends[first][-1]["at"]


async def test_many_processes_on_two_keys_all_end(stage: Stage) -> None:
    """Twenty at once, half of them with the keys the other way round."""
    pairs = [("C", "D") if number % 2 else ("D", "C") for number in range(20)]
    started = await asyncio.gather(
        *(_start(stage, "locked", {"account": one, "other": other}) for one, other in pairs)
    )
    for process_id in started:
        await stage.world.becomes(stage.server, process_id, "completed")


async def test_a_taken_key_refuses_or_joins_as_the_definition_says(stage: Stage) -> None:
    """The one that refuses ends compensated; the one that joins ends as the holder does, with its result."""
    holder = await _start(stage, "joining", {"account": "E"}, only="slow:1")
    await _waits_for(stage, holder, "reply")
    joiner = await _start(stage, "joining", {"account": "E"})
    refused = await _start(stage, "refusing", {"account": "E"})
    document = await stage.world.becomes(stage.server, refused, "compensated")
    assert document["reason"] == "locked"
    await stage.world.becomes(stage.server, holder, "completed")
    document = await stage.world.becomes(stage.server, joiner, "completed")
    assert document["result"] == {"by": "only"}
    assert stage.world.participants.ledger.of(joiner) == []


async def test_the_deadline_turns_a_process_back(stage: Stage) -> None:
    """The signal is never given; at the deadline at the latest what was done is undone."""
    process_id = await _start(stage, "timed")
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    assert step_of(document, "first")["compensation"]["status"] == "compensated"


async def test_cancel_undoes_what_was_done_and_later_is_refused(stage: Stage) -> None:
    """202 with the process; the log names who asked and why; an ended process can't be cancelled."""
    process_id = await _start(stage, "approving")
    await _waits_for(stage, process_id, "signal")
    answer = await _post(stage, f"/process/{process_id}/cancel", {"reason": "not wanted any more"})
    assert answer.status_code == httpx.codes.ACCEPTED
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    assert step_of(document, "approval")["status"] == "skipped"
    asked = next(one for one in await stage.events(process_id) if one["type"] == "operator_cancel")
    assert asked["data"]["reason"] == "not wanted any more"
    assert asked["actor"] == "anybody"
    answer = await _post(stage, f"/process/{process_id}/cancel", {"reason": "again"})
    assert answer.status_code == httpx.codes.CONFLICT
    assert answer.json()["status"] == 409
    assert answer.json()["process_status"] == "compensated"


async def test_pause_holds_and_resume_goes_on(stage: Stage) -> None:
    """What is in flight is taken, but nothing new is sent until somebody resumes it."""
    process_id = await _start(stage, "approving")
    wait = await _waits_for(stage, process_id, "signal")
    assert (await _post(stage, f"/process/{process_id}/pause", {"reason": "look at it"})).status_code == 202
    await stage.world.becomes(stage.server, process_id, "paused")
    await _post(stage, f"/step/{wait['command_id']}/completed", {"output": {"by": "bob"}})

    async def is_taken() -> bool:
        document = await stage.world.get(stage.server, f"/process/{process_id}")
        return bool(step_of(document, "approval")["status"] == "completed")

    await eventually(is_taken, within_s=30, what="the signal is recorded")
    assert stage.world.participants.ledger.of(process_id, step="deliver") == []
    assert (await _post(stage, f"/process/{process_id}/resume", {"reason": "go on"})).status_code == 202
    await stage.world.becomes(stage.server, process_id, "completed")


async def test_a_stuck_step_behind_the_pivot_is_retried_skipped_or_given_up(stage: Stage) -> None:
    """The three ways out of a suspension, each by a person's word."""
    for action, body, end in (
        ("retry", {}, "completed"),
        ("skip", {"output": {"told": "by phone"}}, "completed"),
        ("fail", {}, "failed"),
    ):
        process_id = await _start(stage, "forward", tell="fail:2")
        document = await stage.world.becomes(stage.server, process_id, "suspended")
        assert action in document["allowed_actions"]
        assert [wait["kind"] for wait in document["waiting_for"]] == ["operator"]
        answer = await _post(stage, f"/process/{process_id}/{action}", {"reason": "a person decided", **body})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        await stage.world.becomes(stage.server, process_id, end)


async def test_a_type_is_paused_and_resumed(stage: Stage) -> None:
    """Processes under way are paused, new ones wait from their start, and all go on again."""
    running = await _start(stage, "hurrying")
    assert (await _post(stage, "/process-type/choosing/pause", {"reason": "maintenance"})).status_code == 202
    process_id = await _start(stage, "choosing", {"price": 1})
    await stage.world.becomes(stage.server, process_id, "paused")
    assert (await _post(stage, "/process-type/choosing/resume", {"reason": "done"})).status_code == 202
    await stage.world.becomes(stage.server, process_id, "completed")
    await stage.world.becomes(stage.server, running, "compensated")


async def test_an_action_on_all_that_match_counts_first(stage: Stage) -> None:
    """A dry run changes nothing; an empty filter is refused; the real one cancels them all."""
    started = [await _start(stage, "approving") for _ in range(3)]
    for process_id in started:
        await _waits_for(stage, process_id, "signal")
    chosen = {"process_type": "approving", "status": ["started"]}
    body = {"action": "cancel", "reason": "clean up", "filter": chosen, "dry_run": True}
    assert (await _post(stage, "/process/bulk", body)).json() == {"matching": 3, "requested": 0}
    answer = await _post(stage, "/process/bulk", {**body, "filter": {}})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert (await _post(stage, "/process/bulk", {**body, "dry_run": False})).json()["requested"] == 3
    for process_id in started:
        await stage.world.becomes(stage.server, process_id, "compensated")


async def test_control_over_the_broker(stage: Stage) -> None:
    """A plain JSON message with a process id and a reason is enough."""
    process_id = await _start(stage, "approving")
    await _waits_for(stage, process_id, "signal")
    body = f'{{"process_id": "{process_id}", "reason": "over the broker"}}'.encode()
    await stage.world.broker.publish("process.cancel", body)
    await stage.world.becomes(stage.server, process_id, "compensated")
