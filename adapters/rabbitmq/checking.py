"""Reach the participant that `saga participant check` checks over RabbitMQ, beside whatever runs there.

The commands name a reply key of their own, so that no coordinator hears of the replies; those of a participant
that answers with plain `step.…` all the same are heard too.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aio_pika
import aiormq

from adapters.rabbitmq import tolerant_decoding
from adapters.rabbitmq.connection import close_quietly, with_heartbeat
from adapters.rabbitmq.properties import SCHEMA, SCHEMA_HEADER
from adapters.rabbitmq.topology import Names, consumer_count
from saga.conformance.reading import judged, read_reply, silent
from saga.conformance.wire import NotReachable
from saga.messages.command import REPLY_KEY
from saga.messages.json_text import to_text
from saga.ports.bus import APP_ID, Exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aio_pika.abc import (
        AbstractChannel,
        AbstractExchange,
        AbstractIncomingMessage,
        AbstractQueue,
    )
    from pamqp.common import FieldTable

    from saga.conformance.wire import Answer
    from saga.messages.json_text import Json, JsonObject

_WORDS = ("completed", "failed", "progress")
_CONNECT_TIMEOUT_S = 5.0
_PUBLISH_TIMEOUT_S = 5.0
_PROGRESS_MAX = 10
# What is answered late must still find a queue: a participant may insist on a confirmed reply.
_QUEUE_EXPIRES_MS = 600_000
_QUEUE_LENGTH_MAX = 10_000


@asynccontextmanager
async def rabbit_wire(url: str, service: str, *, prefix: str, run_id: str) -> AsyncIterator[RabbitWire]:
    """Open the way to a service's queue. Raises NotReachable, ValueError for an impossible name."""
    names = Names(prefix)
    queue_name = names.step_queue(service)
    tolerant_decoding.install()
    try:
        connection = await aio_pika.connect(with_heartbeat(url), timeout=_CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, aiormq.AMQPError) as error:
        raise NotReachable(f"the broker is not reachable ({type(error).__name__}): is it running?") from None
    try:
        consumers = await consumer_count(connection, queue_name)
        if consumers is None:
            raise NotReachable(f"the broker has no queue {queue_name}: start the service, or a server, first")
        if not consumers:
            raise NotReachable(f"nobody consumes {queue_name}: is the service running?")
        channel = await connection.channel(on_return_raises=True)
        wire = RabbitWire(channel, names, service, run_id)
        await wire.listen()
        try:
            yield wire
        finally:
            await close_quietly(wire.close())
    except (OSError, TimeoutError, aiormq.AMQPError) as error:
        raise NotReachable(f"the broker refused or went away: {error}") from None
    finally:
        await close_quietly(connection.close())


@dataclass(frozen=True, slots=True)
class _Heard:
    """A reply as it came: what its routing key began and ended with, and its body."""

    key: str
    word: str
    body: bytes


@dataclass(eq=False, slots=True)
class _Waiter:
    """Wait for the answer to one sending, and for signs of progress before it."""

    heard: asyncio.Queue[_Heard] = field(default_factory=asyncio.Queue)
    problems: list[str] = field(default_factory=list)


