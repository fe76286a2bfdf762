"""Participants that follow a script and know nothing but the contract: plain AMQP and JSON, none of our kit.

The script travels in the parameters of the process, so that each of many processes has one of its own:
`{"script": {"<step>": "<words>", "undo_<step>": "<words>", "verify_<step>": "<words>"}}`, or for one item of a
step `"<step>[<index>]"`. The words:

- `ok` (the default): completes
- `fail:<n>`: fails, retryable, n times, then completes
- `refuse`: fails for good
- `silent`, `silent:<n>`: never answers, or not the first n times; the effect is there all the same
- `lost`, `lost:<n>`: the first command, or the first n, are lost: no answer and no effect
- `look` (the default of a question): says whether the effect is there
- `slow:<seconds>`: completes after this time, undone or not
- `twice`: completes, and says so twice
- `contradict`: completes, then says that it failed
- `progress:<seconds>`: says every quarter of a second that it is at work, then completes
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aio_pika
import aiormq
from aio_pika import ExchangeType

from tests.support.ledger import Ledger, Received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from types import TracebackType

    from aio_pika.abc import AbstractIncomingMessage
    from pamqp.common import FieldTable

QUEUE_ARGUMENTS: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": 1000}
_PREFIXES = {"action": "", "compensation": "undo_", "verify": "verify_"}
_TROUBLE = (aiormq.AMQPError, OSError, RuntimeError, asyncio.CancelledError)
_RECONNECT_S = 0.2
_PREFETCH = 200
_PROGRESS_EVERY_S = 0.25
# A participant answers an undo of something that it never did with these words.
NOTHING = {"nothing_to_undo": True}


@dataclass(slots=True)
class _Line:
    """One life of the connection."""

    events: aio_pika.abc.AbstractExchange


@dataclass(slots=True)
class ScriptedParticipants:
    """Serve several services at one broker until closed; come back by themselves after it was away."""

    url: str
    prefix: str
    services: tuple[str, ...]
    ledger: Ledger = field(default_factory=Ledger)
    _line: _Line | None = None
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: asyncio.Task[None] | None = None
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        """Connect and serve."""
        self._runner = asyncio.create_task(self._serve_for_ever())
        async with asyncio.timeout(30):
            await self._up.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Serve no more; answers that were still to come are forgotten."""
        tasks = [task for task in (self._runner, *self._later) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def absent(self) -> AsyncIterator[None]:
        """Be away for a while, like participants that are being deployed; the queues stay as they are."""
        runner, self._runner = self._runner, None
        assert runner is not None
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        self._up.clear()
        self._line = None
        yield
        self._runner = asyncio.create_task(self._serve_for_ever())
        async with asyncio.timeout(30):
            await self._up.wait()

    async def reply(self, word: str, body: dict[str, Any], reply_key: str = "step") -> None:
        """Publish a reply, confirmed; again and again while the broker is away."""
        message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=2)
        while True:
            await self._up.wait()
            line = self._line
            if line is not None:
                try:
                    await line.events.publish(message, f"{reply_key}.{word}", timeout=10)
                except _TROUBLE:
                    _raise_if_cancelled()
                else:
                    return
            await asyncio.sleep(_RECONNECT_S)

    async def _serve_for_ever(self) -> None:
        while True:
            try:
                await self._serve()
            except _TROUBLE:
                _raise_if_cancelled()
            self._up.clear()
            self._line = None
            await asyncio.sleep(_RECONNECT_S)

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            connection = await aio_pika.connect(f"{self.url}?heartbeat=5", timeout=10)
            lost = asyncio.Event()  # the driver's own `closed()` does not notice a reset
            connection.close_callbacks.add(lambda *_: lost.set())
            stack.push_async_callback(_close_quietly, connection)
            answers = await connection.channel(on_return_raises=True)
            commands = await answers.declare_exchange(
                f"{self.prefix}.commands", ExchangeType.TOPIC, durable=True
            )
            events = await answers.declare_exchange(f"{self.prefix}.events", ExchangeType.TOPIC, durable=True)
            consuming = await connection.channel(publisher_confirms=False)
            await consuming.set_qos(prefetch_count=_PREFETCH)
            for service in self.services:
                queue = await consuming.declare_queue(
                    f"{self.prefix}.step.{service}",
                    durable=True,
                    arguments={**QUEUE_ARGUMENTS, "x-dead-letter-exchange": f"{self.prefix}.dead"},
                )
                await queue.bind(commands, f"step.{service}.*")
                await queue.consume(self._take)
            self._line = _Line(events)
            self._up.set()
            await lost.wait()

    async def _take(self, message: AbstractIncomingMessage) -> None:
        command: dict[str, Any] = json.loads(message.body)
        received = self.ledger.receive(message.body, message.routing_key or "", _properties(message), command)
        await self._follow_script(received, command)
        with suppress(*_TROUBLE):
            await message.ack()

    async def _follow_script(self, received: Received, command: dict[str, Any]) -> None:
        word, _, argument = _words(received, command).partition(":")
        key = received.idempotency_key
        match word:
            case "look":
                await self._look(received, command)
            case "silent" if received.kind == "verify":
                pass
            case "lost" if received.attempt <= int(argument or 1):
                pass
            case "silent" if not argument or received.attempt <= int(argument):
                self._bring_about(received)
            case _ if key in self.ledger.effects:
                await self._complete(received, command)
            case "fail" if received.attempt <= int(argument):
                await self._fail(received, command, "unavailable", retryable=True)
            case "refuse":
                await self._fail(received, command, "refused", retryable=False)
            case "slow":
                self._do_later(self._complete_after(float(argument), received, command))
            case "twice":
                await self._complete(received, command)
                await self._complete(received, command)
            case "contradict":
                await self._complete(received, command)
                await self._fail(received, command, "changed_my_mind", retryable=False)
            case "progress":
                self._do_later(self._report_until(float(argument), received, command))
            case _:
                await self._complete(received, command)

    async def _complete(self, received: Received, command: dict[str, Any]) -> None:
        undone = (command.get("compensates") or {}).get("idempotency_key")
        if undone is not None and undone not in self.ledger.effects:
            output: object = NOTHING  # and it is not remembered: what comes late is to be undone all the same
        else:
            output = json.loads(self._bring_about(received))
        body = {"command_id": received.command_id, "output": output}
        await self.reply("completed", body, command["reply_key"])

    async def _look(self, received: Received, command: dict[str, Any]) -> None:
        """Answer the question what became of an attempt; it never arrives later, because it arrived already."""
        effect = self.ledger.effects.get(command["verifies"]["idempotency_key"])
        if effect is None:
            await self._fail(received, command, "not_found", retryable=False)
            return
        body = {"command_id": received.command_id, "output": json.loads(effect)}
        await self.reply("completed", body, command["reply_key"])

    async def _complete_after(self, wait_s: float, received: Received, command: dict[str, Any]) -> None:
        await asyncio.sleep(wait_s)
        await self._complete(received, command)

    async def _report_until(self, wait_s: float, received: Received, command: dict[str, Any]) -> None:
        for number in range(round(wait_s / _PROGRESS_EVERY_S)):
            await self.reply("progress", {"command_id": received.command_id, "percent": number}, "step")
            await asyncio.sleep(_PROGRESS_EVERY_S)
        await self._complete(received, command)

    async def _fail(self, received: Received, command: dict[str, Any], code: str, *, retryable: bool) -> None:
        error = {"code": code, "message": f"{received.step} follows its script", "retryable": retryable}
        await self.reply("failed", {"command_id": received.command_id, "error": error}, command["reply_key"])

    def _bring_about(self, received: Received) -> str:
        output = json.dumps({"by": received.step, "key": received.idempotency_key})
        return self.ledger.effects.setdefault(received.idempotency_key, output)

    def _do_later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)


