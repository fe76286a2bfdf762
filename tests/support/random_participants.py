"""Participants that do what a drawn script says: plain AMQP and JSON, none of our kit, right by the contract.

The words, one per attempt:

- `ok`, `twice`: brings the effect about and completes; says so twice
- `slow:<seconds>`, `progress:<seconds>`: completes later, the second one reporting progress
- `fail`, `refuse`: fails, worth another attempt or not
- `silent`: the effect, and no answer; `lost`: neither
- `late:<seconds>`: the effect and the answer come after the time-out; `late_answer:<seconds>`: only the answer
- `ok_then_fail`, `ok_then_refuse`, `fail_then_ok`, `refuse_then_ok`: contradicts itself

By idempotency key it remembers success, and an undo: an action that comes after its undo is refused. One that
`forgets` remembers only an undo that found something. A question is answered truthfully; where the definition
says that it fences, an attempt that was not found is refused from then on.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aio_pika
from aio_pika import ExchangeType

from tests.support.random_sagas import effort_name, output_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from aio_pika.abc import AbstractExchange, AbstractIncomingMessage, AbstractRobustConnection
    from pamqp.common import FieldTable

_PROGRESS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A command that arrived; `order` counts everything that happened here, `at_ms` is the clock on the wall."""

    order: int
    at_ms: int
    command: dict[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """A reply that is about to be published."""

    order: int
    at_ms: int
    word: str
    body: dict[str, Any]


@dataclass(slots=True)
class Effect:
    """Something that is so from `since` on, until it was undone."""

    since: int
    until: int | None = None


@dataclass(slots=True)
class Record:
    """Keep what reached the participants and the people, what they said, and what they brought about."""

    arrivals: list[Arrival] = field(default_factory=list)
    said: dict[str, list[Said]] = field(default_factory=dict)
    effects: dict[str, list[Effect]] = field(default_factory=dict)
    _order: int = 0

    def arrive(self, body: bytes) -> dict[str, Any]:
        """Write down a command."""
        command: dict[str, Any] = json.loads(body)
        self.arrivals.append(Arrival(self._next(), time.time_ns() // 1_000_000, command, body))
        return command

    def say(self, command_id: str, word: str, body: dict[str, Any]) -> None:
        """Write down a reply, before it is published."""
        said = Said(self._next(), time.time_ns() // 1_000_000, word, body)
        self.said.setdefault(command_id, []).append(said)

    def is_done(self, key: str) -> bool:
        """Say whether an effect is there now."""
        spans = self.effects.get(key, [])
        return bool(spans) and spans[-1].until is None

    def bring_about(self, key: str) -> None:
        """Write down an effect, unless it is there already."""
        if not self.is_done(key):
            self.effects.setdefault(key, []).append(Effect(self._next()))

    def take_back(self, key: str) -> bool:
        """Undo an effect; False where there is none."""
        if not self.is_done(key):
            return False
        self.effects[key][-1].until = self._next()
        return True

    def _next(self) -> int:
        self._order += 1
        return self._order


@dataclass(slots=True)
class RandomParticipants:
    """Serve the services of drawn sagas until closed."""

    url: str
    prefix: str
    services: tuple[str, ...]
    script: dict[str, list[str]]
    fencing: frozenset[tuple[str, str]]
    record: Record = field(default_factory=Record)
    _undone: set[str] = field(default_factory=set)
    _fenced: dict[str, int] = field(default_factory=dict)
    _connection: AbstractRobustConnection | None = None
    _events: AbstractExchange | None = None
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        """Connect and serve."""
        self._connection = await aio_pika.connect_robust(self.url)
        answers = await self._connection.channel(on_return_raises=True)
        commands = await answers.declare_exchange(f"{self.prefix}.commands", ExchangeType.TOPIC, durable=True)
        self._events = await answers.declare_exchange(
            f"{self.prefix}.events", ExchangeType.TOPIC, durable=True
        )
        consuming = await self._connection.channel(publisher_confirms=False)
        await consuming.set_qos(prefetch_count=200)
        arguments: FieldTable = {
            "x-queue-type": "quorum", "x-delivery-limit": 1000, "x-dead-letter-exchange": f"{self.prefix}.dead"
        }  # fmt: skip
        for service in self.services:
            name = f"{self.prefix}.step.{service}"
            queue = await consuming.declare_queue(name, durable=True, arguments=arguments)
            await queue.bind(commands, f"step.{service}.*")
            await queue.consume(self._take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Serve no more."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    @property
    def is_busy(self) -> bool:
        """Say whether something is still to be done or said."""
        return bool(self._later)

    async def say(self, word: str, command_id: str, **more: Any) -> None:
        """Publish a reply, confirmed."""
        assert self._events is not None
        body = {"command_id": command_id, **more}
        if word != "progress":
            self.record.say(command_id, word, body)
        message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=2)
        await self._events.publish(message, f"step.{word}")

    async def _take(self, message: AbstractIncomingMessage) -> None:
        command = self.record.arrive(message.body)
        word, _, argument = self._word(command).partition(":")
        match word:
            case "slow" | "late" | "progress":
                self._do_later(self._answer_after(float(argument), command, reports=word == "progress"))
            case "late_answer":
                self._act(command)
                self._do_later(self._answer_after(float(argument), command))
            case "lost":
                pass
            case "silent":
                self._act(command)
            case _:
                for part in word.split("_then_"):
                    await self._answer(part, command)
        await message.ack()

    async def _answer_after(self, wait_s: float, command: dict[str, Any], *, reports: bool = False) -> None:
        for number in range(round(wait_s / _PROGRESS_EVERY_S)):
            if reports:
                await self.say("progress", command["command_id"], percent=number)
            await asyncio.sleep(_PROGRESS_EVERY_S)
        await self._answer("ok", command)

    async def _answer(self, word: str, command: dict[str, Any]) -> None:
        is_known = command["kind"] == "action" and self.record.is_done(command["idempotency_key"])
        if word in {"fail", "refuse"} and not (is_known and self._never_said_so(command)):
            error = {"code": "unavailable" if word == "fail" else "declined", "message": "as drawn"}
            await self.say("failed", command["command_id"], error={**error, "retryable": word == "fail"})
            return
        answer, more = self._act(command)
        for _ in range(2 if word == "twice" else 1):
            await self.say(answer, command["command_id"], **more)

    def _never_said_so(self, command: dict[str, Any]) -> bool:
        """Say whether this attempt was not answered yet: what is there already, its participant knows."""
        return command["command_id"] not in self.record.said

    def _act(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Do what a command asks for, as far as it is right, and give the answer."""
        match command["kind"]:
            case "action":
                return self._do(command)
            case "compensation":
                return self._undo(command)
            case _:
                return self._tell(command)

    def _do(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        key = command["idempotency_key"]
        if key in self._undone:
            return "failed", {"error": {"code": "undone_before", "retryable": False}}
        if command["attempt"] <= self._fenced.get(key, 0):
            return "failed", {"error": {"code": "fenced", "retryable": True}}
        self.record.bring_about(key)
        return "completed", {"output": _output(command)}

    def _undo(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        key = command["compensates"]["idempotency_key"]
        name = effort_name(command["process_type"], command["step"], None, "memory")
        if self.record.take_back(key) or name not in self.script:
            self._undone.add(key)
        return "completed", {"output": {} if key in self._undone else {"nothing_to_undo": True}}

    def _tell(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        asked = command["verifies"]
        key = asked["idempotency_key"]
        if self.record.is_done(key):
            return "completed", {"output": _output(command)}
        if (command["process_type"], command["step"]) in self.fencing:
            self._fenced[key] = max(self._fenced.get(key, 0), asked["attempt"])
        return "failed", {"error": {"code": "not_found", "retryable": False}}

    def _word(self, command: dict[str, Any]) -> str:
        index = command.get("index")
        name = effort_name(command["process_type"], command["step"], index, command["kind"])
        words: list[str] = self.script[name]
        attempt: int = command["attempt"]
        return words[min(attempt, len(words)) - 1]

    def _do_later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)


def fencing_steps(definitions: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Name the steps, with their types, whose participant promised a fence."""
    return frozenset(
        (definition["process_type"], step["name"])
        for definition in definitions
        for step in definition["steps"]
        if step.get("verify", {}).get("fences")
    )


def _output(command: Mapping[str, Any]) -> dict[str, Any]:
    return output_of(command["process_type"], command["step"], command.get("index"))
