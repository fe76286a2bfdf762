"""Every message of a real run fits the published schemas."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aio_pika
import httpx
import pytest
from jsonschema import Draft202012Validator

from saga.contract.asyncapi import asyncapi_document
from saga.contract.log_entries import events_schema
from saga.contract.schemas import SCHEMAS
from saga.definition.model import SagaDefinition
from tests.acceptance.world import World, opened_world
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.deployment import SagaServer

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

_RETRY = {"attempts": 2, "backoff": 0.1}
# Everything that makes a command look different: items, mappings, a question, a signal, another process.
_INNER: dict[str, Any] = {
    "process_type": "inner",
    "steps": [{"name": "note", "service": "car", "action": "note", "compensation": "unnote"}],
}
_OUTER: dict[str, Any] = {
    "process_type": "outer",
    "parameters": {
        "type": "object",
        "properties": {"script": {"type": "object"}, "parts": {"type": "array", "items": {"type": "string"}}},
    },
    "retry": _RETRY,
    "timeout": 10,
    "steps": [
        {
            "name": "pack", "service": "hotel", "action": "pack", "compensation": "unpack",
            "for_each": "parameters.parts",
        },
        {
            "name": "ask", "service": "flight", "action": "book", "compensation": "cancel", "timeout": 0.6,
            "verify": {"action": "status", "fences": True},
        },
        {"name": "sub", "process": "inner", "input": {"script": "parameters.script"}},
        {"name": "approval", "signal": True, "timeout": 60},
        {
            "name": "last", "service": "payment", "action": "charge",
            "compensation": {"action": "refund", "input": {"script": "parameters.script"}},
            "input": {"script": "parameters.script", "part": "parameters.parts[0]"},
        },
    ],
}  # fmt: skip
_DEFINITIONS = (_INNER, _OUTER)
_ANSWERS = ("completed", "failed", "progress")
# What coordinators tell each other is nobody else's business.
_INTERNAL = frozenset({"process.wake", "process.lock", "process.forked"})


@asynccontextmanager
async def _everything(world: World) -> AsyncIterator[list[aio_pika.abc.AbstractIncomingMessage]]:
    """Collect what passes both exchanges and what is parked."""
    heard: list[aio_pika.abc.AbstractIncomingMessage] = []

    async def hear(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        heard.append(message)

    async with await aio_pika.connect(world.broker.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        for exchange in ("commands", "events", "dead"):
            await queue.bind(f"{world.broker.prefix}.{exchange}", "#")
        await queue.consume(hear, no_ack=True)
        yield heard


def _schema_of(message: aio_pika.abc.AbstractIncomingMessage) -> str:
    """Name the schema of a message by where it came from, as a reader of the contract would."""
    exchange = (message.exchange or "").rpartition(".")[2]
    key = message.routing_key or ""
    words = key.split(".")
    if exchange == "dead":
        return "dead_letter"
    if exchange == "events" and words[-1] in _ANSWERS and len(words) == 2:
        return f"{words[-1]}_reply"
    if exchange == "events":
        return f"{words[0]}_event"
    if words[0] == "step":
        return f"{json.loads(message.body)['kind']}_command"
    return {"process.start": "process_start", "process.migrate": "process_migrate"}.get(
        key, "process_request"
    )


def _undescribed(schema: Any, value: Any, root: Any) -> list[str]:
    """Name members that no part of the schema describes: a reader would not know of them."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    known = schema.get("properties")
    if not isinstance(value, dict) or known is None:
        return []
    found = [name for name in value if name not in known]
    for name in value.keys() & known.keys():
        found += _undescribed(known[name], value[name], root)
    return found


