"""The messages from outside: starts by hand, commands to the letter, life events, and what can't be processed.

The tests share one server; the last one lets the judge look at all that they left behind.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.acceptance.definitions import EXAMPLE
from tests.acceptance.world import opened_world
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import Stage

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_a_start_published_by_hand_completes(stage: Stage) -> None:
    """Plain JSON without any property is enough; so is a process id of the caller's own."""
    process_id = str(uuid.uuid4())
    await stage.world.broker.start(EXAMPLE | {"process_id": process_id, "unknown": "is ignored"})
    document = await stage.world.becomes(stage.server, process_id, "completed")
    assert document["parameters"] == EXAMPLE["parameters"]


async def test_a_start_without_any_identity_starts_a_process_too(stage: Stage) -> None:
    """Nobody names the process: it gets an id, and appears in the list."""
    label = uuid.uuid4().hex
    await stage.world.broker.start(EXAMPLE | {"labels": {"case": label}})

    async def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await stage.world.get(stage.server, f"/process?label=case:{label}")
        return found

    (found,) = await eventually(listed, within_s=60)
    await stage.world.becomes(stage.server, found["process_id"], "completed")


async def test_a_command_is_the_contract_to_the_letter(stage: Stage) -> None:
    """Body, routing key, properties and headers of an action and of a compensation."""
    process_id = await stage.start("document_analysis", indexing="refuse")
    await stage.world.becomes(stage.server, process_id, "compensated")
    ledger = stage.world.participants.ledger
    (action,) = ledger.of(process_id, step="analysis", kind="action")
    (undo,) = ledger.of(process_id, step="analysis", kind="compensation")
    assert action.routing_key == "step.analysis.analyze"
    assert undo.routing_key == "step.analysis.forget"
    command = json.loads(action.body)
    assert set(command) == {
        "command_id", "idempotency_key", "process_id", "process_type", "step", "service", "action", "kind",
        "attempt", "parameters", "results", "deadline", "reply_key",
    }  # fmt: skip
    assert command["command_id"] == f"{process_id}.analysis.a1"
    assert (command["kind"], command["attempt"], command["reply_key"]) == ("action", 1, "step-1")
    assert set(command["results"]) == {"ingestion"}
    assert command["results"]["ingestion"]["by"] == "ingestion"
    assert datetime.fromisoformat(command["deadline"]).tzinfo
    order = json.loads(undo.body)
    assert set(order) == {*command, "compensates"}
    assert order["command_id"] == f"{process_id}.analysis.c1"
    assert (order["kind"], order["attempt"], order["parameters"]) == (
        "compensation",
        1,
        command["parameters"],
    )
    assert order["compensates"] == {
        "step": "analysis",
        "index": None,
        "idempotency_key": command["idempotency_key"],
        "output": {"by": "analysis", "key": command["idempotency_key"]},
    }
    for one in (action, undo):
        properties = dict(one.properties)
        headers = properties.pop("headers")
        assert isinstance(properties.pop("timestamp"), datetime)
        assert properties.pop("type")
        assert properties == {
            "content_type": "application/json",
            "delivery_mode": 2,
            "message_id": one.command_id,
            "correlation_id": process_id,
            "app_id": "batuta",
        }
        assert isinstance(headers, dict)
        assert headers["x-saga-schema"] == 1
        assert headers["traceparent"].startswith("00-")


async def test_duplicate_starts_are_one_process(stage: Stage) -> None:
    """The same process id over HTTP and over the broker, again and again, is one process."""
    process_id = str(uuid.uuid4())
    body = {**EXAMPLE, "process_id": process_id}
    await stage.world.broker.start(body)
    await stage.world.becomes(stage.server, process_id, "completed")
    answer = await stage.world.post(stage.server, body)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    assert answer.json()["process_id"] == process_id
    assert answer.headers["idempotent-replayed"] == "true"
    await stage.world.broker.start(body)
    key = f"key-{uuid.uuid4()}"
    first = await stage.world.post(stage.server, EXAMPLE, headers={"Idempotency-Key": key})
    again = await stage.world.post(stage.server, EXAMPLE, headers={"Idempotency-Key": key})
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    # No token is set, so the principal over HTTP is the empty one, like that of a message without app_id.
    await stage.world.broker.start({**EXAMPLE, "idempotency_key": key})
    await stage.world.becomes(stage.server, first.json()["process_id"], "completed")


async def test_a_start_that_is_delivered_twice_is_one_process(stage: Stage) -> None:
    """A message id is identity enough, within what its sender calls itself."""
    label, message_id = uuid.uuid4().hex, f"start-{uuid.uuid4()}"
    body = EXAMPLE | {"labels": {"case": label}}
    for app_id in ("shop", "shop", "office"):
        await stage.world.broker.start(body, message_id=message_id, app_id=app_id)

    async def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await stage.world.get(stage.server, f"/process?label=case:{label}")
        return found if len(found) > 1 else []

    first, second = await eventually(listed, within_s=60)
    for one in (first, second):
        await stage.world.becomes(stage.server, one["process_id"], "completed")
    assert len(await listed()) == 2


