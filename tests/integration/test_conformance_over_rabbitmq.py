"""The check over a real broker: the kit passes, and what only a broker can show is judged rightly."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest

from adapters.rabbitmq.bus import RabbitBus
from adapters.rabbitmq.checking import rabbit_wire
from adapters.rabbitmq.participants import RabbitParticipants
from saga.conformance.bench import Bench, Subject
from saga.conformance.check import check
from saga.conformance.wire import NotReachable
from saga.participant import BusinessFailure, Participant, StepCommand
from tests.support.model_participant import ACTION, COMPENSATION, VERIFY, ModelParticipant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

    from saga.messages.json_text import JsonObject

    Answer = Callable[[AbstractExchange, dict[str, Any]], Awaitable[None]]

_SUBJECT = Subject("stock", ACTION, COMPENSATION, VERIFY, is_fencing=True)


@pytest.fixture
async def declared(amqp_url: str, amqp_prefix: str) -> None:
    """Declare what a server declares when it starts."""
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare(["stock"])
    await bus.close()


def _by_the_kit(model: ModelParticipant) -> Participant:
    """Make a participant by the kit around the model's memory."""
    stock = Participant("stock")

    async def carry_out(command: StepCommand) -> Any:
        about = command.compensates or command.verifies
        body: dict[str, Any] = {
            "command_id": command.command_id,
            "idempotency_key": command.idempotency_key,
            "kind": command.kind,
            "action": command.action,
            "attempt": command.attempt,
        }
        if about is not None:
            name = "compensates" if command.compensates else "verifies"
            body[name] = {"idempotency_key": about.idempotency_key, "attempt": getattr(about, "attempt", 0)}
        answer = await model.answer(json.dumps(body).encode())
        assert answer is not None
        if answer["word"] == "failed":
            error = answer["error"]
            raise BusinessFailure(error["code"], error["message"], retryable=error["retryable"])
        return answer["output"]

    for action in (ACTION, COMPENSATION, VERIFY):
        stock.handles(action)(carry_out)
    return stock


@asynccontextmanager
async def _bench(url: str, prefix: str, *, within_s: float = 5) -> AsyncIterator[Bench]:
    run_id = f"check-{secrets.token_hex(4)}"
    async with rabbit_wire(url, "stock", prefix=prefix, run_id=run_id) as wire:
        yield Bench(wire, _SUBJECT, run_id=run_id, now=lambda: time.time_ns() // 1_000_000, within_s=within_s)


@asynccontextmanager
async def _raw(url: str, prefix: str, answer: Answer) -> AsyncIterator[None]:
    """Consume the service's queue by hand."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(on_return_raises=True)
        events = await channel.get_exchange(f"{prefix}.events", ensure=False)
        queue = await channel.get_queue(f"{prefix}.step.stock", ensure=False)

        async def take(message: AbstractIncomingMessage) -> None:
            await answer(events, json.loads(message.body))
            await message.ack()

        await queue.consume(take)
        yield


async def _reply(events: AbstractExchange, key: str, **body: object) -> None:
    await events.publish(aio_pika.Message(json.dumps(body).encode()), key)


def _found(document: JsonObject, verdict: str) -> dict[str, str]:
    cases: Any = document["cases"]
    return {case["case"]: case["found"] for case in cases if case["verdict"] == verdict}


@pytest.mark.usefixtures("declared")
async def test_a_participant_by_the_kit_passes(amqp_url: str, amqp_prefix: str) -> None:
    """All cases; no reply reaches the coordinators, and the garbage lies among the dead letters."""
    participants = await RabbitParticipants.open(amqp_url, prefix=amqp_prefix)
    await participants.serve("stock", _by_the_kit(ModelParticipant()).answer, concurrency=4)
    async with _bench(amqp_url, amqp_prefix) as bench:
        document = await check(bench)
    await participants.close()

    assert _found(document, "failed") == {}
    assert document["passed"] == len(document["cases"])  # type: ignore[arg-type]  # it is a list
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"{amqp_prefix}.coordinator", passive=True)
        assert queue.declaration_result.message_count == 0
        letters = await channel.get_queue(f"{amqp_prefix}.dead-letter", ensure=False)
        assert await letters.get(no_ack=True, timeout=10) is not None


@pytest.mark.usefixtures("declared")
async def test_plain_step_replies_are_heard_and_noted(amqp_url: str, amqp_prefix: str) -> None:
    """A participant may ignore the reply key; whoever checks it is told."""

    async def answer(events: AbstractExchange, command: dict[str, Any]) -> None:
        await _reply(events, "step.completed", command_id=command["command_id"], output={})

    async with _raw(amqp_url, amqp_prefix, answer), _bench(amqp_url, amqp_prefix) as bench:
        document = await check(bench, only=("success", "shape"))

    assert "reply_key" in _found(document, "passed")["shape"]


@pytest.mark.usefixtures("declared")
async def test_progress_gives_an_answer_more_time(amqp_url: str, amqp_prefix: str) -> None:
    """With a sign of life before the deadline the answer is in time; without one it is late."""
    shows_progress = True

    async def answer(events: AbstractExchange, command: dict[str, Any]) -> None:
        for _ in range(3):
            await asyncio.sleep(0.45)
            if shows_progress:
                await _reply(
                    events, f"{command['reply_key']}.progress", command_id=command["command_id"], percent=50
                )
        await _reply(events, f"{command['reply_key']}.completed", command_id=command["command_id"], output={})

    async with _raw(amqp_url, amqp_prefix, answer):
        async with _bench(amqp_url, amqp_prefix, within_s=1) as bench:
            assert _found(await check(bench, only=("success", "in_time")), "failed") == {}
        shows_progress = False
        async with _bench(amqp_url, amqp_prefix, within_s=1) as bench:
            document = await check(bench, only=("success", "in_time"))

    assert _found(document, "failed").keys() == {"in_time"}


@pytest.mark.usefixtures("declared")
async def test_a_malformed_reply_is_shown_by_its_schema(amqp_url: str, amqp_prefix: str) -> None:
    """The place and the rule are named."""

    async def answer(events: AbstractExchange, command: dict[str, Any]) -> None:
        await _reply(
            events,
            f"{command['reply_key']}.failed",
            command_id=command["command_id"],
            error={"message": "no", "retryable": "never"},
        )

    async with _raw(amqp_url, amqp_prefix, answer), _bench(amqp_url, amqp_prefix) as bench:
        document = await check(bench, only=("unknown_action", "shape"))

    assert _found(document, "failed").keys() == {"unknown_action", "shape"}
    assert "/error/retryable" in _found(document, "failed")["shape"]
    assert "'code' is a required property" in _found(document, "failed")["shape"]


async def test_what_is_not_there_is_said(amqp_url: str, amqp_prefix: str) -> None:
    """No broker, no queue, no consumer: each with its own sentence."""
    with pytest.raises(NotReachable, match="broker is not reachable"):
        async with _bench("amqp://127.0.0.1:1/", amqp_prefix):
            pass
    with pytest.raises(NotReachable, match="has no queue"):
        async with _bench(amqp_url, amqp_prefix):
            pass
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare(["stock"])
    await bus.close()
    with pytest.raises(NotReachable, match="nobody consumes"):
        async with _bench(amqp_url, amqp_prefix):
            pass