def _faults(message: aio_pika.abc.AbstractIncomingMessage, name: str) -> list[str]:
    headers = {key: _plain(value) for key, value in message.headers.items()}
    if name == "dead_letter":
        return _errors("dead_letter_headers", headers)
    body = json.loads(message.body)
    faults = _errors(name, body)
    if name.endswith("_command"):
        faults += _errors("sent_headers", headers) + _undescribed(SCHEMAS[name], body, SCHEMAS[name])
    if name.endswith("_event"):
        faults += _errors("life_headers", headers)
        entry = {key: value for key, value in body.items() if key != "process_id"}
        faults += [error.message for error in Draft202012Validator(events_schema()).iter_errors(entry)]
    return faults


def _errors(name: str, value: object) -> list[str]:
    return [f"{name}: {error.message}" for error in Draft202012Validator(SCHEMAS[name]).iter_errors(value)]


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


async def _post(server: SagaServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
        answer = (await client.post(path, json=body)).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


async def _signalled(world: World, server: SagaServer, process_id: str, word: str) -> None:
    async def waiting() -> str:
        process = await world.get(server, f"/process/{process_id}")
        return next((one["command_id"] for one in process["waiting_for"] if one["kind"] == "signal"), "")

    command_id = await eventually(waiting, within_s=60)
    body = {"error": {"code": "no"}} if word == "failed" else {"output": {"by": "test"}}
    await _post(server, f"/step/{command_id}/{word}", body)


async def test_every_message_of_a_run_fits_its_schema(amqp_url: str, mongodb_url: str) -> None:
    """Of processes that complete, turn back, ask, fan out, start others, and are asked for things."""
    async with (
        opened_world(amqp_url, mongodb_url, _DEFINITIONS) as world,
        _everything_once_served(world) as (
            server,
            heard,
        ),
    ):
        parameters = {"parts": ["a", "b"], "script": {"ask": "silent:1"}}
        ids = []
        for word in ("completed", "failed"):
            start = {"process_type": "outer", "parameters": parameters, "labels": {"case": word}}
            ids.append((await _post(server, "/process", start))["process_id"])
            await _signalled(world, server, ids[-1], word)
        await world.becomes(server, ids[0], "completed")
        await world.becomes(server, ids[1], "compensated")
        await _post(server, f"/process/{ids[0]}/compensate", {"reason": "sent back"})
        await world.becomes(server, ids[0], "compensated")
        await world.broker.start({"process_type": "unheard_of", "parameters": {}})
        await eventually(lambda: any(_schema_of(one) == "dead_letter" for one in heard), within_s=30)

    told = [message for message in heard if message.routing_key not in _INTERNAL]
    counts = Counter(map(_schema_of, told))
    assert counts.keys() == {
        "action_command", "compensation_command", "verify_command", "completed_reply", "failed_reply",
        "process_start", "process_request", "process_event", "step_event", "dead_letter",
    }, counts  # fmt: skip
    faults = [(one.routing_key, fault) for one in told for fault in _faults(one, _schema_of(one))]
    assert faults == []
    _fits_the_document(told)


@asynccontextmanager
async def _everything_once_served(
    world: World,
) -> AsyncIterator[tuple[SagaServer, list[aio_pika.abc.AbstractIncomingMessage]]]:
    server = await world.deployment.serve(SAGA_STEP_EVENTS="on")
    async with _everything(world) as heard:
        yield server, heard


def _fits_the_document(told: list[aio_pika.abc.AbstractIncomingMessage]) -> None:
    """Judge each command by the message that the AsyncAPI document has for its very step."""
    definitions = [SagaDefinition.model_validate(one) for one in _DEFINITIONS]
    document: Any = asyncapi_document(definitions, prefix="saga", version="1")
    messages = document["components"]["messages"]
    judged = 0
    for message in told:
        if _schema_of(message).endswith("_command"):
            body = json.loads(message.body)
            payload = messages[f"{body['process_type']}.{body['step']}.{body['kind']}"]["payload"]
            whole = {"components": document["components"], **payload}
            assert [error.message for error in Draft202012Validator(whole).iter_errors(body)] == []
            judged += 1
    assert judged > 10
