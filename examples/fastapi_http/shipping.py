"""The participant `shipping` over HTTP, with FastAPI: ships and recalls, each once, whatever comes twice."""  # noqa: INP001 - a program, not a package

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any, Literal  # noqa: TID251 - JSON, as it came

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

DATABASE = os.environ.get("SHIPPING_DATABASE", "shipping.db")
PORT = int(os.environ.get("SHIPPING_PORT", "8010"))

app = FastAPI(title="shipping")


class Compensated(BaseModel):
    """What a compensation undoes."""

    idempotency_key: str


class Command(BaseModel):
    """What is used of a command; members that are not named here are ignored."""

    command_id: Annotated[str, Field(min_length=1, max_length=128)]
    idempotency_key: str
    kind: Literal["action", "compensation", "verify"]
    parameters: dict[str, Any] = {}
    compensates: Compensated | None = None


class Parcel(BaseModel):
    """What is to be shipped, and where."""

    order_id: str
    address: str


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Open the database; two copies of one command can't both be first, since only one writes at a time."""
    with closing(sqlite3.connect(DATABASE, isolation_level=None, timeout=10)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, output TEXT, undone TEXT)")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


@app.post("/ship")
def ship(command: Command) -> JSONResponse:
    """Ship once per key; not at all once it is recalled."""
    with transaction() as db:
        known = find(db, command.idempotency_key)
        if known is not None:
            output, undone = known
            return refusal(409, "undone", "it was recalled before it came") if undone else done(output)
        try:
            parcel = Parcel.model_validate(command.parameters)
        except ValidationError:
            return refusal(422, "invalid_input", "order_id and address are texts")
        if parcel.address == "nowhere":
            return refusal(422, "unknown_address", "nobody lives there")
        (number,) = db.execute("SELECT count(*) + 1 FROM effects").fetchone()
        output = json.dumps({"parcel": f"parcel-{number}"})
        # Here the effect is the row itself; else write both in this transaction.
        db.execute("INSERT INTO effects (key, output) VALUES (?, ?)", (command.idempotency_key, output))
        return done(output)


@app.post("/recall")
def recall(command: Command) -> JSONResponse:
    """Recall what was shipped; what was not is remembered, so that it never will be."""
    if command.compensates is None:
        return refusal(422, "invalid_input", "a compensation says what it undoes")
    key = command.compensates.idempotency_key
    with transaction() as db:
        output, undone = find(db, key) or (None, None)
        if undone is None:
            parcel = {"recalled": json.loads(output)["parcel"]} if output else {"nothing_to_undo": True}
            undone = json.dumps(parcel)
            db.execute(
                "INSERT INTO effects (key, undone) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET undone = excluded.undone",
                (key, undone),
            )
        return done(undone)


def find(db: sqlite3.Connection, key: str) -> tuple[str | None, str | None] | None:
    """Read what is remembered of an effect: what it gave, and what its undo gave."""
    row: tuple[str | None, str | None] | None = db.execute(
        "SELECT output, undone FROM effects WHERE key = ?", (key,)
    ).fetchone()
    return row


def done(output: str | None) -> JSONResponse:
    """Answer completed: 2xx, and the body is the output."""
    return JSONResponse(json.loads(output or "{}"))


def refusal(status: int, code: str, message: str) -> JSONResponse:
    """Answer failed for good: 4xx (but 408, 425 and 429, which are tried again, like 5xx)."""
    return JSONResponse({"error": {"code": code, "message": message, "retryable": False}}, status)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
