"""The participant `stock`, by the kit: reserve goods and release them, each once, whatever comes twice.

Three things go wrong in a participant that does not remember: a command that is delivered again reserves
again; a release that overtakes its reservation finds nothing, and the reservation that comes later stays for
ever; a reservation that was released is made again. One table in the participant's own database, written in
the same transaction as the effect, answers all three.
"""  # noqa: INP001 - a program, not a package

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from pydantic import BaseModel

from saga.participant import BusinessFailure, Participant, StepCommand, run

DATABASE = os.environ.get("STOCK_DATABASE", "stock.db")
AVAILABLE = 100

_TABLES = """
CREATE TABLE IF NOT EXISTS reservations (key TEXT PRIMARY KEY, item TEXT NOT NULL, quantity INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS released (key TEXT PRIMARY KEY);
"""

stock = Participant("stock")


class Order(BaseModel):
    """What an order asks of the stock; the amount is none of its business."""

    item: str
    quantity: int


class Reservation(BaseModel):
    """What was put aside."""

    reservation: str


class Release(BaseModel):
    """Whether anything was given back; `nothing_to_undo` is a word that the orchestrator knows."""

    nothing_to_undo: bool


@stock.handles("reserve")
def reserve(order: Order, command: StepCommand) -> Reservation:
    """Put goods aside."""
    key = command.idempotency_key
    with _transaction() as database:
        if _has(database, "SELECT 1 FROM released WHERE key = ?", key):
            raise BusinessFailure("released", "this reservation was released before it was made")
        if not _has(database, "SELECT 1 FROM reservations WHERE key = ?", key):
            (taken,) = database.execute(
                "SELECT coalesce(sum(quantity), 0) FROM reservations WHERE item = ?", (order.item,)
            ).fetchone()
            if taken + order.quantity > AVAILABLE:
                raise BusinessFailure("out_of_stock", f"{AVAILABLE - taken} of {order.item} are left")
            database.execute("INSERT INTO reservations VALUES (?, ?, ?)", (key, order.item, order.quantity))
    return Reservation(reservation=key)


@stock.handles("release")
def release(order: Order, command: StepCommand) -> Release:  # noqa: ARG001 - the input is checked all the same
    """Give goods back; whether they were ever put aside may be unknown, and that is no failure."""
    if command.compensates is None:
        raise BusinessFailure("no_compensation", "release is sent only to undo a reservation")
    key = command.compensates.idempotency_key
    with _transaction() as database:
        database.execute("INSERT OR IGNORE INTO released VALUES (?)", (key,))
        given_back = database.execute("DELETE FROM reservations WHERE key = ?", (key,)).rowcount
    return Release(nothing_to_undo=given_back == 0)


def _has(database: sqlite3.Connection, query: str, key: str) -> bool:
    return database.execute(query, (key,)).fetchone() is not None


@contextmanager
def _transaction() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(DATABASE, timeout=10, isolation_level=None)) as database:
        database.executescript(_TABLES)
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


if __name__ == "__main__":
    run(stock)