def script(steps: dict[str, str] | None = None, **words: str) -> dict[str, object]:
    """Write the parameters that carry a script."""
    return {"script": {**(steps or {}), **words}}


def services_of(definitions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Name the services that definitions use."""
    steps = (step for definition in definitions for step in definition["steps"])
    return tuple(sorted({step["service"] for step in steps if "service" in step}))


def _words(received: Received, command: dict[str, Any]) -> str:
    words = command["parameters"].get("script") or {}
    step = _PREFIXES[received.kind] + received.step
    item = f"{step}[{command['index']}]" if "index" in command else step
    return str(words.get(item) or words.get(step) or ("look" if received.kind == "verify" else "ok"))


def _properties(message: AbstractIncomingMessage) -> dict[str, object]:
    return {
        "content_type": message.content_type,
        "delivery_mode": message.delivery_mode,
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "type": message.type,
        "timestamp": message.timestamp,
        "app_id": message.app_id,
        "headers": dict(message.headers),
    }


async def _close_quietly(connection: aio_pika.abc.AbstractConnection) -> None:
    with suppress(*_TROUBLE, TimeoutError):
        async with asyncio.timeout(5):
            await connection.close()


def _raise_if_cancelled() -> None:
    """Tell a cancellation of ours from the one that the driver throws when its connection is lost."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
