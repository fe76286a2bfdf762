"""The baselines of HTTP: a route that publishes one confirmed message, and one that does nothing at all."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel, JsonValue

from benchmarks.workers.wire import open_channel, prefix, publish, quorum_queue, topic


class Start(BaseModel):
    """The body of a start."""

    process_type: str
    parameters: dict[str, JsonValue]


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    """Hold the exchange, with the queue behind it, while the app runs."""
    channel = await open_channel()
    app.state.commands = await topic(channel, "commands")
    await (await quorum_queue(channel, "coordinator")).bind(app.state.commands, "process.*")
    print(f"serving for {prefix()}", flush=True)
    yield


app = FastAPI(lifespan=connected)


@app.post("/process", status_code=202)
async def start(body: Start, request: Request) -> dict[str, str]:
    """Publish the start, wait for the confirm, and answer."""
    process_id = str(uuid.uuid4())
    command: dict[str, object] = {**body.model_dump(), "process_id": process_id}
    await publish(request.app.state.commands, "process.start", command, correlation_id=process_id)
    return {"process_id": process_id, "status": "started"}


@app.post("/nothing", status_code=202)
async def nothing() -> dict[str, str]:
    """Answer: what the load can reach at all."""
    return {"status": "started"}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that it listens."""
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["SAGA_HTTP_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
