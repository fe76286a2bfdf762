"""A participant with a barrier that kills itself once, before or behind its commit."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.sqlalchemy.barrier import SqlBarrier
from saga.participant import Participant, run
from saga.participant.barrier import BarrierTransaction

T = TypeVar("T")


def stock(folder: Path, dies: str) -> Participant:
    """Make it; `dies` is before or behind, and a file says that it has died."""
    corpse = folder / "died"

    def die(where: str) -> None:
        if where == dies and not corpse.exists():
            corpse.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    class DyingBarrier(SqlBarrier):
        """Dies when the transaction is committed, before anybody is told."""

        async def run(self, work: Callable[[BarrierTransaction], Awaitable[T]]) -> T:
            done = await super().run(work)
            die("behind")
            return done

    participant = Participant("stock", barrier=DyingBarrier(f"sqlite+aiosqlite:///{folder / 'stock.db'}"))

    @participant.handles("reserve")
    async def reserve(session: AsyncSession) -> dict[str, int]:
        await session.execute(text("CREATE TABLE IF NOT EXISTS work (pid INTEGER)"))
        await session.execute(text("INSERT INTO work VALUES (:pid)"), {"pid": os.getpid()})
        die("before")
        return {"pid": os.getpid()}

    return participant


if __name__ == "__main__":
    run(stock(Path(sys.argv[1]), sys.argv[2]))