async def test_the_life_of_a_process_is_told(stage: Stage) -> None:
    """Each change once, with the entry of the log as its body and CloudEvents attributes in the headers."""
    async with stage.world.broker.listening("process.document_analysis.*") as heard:
        process_id = await stage.start("document_analysis", analysis="refuse")
        await stage.world.becomes(stage.server, process_id, "compensated")

        def own() -> list[Any]:
            return [message for message in heard if message.correlation_id == process_id]

        await eventually(lambda: len({message.routing_key for message in own()}) == 3, within_s=60)
    words = [(message.routing_key or "").rpartition(".")[2] for message in own()]
    assert words == ["started", "compensating", "compensated"]
    events = {event["sequence"]: event for event in await stage.events(process_id)}
    for message in own():
        body = json.loads(message.body)
        assert body.pop("process_id") == process_id
        assert body == events[body["sequence"]]
        assert message.type == message.routing_key
        assert message.headers["cloudEvents:type"] == message.routing_key
        assert message.headers["cloudEvents:specversion"] == "1.0"
        assert message.app_id == "batuta"


async def test_a_command_that_no_queue_takes_is_a_failure_of_its_attempt(
    amqp_url: str, mongodb_url: str
) -> None:
    """A service whose queue was deleted costs an attempt, and the next one finds the queue that is back."""
    async with opened_world(amqp_url, mongodb_url) as world:
        server = await world.deployment.serve()
        async with world.participants.absent():
            await world.broker.delete_queue("step.ingestion")
            process_id = str(uuid.uuid4())
            await world.broker.start(
                {"process_type": "reluctant", "parameters": {}, "process_id": process_id}
            )

            async def refused() -> list[dict[str, Any]]:
                entries = await world.get(server, f"/process/{process_id}/events")
                return [one for one in entries if one["type"] == "step_failed"]

            failures = await eventually(refused, within_s=60)
        assert failures[0]["data"]["error"]["code"] == "unroutable"
        await world.becomes(server, process_id, "completed")
        await world.judge()


_UNKNOWN = str(uuid.UUID(int=7))
POISON: tuple[tuple[str, str, str, bytes, dict[str, Any]], ...] = (
    ("not JSON", "commands", "process.start", b"{not json", {}),
    ("not an object", "commands", "process.start", b"[1]", {}),
    ("empty", "commands", "process.start", b"", {}),
    ("NaN", "commands", "process.start", b'{"process_type":"trip","parameters":{"x":NaN}}', {}),
    ("too deep", "commands", "process.start", b"[" * 2000 + b"]" * 2000, {}),
    ("too large", "commands", "process.start", b'{"a":"' + b"x" * 1_100_000 + b'"}', {}),
    ("encoded", "commands", "process.start", b"\x1f\x8b", {"content_encoding": "gzip"}),
    ("no type", "commands", "process.start", b'{"parameters":{}}', {}),
    ("an unknown type", "commands", "process.start", b'{"process_type":"nothing","parameters":{}}', {}),
    ("bad parameters", "commands", "process.start", b'{"process_type":"trip","parameters":{"other":1}}', {}),
    ("bad id", "commands", "process.start", b'{"process_type":"trip","parameters":{},"process_id":"x"}', {}),
    ("unknown word", "commands", "process.dance", b"{}", {}),
    ("no command id", "events", "step.completed", b'{"output":{}}', {}),
    ("a strange command id", "events", "step.failed", b'{"command_id":"x"}', {}),
    ("an unknown process", "events", "step.completed", b'{"command_id":"%s.a.a1"}' % _UNKNOWN.encode(), {}),
    ("newer", "events", "step.completed", b"{}", {"headers": {"x-saga-schema": 2}}),
)


@pytest.mark.parametrize(
    ("exchange", "key", "body", "properties"), [one[1:] for one in POISON], ids=[one[0] for one in POISON]
)
async def test_poison_lands_whole_in_the_dead_letters(
    stage: Stage, exchange: str, key: str, body: bytes, properties: dict[str, Any]
) -> None:
    """With the reason and where it came from in the headers; nothing else waits for it."""
    broker = stage.world.broker
    await broker.publish(key, body, exchange=exchange, **properties)
    letter = await eventually(lambda: broker.take("dead-letter"), within_s=60, what="a dead letter")
    assert letter is not None
    assert letter.body == body
    headers = letter.headers
    assert headers["x-saga-reject-reason"]
    assert headers["x-saga-reject-detail"]
    assert datetime.fromisoformat(str(headers["x-saga-first-seen"])).tzinfo
    assert headers["x-saga-original-exchange"] == f"{broker.prefix}.{exchange}"
    assert headers["x-saga-original-routing-key"] == key


async def test_a_conflicting_start_is_a_dead_letter(stage: Stage) -> None:
    """The id of a process under another request is refused, the process itself untouched."""
    process_id = await stage.start("document_analysis")
    await stage.world.becomes(stage.server, process_id, "completed")
    await stage.world.broker.start({"process_type": "trip", "parameters": {}, "process_id": process_id})
    letter = await eventually(lambda: stage.world.broker.take("dead-letter"), within_s=60)
    assert letter is not None
    assert letter.headers["x-saga-reject-reason"] == "conflicting-start"


async def test_poison_does_not_hold_up_the_others(stage: Stage) -> None:
    """Thirty poison messages before it, and a process goes its way all the same."""
    for number in range(30):
        await stage.world.broker.publish("process.start", b"{%d" % number)
    process_id = await stage.start("document_analysis")
    await stage.world.becomes(stage.server, process_id, "completed", within_s=30)
    for _ in range(30):
        assert await eventually(lambda: stage.world.broker.take("dead-letter"), within_s=60)


async def test_the_judge_finds_no_broken_promise(stage: Stage) -> None:
    """After all the tests above: logs, projections, ledgers and queues agree."""
    await stage.world.all_settle()
    assert stage.world.expected
    await stage.world.judge()
