"""Callers over HTTP and over the broker, who repeat until they know; and strangers who send rubbish."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

from saga.errors import IdempotencyConflict, NotReady, OutcomeUnknown, StoreUnavailable
from saga.testing import InMemoryMessage
from saga.usecases.start import StartRequest
from tests.simulation.definitions import random_parameters
from tests.support.virtual_time import ticks

if TYPE_CHECKING:
    from random import Random

    from saga.messages.json_text import JsonObject
    from tests.simulation.world import World

_COMMANDS, _EVENTS = "saga.commands", "saga.events"
_STRANGER = "0199a1b2-0000-7000-8000-000000000bad"
_POISON: tuple[tuple[str, str, bytes, dict[str, object], set[str]], ...] = (
    (_COMMANDS, "process.start", b"{", {}, {"malformed-json"}),
    (
        _COMMANDS,
        "process.start",
        b'{"process_type": "nobody_knows", "parameters": {}}',
        {},
        {"unknown-process-type"},
    ),
    (_COMMANDS, "process.dance", b"{}", {}, {"unknown-command"}),
    (_COMMANDS, "process.wake", b"[]", {}, {"invalid-wake"}),
    (_EVENTS, "step.completed", b'{"command_id": "x"}', {}, {"unknown-command"}),
    (_EVENTS, "step.failed", b'{"command_id": "%s.s0.a1"}' % _STRANGER.encode(), {}, {"unknown-process"}),
    (_EVENTS, "step.completed", b"\xff", {"x-saga-schema": 2}, {"newer-schema"}),
)


class Client:
    """Ask for one process, over the API or the broker, once or again and again."""

    def __init__(self, world: World, number: int, process_type: str) -> None:
        self._world = world
        self._rng: Random = world.plan.rng(f"client {number}")
        self._parameters: JsonObject = random_parameters(self._rng, number)
        self._process_type = process_type
        self._uuid = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        self._by_id = self._rng.random() < 0.5
        self._is_over_http = self._rng.random() < 0.5

    async def run(self) -> None:
        """Ask, and repeat; a caller over HTTP goes on until the answer is definite."""
        rng, chance = self._rng, self._world.chance
        await asyncio.sleep(rng.uniform(0, 4))
        ask = self._over_http if self._is_over_http else self._over_broker
        await ask()
        for _ in range(3):
            if chance.strikes("repeated_start"):
                await asyncio.sleep(rng.uniform(0, 3))
                await ask()
        if chance.strikes("conflicting_start"):
            self._parameters = {"number": -1}
            await self._over_broker(
                app_id="" if self._is_over_http else "client", message_id=f"{self._uuid}!"
            )

    async def _over_http(self) -> None:
        request = StartRequest(
            process_type=self._process_type,
            parameters=self._parameters,
            labels={},
            callback_url=None,
            process_id=self._uuid if self._by_id else None,
            idempotency_key=None if self._by_id else self._uuid,
            principal="",
            traceparent=None,
        )
        async for _ in ticks(self._rng.uniform(0.1, 1)):
            asking = asyncio.ensure_future(self._world.api.start(request))
            try:
                await asyncio.wait([asking])
                self._world.accepted(self._uuid, asking.result().process_id)
            except (OutcomeUnknown, StoreUnavailable, NotReady, asyncio.CancelledError):
                continue
            except IdempotencyConflict as conflict:
                self._world.judge.complain("I14", self._uuid, f"an equal request was refused: {conflict}")
                return
            else:
                return

    async def _over_broker(self, *, app_id: str = "client", message_id: str | None = None) -> None:
        body: JsonObject = {"process_type": self._process_type, "parameters": self._parameters}
        body["process_id" if self._by_id else "idempotency_key"] = self._uuid
        message_id = message_id or self._uuid
        if message_id != self._uuid:
            # Whichever of the two comes second is refused.
            for either in (message_id, self._uuid):
                self._world.judge.reasons[either] = {"conflicting-start"}
        await self._world.broker_is_back()
        message = InMemoryMessage(_COMMANDS, "process.start", json.dumps(body).encode(), message_id, app_id)
        self._world.broker.put(message)


async def send_poison(world: World, number: int) -> None:
    """Send something that can't be processed."""
    rng = world.plan.rng(f"poison {number}")
    exchange, key, body, headers, reasons = rng.choice(_POISON)
    await asyncio.sleep(rng.uniform(0, 6))
    await world.broker_is_back()
    message_id = f"poison {number}"
    world.judge.reasons[message_id] = reasons
    world.poison.add(message_id)
    world.broker.put(InMemoryMessage(exchange, key, body, message_id, "stranger", None, headers))
