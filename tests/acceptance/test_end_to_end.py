"""The contract from outside: the real command, a real broker, a real store, participants of another make.

The tests share one server; the last one lets the judge look at all that they left behind.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.acceptance.definitions import EXAMPLE
from tests.acceptance.world import step_of
from tests.support.scripted_participant import NOTHING
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import Stage

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_the_example_is_answered_as_the_contract_says_and_completes(stage: Stage) -> None:
    """Four keys, 202, a Location that can be read at once, and then all steps in their order."""
    answer = await stage.world.post(stage.server, EXAMPLE)
    assert answer.status_code == httpx.codes.ACCEPTED
    body = answer.json()
    assert set(body) == {"process_id", "status", "estimated_completion", "steps"}
    assert body["status"] == "started"
    assert datetime.fromisoformat(body["estimated_completion"]).tzinfo
    assert body["estimated_completion"].endswith("Z")
    assert body["steps"] == [
        {"service": service, "status": "pending"} for service in ("ingestion", "analysis", "indexing")
    ]
    process_id = body["process_id"]
    assert answer.headers["location"] == f"/process/{process_id}"
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert [step["status"] for step in document["steps"]] == ["completed"] * 3
    assert document["parameters"] == EXAMPLE["parameters"]
    ledger = stage.world.participants.ledger
    assert ledger.order(process_id, "action") == ["ingestion", "analysis", "indexing"]


async def test_a_refusal_is_undone_in_reverse_dependency_order(stage: Stage) -> None:
    """The diamond comes back the other way round; what has nothing to undo is left alone."""
    process_id = await stage.start("diamond", end="refuse")
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    order = stage.world.participants.ledger.order(process_id, "compensation")
    assert order[0] == "bottom"
    assert set(order[1:3]) == {"left", "right"}
    assert order[3:] == ["top"]
    assert step_of(document, "end")["error"]["code"] == "refused"
    assert step_of(document, "aside")["compensation"] is None
    assert step_of(document, "top")["compensation"]["status"] == "compensated"


async def test_a_step_is_tried_again_with_growing_pauses(stage: Stage) -> None:
    """Two failures, then success: three attempts under one key, each later than the backoff says."""
    process_id = await stage.start("document_analysis", analysis="fail:2")
    document = await stage.world.becomes(stage.server, process_id, "completed")
    tries = stage.world.participants.ledger.of(process_id, step="analysis")
    assert [one.attempt for one in tries] == [1, 2, 3]
    assert len({one.idempotency_key for one in tries}) == 1
    assert tries[1].at_s - tries[0].at_s >= 0.1 * 0.9
    assert tries[2].at_s - tries[1].at_s >= 0.2 * 0.9
    assert step_of(document, "analysis")["attempt"] == 3


async def test_a_step_that_never_answers_is_unknown_and_undone(stage: Stage) -> None:
    """It may have happened: its undo is sent, with no output, after which those before it are undone."""
    process_id = await stage.start("hasty", quick="silent")
    document = await stage.world.becomes(stage.server, process_id, "compensated")
    assert step_of(document, "quick")["status"] == "unknown"
    ledger = stage.world.participants.ledger
    assert ledger.order(process_id, "compensation") == ["quick", "before"]
    (undo,) = ledger.of(process_id, step="quick", kind="compensation")
    assert json.loads(undo.body)["compensates"]["output"] is None
    assert not ledger.of(process_id, step="after")


async def test_progress_keeps_a_step_from_being_given_up(stage: Stage) -> None:
    """Three seconds of work under a time-out of one: who says that he is at work is waited for."""
    process_id = await stage.start("hasty", quick="progress:3")
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert step_of(document, "quick")["attempt"] == 1


async def test_independent_steps_run_at_the_same_time(stage: Stage) -> None:
    """Three steps that each take a while are all under way before the first has ended."""
    process_id = await stage.start("trip", hotel="slow:1", car="slow:1", flight="slow:1")
    await stage.world.becomes(stage.server, process_id, "completed")
    events = await stage.events(process_id)
    types = [event["type"] for event in events if event["step"] in ("hotel", "car", "flight")]
    assert types[:3] == ["step_started"] * 3


async def test_a_pivot_that_refuses_turns_the_process_back(stage: Stage) -> None:
    """All three bookings are undone, in whatever order, and nothing behind the pivot was sent."""
    process_id = await stage.start("trip", payment="refuse")
    await stage.world.becomes(stage.server, process_id, "compensated")
    ledger = stage.world.participants.ledger
    assert set(ledger.order(process_id, "compensation")) == {"hotel", "car", "flight"}
    assert not ledger.of(process_id, step="ticket")


async def test_a_pivot_that_stays_unknown_suspends_and_never_turns_back(stage: Stage) -> None:
    """Nobody knows whether it was paid: a person is asked, nothing is undone."""
    process_id = await stage.start("hasty_pivot", pay="silent")
    document = await stage.world.becomes(stage.server, process_id, "suspended")
    assert document["attention"] is True
    assert document["reason"]
    assert any(wait["kind"] == "operator" for wait in document["waiting_for"])
    assert not stage.world.participants.ledger.of(process_id, kind="compensation")


async def test_what_comes_late_for_an_unknown_pivot_settles_it(stage: Stage) -> None:
    """The suspended process goes on by itself once the pivot's answer is there."""
    process_id = await stage.start("hasty_pivot", pay="silent")
    await stage.world.becomes(stage.server, process_id, "suspended")
    (pay,) = stage.world.participants.ledger.of(process_id, step="pay")
    await stage.world.participants.reply(
        "completed", {"command_id": pay.command_id, "output": {"paid": True}}
    )
    await stage.world.becomes(stage.server, process_id, "completed")


