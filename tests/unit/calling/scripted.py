"""Scripted services in virtual time, and a caller over them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from saga.calling.address import read_addresses
from saga.calling.caller import CallLimits, ServiceCaller
from saga.messages.timestamps import rfc3339
from saga.ports.calls import CallAnswer, NoAnswer
from saga.ports.participants import NoReply
from saga.testing import LoopClock, VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    Answer = Callable[[dict[str, Any]], Awaitable[CallAnswer]]

EPOCH_MS = 1_764_000_000_000
REFUSED = NoAnswer("refused", was_sent=False)


@dataclass
class Services:
    """Answer calls by the host that is called, and remember them."""

    by_host: dict[str, Answer]
    calls: list[tuple[str, dict[str, Any], Mapping[str, str]]] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, deadline_s: float
    ) -> CallAnswer:
        """Answer as the script of the host says, within the deadline."""
        host = url.split("/")[2]
        command = json.loads(body)
        self.calls.append((host, command, headers))
        self.under_way[host] += 1
        self.most[host] = max(self.most[host], self.under_way[host])
        try:
            async with asyncio.timeout(deadline_s):
                return await self.by_host[host](command)
        except TimeoutError:
            raise NoAnswer("no answer", was_sent=True, timed_out=True) from None
        finally:
            self.under_way[host] -= 1

    @property
    def hosts(self) -> list[str]:
        """Give the hosts in the order of the calls."""
        return [host for host, _, _ in self.calls]


@dataclass
class Heard:
    """Count what is told to the observer."""

    counts: Counter[str] = field(default_factory=Counter)

    def reached(self, point: str) -> None:
        """Pass on."""

    def counted(self, name: str, **labels: str) -> None:
        """Count."""
        self.counts[" ".join([name, *labels.values()])] += 1


def says(status: int, body: bytes = b"{}", *, after_s: float = 0.0, **headers: str) -> Answer:
    """Answer each call in this way."""

    async def answer(_: dict[str, Any]) -> CallAnswer:
        await asyncio.sleep(after_s)
        return CallAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    return answer


async def hangs(_: dict[str, Any]) -> CallAnswer:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def is_down(_: dict[str, Any]) -> CallAnswer:
    """Refuse the connection."""
    raise REFUSED


@dataclass
class World:
    """A caller over scripted services."""

    services: Services
    caller: ServiceCaller
    clock: LoopClock
    heard: Heard
    number: int = 0

    async def command(
        self, *, attempt: int = 1, timeout_s: float = 30.0, number: int | None = None, **more: Any
    ) -> dict[str, Any] | NoReply:
        """Have a command carried out, and give its reply."""
        if number is None:
            self.number += 1
            number = self.number
        command = {
            "command_id": f"p{number}.pay.a{attempt}",
            "idempotency_key": f"p{number}.pay.a",
            "process_id": f"p{number}",
            "service": "payment",
            "action": "charge",
            "kind": "action",
            "attempt": attempt,
            "deadline": rfc3339(self.clock.now() + round(timeout_s * 1000)),
            "reply_key": "step-3",
            **more,
        }
        reply = await self.caller.answer(json.dumps(command).encode())
        if isinstance(reply, NoReply):
            return reply
        return {"key": reply.routing_key, **json.loads(reply.body)}

    async def error(self, **command: Any) -> dict[str, Any]:
        """Have a command carried out, and give the error of its reply."""
        reply = await self.command(**command)
        assert isinstance(reply, dict)
        error: dict[str, Any] = reply["error"]
        return error

    async def step(self, *, timeout_s: float = 30.0, attempts: int = 3, number: int) -> str:
        """Do what the orchestrator does for a step: try again after a failure, with backoff."""
        for attempt in range(1, attempts + 1):
            reply = await self.command(attempt=attempt, timeout_s=timeout_s, number=number)
            if not isinstance(reply, dict) or "output" in reply:
                return "completed"
            if not reply["error"]["retryable"]:
                return "failed"
            await asyncio.sleep(max(2.0 ** (attempt - 1), reply["error"].get("retry_after", 0)))
        return "spent"


def run(
    test: Callable[[World], Coroutine[Any, Any, None]], limits: CallLimits | None = None, **hosts: Answer
) -> None:
    """Run a test over services with these answers."""

    async def main() -> None:
        services, clock, heard = Services(hosts), LoopClock(EPOCH_MS), Heard()
        caller = ServiceCaller(
            "payment",
            read_addresses(",".join(f"http://{host}" for host in hosts)),
            calls=services,
            clock=clock,
            observer=heard,
            limits=limits or CallLimits(),
            user_agent="batuta/test",
        )
        await test(World(services, caller, clock, heard))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def now_s() -> float:
    """Give the virtual time."""
    return asyncio.get_running_loop().time()