class RabbitWire:
    """Implement `saga.conformance.wire.Wire` over RabbitMQ."""

    def __init__(self, channel: AbstractChannel, names: Names, service: str, run_id: str) -> None:
        self._service = service
        self._channel = channel
        self._names = names
        self._run_id = run_id
        self._queue: AbstractQueue | None = None
        self._commands: AbstractExchange | None = None
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._unanswered = 0
        self._consumer = ""

    async def listen(self) -> None:
        """Declare a queue of its own for the replies, and consume it."""
        events = self._names.exchange(Exchange.EVENTS)
        arguments: FieldTable = {"x-expires": _QUEUE_EXPIRES_MS, "x-max-length": _QUEUE_LENGTH_MAX}
        queue_name = f"{self._names.prefix}.{self._run_id}"
        self._queue = await self._channel.declare_queue(queue_name, durable=True, arguments=arguments)
        for key in (self._run_id, REPLY_KEY):
            for word in _WORDS:
                await self._queue.bind(events, f"{key}.{word}")
        self._consumer = await self._queue.consume(self._heard, no_ack=True)
        commands = self._names.exchange(Exchange.COMMANDS)
        self._commands = await self._channel.get_exchange(commands, ensure=False)

    async def close(self) -> None:
        """Leave nothing behind but a queue that expires, where an answer may still come."""
        if self._queue is None:
            return
        await self._queue.cancel(self._consumer)
        if not self._unanswered:
            await self._queue.delete(if_unused=False, if_empty=False)
            return
        for word in _WORDS:
            await self._queue.unbind(self._names.exchange(Exchange.EVENTS), f"{REPLY_KEY}.{word}")

    async def ask(self, command: JsonObject, *, within_s: float) -> Answer:
        """Publish a command to the service's queue and wait for one reply to it."""
        command_id = str(command["command_id"])
        waiter = _Waiter()
        waiters = self._waiting.setdefault(command_id, deque())
        waiters.append(waiter)
        body = to_text({**command, "reply_key": self._run_id}).encode()
        key = f"step.{command['service']}.{command['action']}"
        await self._publish(body, key, command_id, str(command["process_id"]))
        try:
            return await self._answer(waiter, within_s)
        finally:
            if waiter in waiters:
                waiters.remove(waiter)

    async def throw(self, body: bytes, *, action: str, within_s: float) -> Answer | None:  # noqa: ARG002 - the port
        """Publish what is no command; whoever rejects it moves it to the dead letters."""
        message_id = f"{self._run_id}-garbage-{hashlib.sha256(body).hexdigest()[:8]}"
        await self._publish(body, f"step.{self._service}.{action}", message_id, self._run_id)
        return None

    async def _answer(self, waiter: _Waiter, within_s: float) -> Answer:
        is_late = False
        signs = 0
        while signs <= _PROGRESS_MAX:
            try:
                async with asyncio.timeout(within_s):
                    heard = await waiter.heard.get()
            except TimeoutError:
                if is_late:
                    break
                is_late = True
                continue
            if heard.word != "progress":
                return _read(waiter, heard, is_late=is_late)
            signs += 1
        self._unanswered += 1
        return silent(f"no answer within {within_s:g} s, nor in as long again")

    async def _heard(self, message: AbstractIncomingMessage) -> None:
        key, _, word = (message.routing_key or "").rpartition(".")
        reply = _decoded(message.body)
        waiters = self._waiting.get(str(reply.get("command_id")))
        if not waiters:
            return
        heard = _Heard(key, word, message.body)
        if word == "progress":
            for waiter in waiters:
                waiter.problems.extend(judged(word, reply))
                waiter.heard.put_nowait(heard)
        else:
            waiters.popleft().heard.put_nowait(heard)

    async def _publish(self, body: bytes, key: str, message_id: str, process_id: str) -> None:
        if self._commands is None:
            raise NotReachable("the check is not listening")
        span = hashlib.blake2b(message_id.encode(), digest_size=24).hexdigest()
        message = aio_pika.Message(
            body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message_id,
            correlation_id=process_id,
            type="step.command",
            timestamp=dt.datetime.now(dt.UTC),
            app_id=APP_ID,
            headers={SCHEMA_HEADER: SCHEMA, "traceparent": f"00-{span[:32]}-{span[32:]}-01"},
        )
        await self._commands.publish(message, key, mandatory=True, timeout=_PUBLISH_TIMEOUT_S)


def _read(waiter: _Waiter, heard: _Heard, *, is_late: bool) -> Answer:
    notes = ("the replies go to plain step.…, not to the reply_key of the command",)
    answer = read_reply(
        heard.word, heard.body, is_late=is_late, notes=notes if heard.key == REPLY_KEY else ()
    )
    return answer.with_problems(tuple(waiter.problems))


def _decoded(body: bytes) -> dict[str, Json]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
