"""Turns: one at a time per process, those that waited together, in order, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.turns import TOGETHER_MAX, Turns

if TYPE_CHECKING:
    from collections.abc import Sequence


class Work:
    """Work that takes a moment, and notes what it was given at once; a negative number is a defect."""

    def __init__(self) -> None:
        self.log: list[list[int]] = []
        self.at_work = 0
        self.turns = Turns(self.alone, self.together)

    async def alone(self, number: int) -> str:
        """Work on one."""
        result = (await self.together([number]))[0]
        if isinstance(result, Exception):
            raise result
        return result

    async def together(self, numbers: Sequence[int]) -> Sequence[str | Exception]:
        """Work on several."""
        self.log.append(list(numbers))
        self.at_work += 1
        assert self.at_work == 1, "two at a time"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_work -= 1
        return [f"done {number}" if number >= 0 else KeyError(number) for number in numbers]


async def test_those_that_wait_for_one_process_are_worked_on_together_in_order() -> None:
    """The first has its turn at once, alone; each hears of its own."""
    work = Work()
    results = await asyncio.gather(*(work.turns.take("p", number) for number in range(20)))
    assert work.log == [[0], list(range(1, 20))]
    assert results == [f"done {number}" for number in range(20)]


async def test_no_more_than_so_many_are_worked_on_together() -> None:
    """The rest has the next turn."""
    work = Work()
    await asyncio.gather(*(work.turns.take("p", number) for number in range(TOGETHER_MAX + 3)))
    assert [len(numbers) for numbers in work.log] == [1, TOGETHER_MAX, 2]


async def test_other_processes_do_not_wait() -> None:
    """While one process is worked on, another has its turn at once."""
    never = asyncio.Event()

    async def alone(name: str) -> str:
        if name == "p":
            await never.wait()
        return name

    async def together(names: Sequence[str]) -> Sequence[str | Exception]:
        return names

    turns = Turns(alone, together)
    stuck = asyncio.ensure_future(turns.take("p", "p"))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await turns.take("q", "q") == "q"
    never.set()
    assert await stuck == "p"


async def test_what_goes_wrong_for_one_goes_wrong_for_nobody_else() -> None:
    """Neither for those beside it, nor for those that come after."""
    work = Work()
    results = await asyncio.gather(
        *(work.turns.take("p", number) for number in (-1, 1, -2, 2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [KeyError, str, KeyError, str]
    assert await work.turns.take("p", 3) == "done 3"


async def test_work_that_breaks_off_is_told_to_all_that_waited() -> None:
    """And the next ones have their turn."""

    async def alone(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def together(_numbers: Sequence[int]) -> Sequence[int | Exception]:
        raise KeyError("defect")

    turns = Turns(alone, together)
    results = await asyncio.gather(*(turns.take("p", number) for number in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [int, KeyError, KeyError]
    assert await turns.take("p", 4) == 4


async def test_nothing_is_left_of_a_process_that_nobody_works_on() -> None:
    """Also after an error, and after somebody gave up waiting, who is left out."""
    work = Work()
    with pytest.raises(KeyError):
        await work.turns.take("p", -1)
    first = asyncio.ensure_future(work.turns.take("q", 1))
    impatient = asyncio.ensure_future(work.turns.take("q", 2))
    patient = asyncio.ensure_future(work.turns.take("q", 3))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await first, await patient) == ("done 1", "done 3")
    assert work.log == [[-1], [1], [3]]
    await asyncio.sleep(0)
    assert work.turns._waiting == {}
