"""A service over HTTP for tests: a real FastAPI application on a real uvicorn, which remembers by the key."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, Request, Response

from tests.support.owned_process import free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    # Gives the status for a command, and may take its time by the seconds.
    Plan = Callable[[dict[str, Any]], tuple[int, float]]


@dataclass(slots=True)
class HttpService:
    """Hold what the service was asked, and what it did: one effect per key, however often it is asked."""

    url: str
    plan: Plan
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: Request, response: Response) -> Any:
        """Carry out a command once, and give the same answer again to the same key."""
        command: dict[str, Any] = await request.json()
        self.received.append(command)
        self.headers.append(dict(request.headers))
        key = request.headers["idempotency-key"]
        status, seconds = self.plan(command)
        if key not in self.effects and status < 300:
            self.effects[key] = {"by": command["action"], "key": key}
            self.done[key] += 1
        await asyncio.sleep(seconds)
        response.status_code = status
        return self.effects.get(key, {"code": "scripted", "message": "as the test wants it"})


def always(status: int = 200, *, seconds: float = 0.0) -> Plan:
    """Answer every command in the same way."""
    return lambda _: (status, seconds)


@asynccontextmanager
async def http_service(plan: Plan, *, port: int | None = None) -> AsyncIterator[HttpService]:
    """Run a service for as long as the block lasts."""
    port = port or free_port()
    service = HttpService(f"http://127.0.0.1:{port}/steps", plan)
    app = FastAPI()
    app.post("/steps/{action}")(service.answer)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the test owns the signals
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started, what="the service listens")
        yield service
    finally:
        server.should_exit = True
        await running
