"""A participant as a program of its own, on a real broker."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import aio_pika

from adapters.rabbitmq.bus import RabbitBus
from adapters.rabbitmq.participants import RabbitParticipants
from saga.ports.bus import PublishResult
from saga.ports.participants import CARRIAGE, Carriage, NoReply
from tests.contract.carriers import Inbox, message
from tests.integration.lone_participant import hotel
from tests.support.waiting import eventually

_COMMAND = json.dumps({"command_id": "c1", "action": "book", "parameters": {"guest": "ann"}}).encode()


async def test_it_answers_commands_until_it_is_told_to_stop(amqp_url: str, amqp_prefix: str) -> None:
    """It finds the transport by its settings, declares its queue, answers, and ends well after a SIGTERM."""
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare(["hotel"])
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)
    assert await bus.publish(message(_COMMAND, key="step.hotel.book")) is PublishResult.CONFIRMED

    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.lone_participant",
        env=os.environ | {"SAGA_AMQP_URL": amqp_url, "SAGA_AMQP_PREFIX": amqp_prefix},
    )
    try:
        await eventually(lambda: inbox.deliveries, within_s=20)
    finally:
        program.terminate()
        ended = await asyncio.wait_for(program.wait(), 20)

    assert json.loads(inbox.bodies[0]) == {"command_id": "c1", "output": {"guest": "ann"}}
    assert inbox.deliveries[0].routing_key == "step.completed"
    assert ended == 0
    await bus.close()


async def test_a_command_that_can_not_be_answered_is_dead_lettered(amqp_url: str, amqp_prefix: str) -> None:
    """The broker moves it whole to the dead letters, and the next command is answered."""
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare([])
    inbox = Inbox()
    await bus.consume(inbox, prefetch=10)
    participants = await RabbitParticipants.open(amqp_url, prefix=amqp_prefix)
    await participants.serve("hotel", hotel.answer, concurrency=1)

    await bus.publish(message(b"no command", key="step.hotel.book", message_id="m1"))
    await bus.publish(message(_COMMAND, key="step.hotel.book", message_id="m2"))

    await eventually(lambda: len(inbox.deliveries) == 1)
    assert await _dead_letters(amqp_url, amqp_prefix) == [b"no command"]
    await participants.close()
    await bus.close()


async def _dead_letters(url: str, prefix: str) -> list[bytes]:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{prefix}.dead-letter", ensure=False)
        async with queue.iterator(no_ack=True) as letters:
            return [(await asyncio.wait_for(anext(letters), 10)).body]


async def test_a_command_that_somebody_had_before_is_known_as_such(amqp_url: str, amqp_prefix: str) -> None:
    """Its first holder is gone without an answer: what it did, nobody knows."""
    bus = await RabbitBus.open(amqp_url, prefix=amqp_prefix)
    await bus.declare(["hotel"])
    told: list[Carriage] = []

    async def note(_: bytes) -> NoReply:
        told.append(CARRIAGE.get())
        if len(told) == 1:
            await asyncio.Event().wait()
        return NoReply.ELSEWHERE

    first = await RabbitParticipants.open(amqp_url, prefix=amqp_prefix, grace_s=0.1)
    await first.serve("hotel", note, concurrency=1)
    await bus.publish(message(_COMMAND, key="step.hotel.book"))
    await eventually(lambda: len(told) == 1)
    await first.close()
    second = await RabbitParticipants.open(amqp_url, prefix=amqp_prefix)
    await second.serve("hotel", note, concurrency=1)
    await eventually(lambda: len(told) == 2)

    assert [one.may_have_come_before for one in told] == [False, True]
    await second.close()
    await bus.close()