async def test_a_compensation_that_spends_its_attempts_suspends(stage: Stage) -> None:
    """Four attempts of the undo, then a person: what comes before it is not undone meanwhile."""
    process_id = await stage.start("hasty", after="refuse", undo_quick="fail:99")
    document = await stage.world.becomes(stage.server, process_id, "suspended")
    ledger = stage.world.participants.ledger
    undos = ledger.of(process_id, step="quick", kind="compensation")
    assert [one.attempt for one in undos] == [1, 2, 3, 4]
    assert not ledger.of(process_id, step="before", kind="compensation")
    assert step_of(document, "quick")["compensation"]["status"] == "failed"


async def test_a_late_completion_reopens_a_compensated_process(stage: Stage) -> None:
    """The undo had found nothing to undo; then it happened after all: the undo is sent again."""
    process_id = await stage.start("hasty", quick="slow:4")
    await stage.world.becomes(stage.server, process_id, "compensated")
    ledger = stage.world.participants.ledger
    assert [one.attempt for one in ledger.of(process_id, step="quick", kind="compensation")] == [1]
    await eventually(
        lambda: len(ledger.of(process_id, step="quick", kind="compensation")) == 2,
        within_s=60,
        what="the second undo",
    )
    await stage.world.becomes(stage.server, process_id, "compensated")
    undo = ledger.of(process_id, step="quick", kind="compensation")[-1]
    assert json.loads(undo.body)["compensates"]["output"] != NOTHING
    types = [event["type"] for event in await stage.events(process_id)]
    assert types.count("turned_back") == 2


@pytest.mark.parametrize("words", ["twice", "contradict"])
async def test_an_answer_more_changes_nothing(stage: Stage, words: str) -> None:
    """A second answer, also one that says the opposite, is recorded at most, never obeyed."""
    process_id = await stage.start("document_analysis", analysis=words)
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert len(stage.world.participants.ledger.of(process_id)) == 3
    assert step_of(document, "analysis")["status"] == "completed"


async def test_answers_that_all_come_twice_do_not_echo(stage: Stage) -> None:
    """A repeated answer publishes no command again that is known to be out: copies would breed copies."""
    steps = ("top", "left", "right", "bottom", "aside", "end")
    process_id = await stage.start("diamond", **dict.fromkeys(steps, "twice"))
    await stage.world.becomes(stage.server, process_id, "completed")
    arrivals = stage.world.participants.ledger.of(process_id)
    assert sorted(one.step for one in arrivals) == sorted(steps)


async def test_the_judge_finds_no_broken_promise(stage: Stage) -> None:
    """After all the tests above: logs, projections, ledgers and queues agree."""
    await stage.world.all_settle()
    assert stage.world.expected
    await stage.world.judge()
