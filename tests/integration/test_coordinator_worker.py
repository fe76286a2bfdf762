"""The worker over a real file: what is parked with which reason, what waits, and that others go on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.coordinator import Coordinator
from saga.messages.start import id_for_key, id_for_message
from tests.integration.coordinator_world import ID, TWO_STEPS, Watch, World, process_ids, reply, start
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.messages.json_text import JsonObject

OTHER_ID = "0199a1b2-0000-7000-8000-000000000002"
BODY: JsonObject = {"process_type": "two_steps", "parameters": {"a": 1}}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open a store of its own for the test."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()


async def started(world: World, process_id: str) -> bool:
    """Say whether a process runs."""
    return await world.version(process_id) == 3


@pytest.mark.parametrize(
    ("routing_key", "body", "reason"),
    [
        ("process.start", "{", "malformed-json"),
        ("process.start", BODY | {"parameters": 5}, "invalid-start"),
        ("process.start", BODY | {"process_type": "unknown"}, "unknown-process-type"),
        ("process.wake", {"process_id": 5}, "invalid-wake"),
        ("process.dance", {}, "unknown-command"),
        ("step.completed", {"command_id": "nonsense"}, "unknown-command"),
        ("step.completed", {}, "invalid-reply"),
        ("step.failed", {"command_id": f"{ID}.one.a1", "error": 5}, "invalid-reply"),
    ],
)
async def test_what_can_never_be_processed_is_parked_with_its_reason(
    world: World, routing_key: str, body: str | JsonObject, reason: str
) -> None:
    """The body is kept as it came, the message is off the queue, and nothing else happens."""
    one = await world.member()
    await one.consume()

    await world.put(routing_key, body)
    await world.quiet()

    assert world.dead_letters() == [reason]
    kept = body if isinstance(body, str) else json.dumps(body)
    assert world.rows("SELECT body, routing_key FROM dead_letters") == [(kept.encode(), routing_key)]
    assert world.rows("SELECT count(*) FROM events") == [(0,)]


async def test_parameters_that_break_the_schema_are_parked(world: World) -> None:
    """With pointers and sentences, and no value."""
    one = await world.member(TWO_STEPS + "\nparameters: {required: [id], properties: {a: {type: string}}}")
    await one.consume()

    await world.put("process.start", {"process_type": "two_steps", "parameters": {"a": 7777777}})
    await world.quiet()

    ((reason, detail),) = world.rows("SELECT reason, detail FROM dead_letters")
    assert reason == "invalid-parameters"
    assert "/id is required" in str(detail)
    assert "7777777" not in str(detail)


async def test_a_start_without_any_name_starts_a_process_of_its_own(world: World) -> None:
    """At least once: two such messages are two processes."""
    one = await world.member()
    await one.consume()

    for note in ("first", "second"):
        await world.put("process.start", BODY | {"note": note})
    await world.quiet()

    two = "SELECT count(*) FROM projections WHERE version = 3"
    await eventually(lambda: world.rows(two) == [(2,)], what="two processes run")


@pytest.mark.parametrize("app_id", [None, "shop"])
async def test_a_start_by_key_is_one_process_of_its_sender(world: World, app_id: str | None) -> None:
    """The key names it, whatever the message id is."""
    one = await world.member()
    await one.consume()

    for number in range(2):
        await world.put(
            "process.start", BODY | {"idempotency_key": "k"}, app_id=app_id, message_id=f"m{number}"
        )
    await world.quiet()

    assert world.rows("SELECT process_id FROM projections") == [(id_for_key(app_id or "", "k"),)]
    assert world.dead_letters() == []


async def test_a_start_by_message_id_is_one_process(world: World) -> None:
    """A sender that publishes again after a lost confirm starts nothing twice."""
    one = await world.member()
    await one.consume()

    for note in ("first", "again"):
        await world.put("process.start", BODY | {"note": note}, app_id="shop", message_id="m")
        await world.quiet()

    assert world.rows("SELECT process_id FROM projections") == [(id_for_message("shop", "m"),)]


async def test_a_conflicting_start_is_parked(world: World) -> None:
    """The same id with another request is an error of its sender; the first process is untouched."""
    one = await world.member()
    await one.consume()

    await world.put("process.start", BODY | {"process_id": ID})
    await world.quiet()
    await world.put("process.start", BODY | {"process_id": ID, "parameters": {"a": 2}})
    await world.quiet()

    assert world.dead_letters() == ["conflicting-start"]
    assert await world.events() == ["accepted", "started", "step_started"]


async def test_a_reply_to_a_command_that_was_never_sent_is_parked(world: World) -> None:
    """The process is known, the attempt is not."""
    one = await world.member()
    await one.handle(start())
    await one.consume()

    await world.put("step.completed", {"command_id": f"{ID}.one.a7"})
    await world.put("step.completed", {"command_id": f"{ID}.nobody.a1"})
    await world.put("step.completed", {"command_id": f"{ID}.one.c1"})
    await world.quiet()

    assert world.dead_letters() == ["unknown-command"] * 3


async def test_a_reply_that_overtakes_its_process_waits_a_moment(world: World) -> None:
    """It is tried again shortly, and taken when the process is there."""
    one = await world.member()
    taken = one.worker.take(reply("completed", "one.a1"))
    waiting = asyncio.ensure_future(taken)
    await eventually(lambda: "received" in one.watch.points)
    other = await world.member()
    await other.handle(start())
    await waiting

    assert (await world.events())[-2:] == ["step_completed", "step_started"]
    assert world.dead_letters() == []


async def test_many_replies_of_unknown_processes_do_not_hold_up_others(world: World) -> None:
    """More strangers than are taken at once: some wait shortly, the rest is parked; others go on meanwhile."""
    one = await world.member()
    await one.consume()
    for process_id in process_ids(300):
        await world.put("step.completed", {"command_id": f"{process_id}.one.a1"})
    await world.put("process.start", BODY | {"process_id": ID})

    await eventually(lambda: started(world, ID), within_s=1.5)
    await world.quiet()

    assert world.dead_letters() == ["unknown-process"] * 300


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM events WHERE process_id = '{0}' AND first = 1",
        "UPDATE events SET document = json_set(document, '$.v', 99) WHERE process_id = '{0}'",
        "UPDATE events SET document = json_set(document, '$.events[0].type', 'unheard_of') WHERE first = 4",
        "UPDATE events SET document = json_remove(document, '$.events[0].step') WHERE first = 4",
        "UPDATE events SET document = json_set(document, '$.events[0].attempt', null) WHERE first = 4",
        "UPDATE events SET document = json_set(document, '$.events[0]', 'x') WHERE first = 4",
        "UPDATE events SET document = json_set(document, '$.events', null) WHERE first = 4",
        "UPDATE events SET document = 'not json' WHERE first = 4",
        "UPDATE events SET document = '[]' WHERE first = 4",
    ],
)
async def test_an_unreadable_log_parks_its_messages_and_leaves_others_running(
    world: World, damage: str
) -> None:
    """A gap, a newer format or a damaged event: loud, at once, and only for this process."""
    writer = await world.member()
    await writer.handle(start())
    await writer.handle(reply("completed", "one.a1"))
    world.rows(damage.format(ID))
    world.rows("UPDATE projections SET state_format = 0")
    reader = await world.member()
    await reader.consume()

    await world.put("step.completed", {"command_id": f"{ID}.two.a1"})
    await world.put("process.start", BODY | {"process_id": OTHER_ID})
    await world.quiet()

    assert world.dead_letters() == ["unreadable-log"]
    await eventually(lambda: started(world, OTHER_ID), what="the other process runs")
    assert "defect" not in reader.watch.counts


async def test_a_process_whose_definition_is_lost_parks_its_messages(world: World) -> None:
    """Nobody can decide for it; others go on."""
    writer = await world.member()
    await writer.handle(start())
    world.rows("UPDATE projections SET state_format = 0, version = 0")
    world.rows(
        "UPDATE events SET document = json_set(document, '$.events[0].definition_hash', 'gone') WHERE first = 1"
    )
    reader = await world.member()
    await reader.consume()

    await world.put("step.completed", {"command_id": f"{ID}.one.a1"})
    await world.quiet()

    assert world.dead_letters() == ["unknown-definition"]


async def test_an_output_that_can_not_be_kept_closes_its_attempt_and_is_parked(world: World) -> None:
    """Its participant did something: the step is tried again or undone, and the answer is kept for a person."""
    one = await world.member()
    await one.handle(start())
    await one.consume()

    await world.put("step.completed", f'{{"command_id": "{ID}.one.a1", "output": 1e999}}')
    await world.quiet()

    assert world.dead_letters() == ["unusable-output"]
    assert (await world.events())[-2:] == ["step_failed", "retry_scheduled"]
    log = await world.store.log.read(ID)
    assert '"code":"unusable_output"' in repr(log[-1].events[0])


async def test_an_unusable_output_is_parked_also_after_a_crash_before_the_parking(world: World) -> None:
    """The redelivered message finds its transition in the log; its copy must reach the dead letters still."""
    one, other = await world.member(), await world.member()
    await one.handle(start())
    unusable = reply("completed", "one.a1", output=None)
    unusable.body = unusable.body.replace(b"null", b"1e999")
    settled = await one.handle(unusable)
    assert settled is not None
    assert settled.parked is not None

    again = await other.handle(unusable)

    assert again is not None
    assert again.parked == settled.parked
    assert (await world.events()).count("step_failed") == 1


async def test_another_servers_new_type_is_known_when_its_first_start_comes(world: World) -> None:
    """Definitions are read again before a start is refused."""
    one = await world.member()
    await world.member(TWO_STEPS.replace("two_steps", "brand_new"))
    await one.consume()

    await world.put("process.start", BODY | {"process_type": "brand_new", "process_id": ID})
    await world.quiet()

    await eventually(lambda: started(world, ID), what="the process runs")
    assert world.dead_letters() == []


async def test_a_coordinator_stops_in_good_order(world: World) -> None:
    """It takes no more, finishes what it has in hand, and leaves the rest in the queue."""
    member = await world.member()
    watch = Watch()
    coordinator = Coordinator(
        log=world.store.log,
        projections=world.store.projections,
        catalog=member.catalog,
        locks=world.store.locks,
        bus=member.bus,
        clock=world.store.clock,
        ids=member.handler._parts.ids,
        observer=watch,
        name="whole",
        prefetch=5,
    )
    stopping = asyncio.Event()
    running = asyncio.ensure_future(coordinator.run(stopping, grace_s=5))
    await world.put("process.start", BODY | {"process_id": ID})
    await world.quiet()
    stopping.set()
    await running
    await world.put("process.start", BODY | {"process_id": OTHER_ID})

    assert watch.points[-1] == "acked"
    assert await world.events(OTHER_ID) == []
    assert world.rows("SELECT count(*) FROM messages WHERE routing_key = 'process.start'") == [(1,)]
