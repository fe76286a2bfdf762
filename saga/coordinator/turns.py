"""One at a time per process: two messages of one process never race inside one coordinator.

Those that arrive while the process is worked on wait, and are then worked on together: so a process of many
steps side by side costs one append for many answers.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Alone: TypeAlias = Callable[[Item], Awaitable[Result]]
Together: TypeAlias = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]

# How many are worked on together at most.
TOGETHER_MAX = 100

_Waiting: TypeAlias = "deque[tuple[Item, asyncio.Future[Result]]]"


class Turns(Generic[Item, Result]):
    """Hand out turns per process in the order of asking; costs next to nothing where nobody else waits.

    `alone` works on one item. `together` works on several, and gives one result or one exception for each.
    """

    def __init__(self, alone: Alone[Item, Result], together: Together[Item, Result]) -> None:
        self._alone = alone
        self._together = together
        self._waiting: dict[str, _Waiting[Item, Result]] = {}
        self._rounds: set[asyncio.Task[None]] = set()

    async def take(self, process_id: str, item: Item) -> Result:
        """Wait for this process's turn, work on the item, and give its result. Raises what the work raises."""
        waiting = self._waiting.get(process_id)
        if waiting is not None:
            answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            waiting.append((item, answer))
            return await answer
        self._waiting[process_id] = deque()
        try:
            return await self._alone(item)
        finally:
            self._go_on(process_id)

    def _go_on(self, process_id: str) -> None:
        """Begin the next round where somebody waits, in a task of its own: nobody works for others."""
        if not self._waiting[process_id]:
            del self._waiting[process_id]
            return
        task = asyncio.create_task(self._round(process_id))
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)

    async def _round(self, process_id: str) -> None:
        waiting = self._waiting[process_id]
        taken = [waiting.popleft() for _ in range(min(len(waiting), TOGETHER_MAX))]
        wanted = [(item, answer) for item, answer in taken if not answer.done()]  # others gave up waiting
        try:
            await self._work(wanted)
        finally:
            for _, answer in wanted:
                if not answer.done():
                    answer.cancel()  # the round was cancelled: their messages stay unacknowledged
            self._go_on(process_id)

    async def _work(self, wanted: Sequence[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        results: Sequence[Result | Exception]
        try:
            if len(wanted) == 1:
                results = [await self._alone(wanted[0][0])]
            else:
                results = await self._together([item for item, _ in wanted])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            results = [error] * len(wanted)
        for (_, answer), result in zip(wanted, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
