"""The participant `stock`, by the kit: reserve goods and release them, each once, whatever comes twice.

The barrier keeps a table in the stock's own database, and writes it in the transaction of the handler: a command
that comes again gets its first answer, a release that overtakes its reservation is remembered, and the
reservation that comes after it is refused.
"""  # noqa: INP001 - a program, not a package

import os

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from saga.participant import BusinessFailure, Participant, StepCommand, run, sql_barrier

AVAILABLE = 100
TABLE = """
CREATE TABLE IF NOT EXISTS reservations (key TEXT PRIMARY KEY, item TEXT NOT NULL, quantity INTEGER NOT NULL)
"""


class Order(BaseModel):
    """What an order asks of the stock; the amount is none of its business."""

    item: str
    quantity: int


class Reservation(BaseModel):
    """What was put aside."""

    reservation: str


async def reserve(order: Order, command: StepCommand, session: AsyncSession) -> Reservation:
    """Put goods aside."""
    await session.execute(text(TABLE))
    taken = await session.scalar(
        text("SELECT coalesce(sum(quantity), 0) FROM reservations WHERE item = :item"), {"item": order.item}
    )
    left = AVAILABLE - int(taken or 0)
    if order.quantity > left:
        raise BusinessFailure("out_of_stock", f"{left} of {order.item} are left")
    await session.execute(
        text("INSERT INTO reservations VALUES (:key, :item, :quantity)"),
        {"key": command.idempotency_key, "item": order.item, "quantity": order.quantity},
    )
    return Reservation(reservation=command.idempotency_key)


async def release(command: StepCommand, session: AsyncSession) -> None:
    """Give goods back; the barrier calls it only where they were put aside."""
    if command.compensates is None:
        raise BusinessFailure("no_compensation", "release is sent only to undo a reservation")
    key = command.compensates.idempotency_key
    await session.execute(text("DELETE FROM reservations WHERE key = :key"), {"key": key})


def stock(database: str) -> Participant:
    """Make the participant on a SQLite file."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    participant = Participant("stock", barrier=sql_barrier(engine))
    participant.handles("reserve")(reserve)
    participant.handles("release")(release)
    return participant


if __name__ == "__main__":
    run(stock(os.environ.get("STOCK_DATABASE", "stock.db")))
