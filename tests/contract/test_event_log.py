"""The contract of the log: dense, ordered, one winner per number, and what was written comes back equal."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from saga.errors import UnreadableLog, VersionConflict
from saga.messages.command import Command
from saga.process.transition import Cause, Transition
from tests.contract.factories import NASTY, every_event, transition

if TYPE_CHECKING:
    from tests.contract.conftest import Store


async def test_a_transition_comes_back_equal(store: Store) -> None:
    """Every kind of event, and text with operators, dots, NUL and marks of direction, is kept exactly."""
    written = every_event("p1")
    await store.log.append(written)
    assert list(await store.log.read("p1")) == [written]


async def test_an_unknown_process_has_an_empty_log(store: Store) -> None:
    """Reading what was never written gives nothing, from the start and from a number."""
    assert list(await store.log.read("nobody")) == []
    assert list(await store.log.read("nobody", after=3)) == []


async def test_transitions_are_read_in_the_order_of_their_numbers(store: Store) -> None:
    """Numbers of one, two and three digits sort as numbers, also where a transition holds many events."""
    first = 1
    written: list[Transition] = []
    for events in (1, 3, 5, 1, 20, 80, 1, 2):
        written.append(transition("p1", first, events=events))
        await store.log.append(written[-1])
        first = written[-1].last + 1
    assert list(await store.log.read("p1")) == written


async def test_a_read_after_a_number_gives_the_rest(store: Store) -> None:
    """The tail begins with the first transition whose first event is above the number."""
    whole = [transition("p1", 1), transition("p1", 2, events=3), transition("p1", 5)]
    for item in whole:
        await store.log.append(item)
    assert list(await store.log.read("p1", after=1)) == whole[1:]
    assert list(await store.log.read("p1", after=4)) == whole[2:]
    assert list(await store.log.read("p1", after=5)) == []


async def test_another_write_with_the_same_number_is_a_conflict(store: Store) -> None:
    """The second writer hears which number of which process was taken, and the first write stays."""
    winner = transition("p1", mark="winner")
    await store.log.append(winner)
    with pytest.raises(VersionConflict) as caught:
        await store.log.append(transition("p1", mark="loser"))
    assert (caught.value.process_id, caught.value.number) == ("p1", 1)
    assert list(await store.log.read("p1")) == [winner]


async def test_a_writer_that_did_not_see_a_long_transition_conflicts_with_it(store: Store) -> None:
    """Events 2 to 6 are one transition: who appends on the state after event 1 meets its first number."""
    await store.log.append(transition("p1", 1))
    await store.log.append(transition("p1", 2, events=5, mark="winner"))
    with pytest.raises(VersionConflict):
        await store.log.append(transition("p1", 2, mark="loser"))


async def test_repeating_the_same_write_returns_and_stores_it_once(store: Store) -> None:
    """A writer that lost its answer repeats the write: its own mark under the number is success."""
    written = transition("p1", mark="mine")
    await store.log.append(written)
    await store.log.append(written)
    await asyncio.gather(store.log.append(written), store.log.append(written))
    assert list(await store.log.read("p1")) == [written]


async def test_of_fifty_concurrent_writes_to_one_number_exactly_one_wins(store: Store) -> None:
    """The others get a conflict, and the winner's document is what is read."""
    await store.log.append(transition("p1", 1))
    rivals = [transition("p1", 2, mark=f"rival {index}") for index in range(50)]
    results = await asyncio.gather(*map(store.log.append, rivals), return_exceptions=True)
    won = [rival for rival, result in zip(rivals, results, strict=True) if result is None]
    assert len(won) == 1
    assert sum(isinstance(result, VersionConflict) for result in results) == 49
    assert list(await store.log.read("p1", after=1)) == won


async def test_a_conflict_fails_only_its_own_write(store: Store) -> None:
    """Writes of other processes that travel in the same batch are stored."""
    await store.log.append(transition("p7", mark="earlier"))
    results = await asyncio.gather(
        *(store.log.append(transition(f"p{index}")) for index in range(20)), return_exceptions=True
    )
    failed = [index for index, result in enumerate(results) if result is not None]
    assert failed == [7]
    assert all([await store.log.read(f"p{index}") for index in range(20)])


async def test_many_processes_are_written_and_read_at_once(store: Store) -> None:
    """Three hundred concurrent writers and readers each get their own process's transitions."""
    ids = [f"p{index}" for index in range(300)]
    await asyncio.gather(*(store.log.append(transition(process_id, 1)) for process_id in ids))
    await asyncio.gather(*(store.log.append(transition(process_id, 2)) for process_id in ids))
    tails = await asyncio.gather(
        *(store.log.read(process_id, after=index % 3) for index, process_id in enumerate(ids))
    )
    for index, (process_id, tail) in enumerate(zip(ids, tails, strict=True)):
        assert list(tail) == [transition(process_id, 1), transition(process_id, 2)][index % 3 :]


async def test_one_process_read_from_several_numbers_at_once_gives_each_its_tail(store: Store) -> None:
    """Reads that share a round trip don't get each other's answer."""
    whole = [transition("p1", number) for number in range(1, 11)]
    for item in whole:
        await store.log.append(item)
    tails = await asyncio.gather(*(store.log.read("p1", after=number) for number in range(11)))
    assert [list(tail) for tail in tails] == [whole[number:] for number in range(11)]


async def test_ids_that_begin_alike_are_kept_apart(store: Store) -> None:
    """A process whose id begins with another's, or differs in case only, has a log of its own."""
    ids = ["a", "a-1", "a_1", "a1", "A", "aa"]
    for process_id in ids:
        await store.log.append(transition(process_id, 1))
        await store.log.append(transition(process_id, 2))
    for process_id in ids:
        assert list(await store.log.read(process_id)) == [
            transition(process_id, 1),
            transition(process_id, 2),
        ]
        assert list(await store.log.read(process_id, after=1)) == [transition(process_id, 2)]


async def test_large_transitions_are_kept_beside_small_ones(store: Store) -> None:
    """Several of almost eight MiB at once, more than one message to a server could hold, all come back."""
    large = [transition(f"large{index}", body="x" * (3_900 * 1024)) for index in range(7)]
    small = [transition(f"small{index}") for index in range(7)]
    await asyncio.gather(*map(store.log.append, [*large, *small]))
    for written in (*large, *small):
        assert list(await store.log.read(written.process_id)) == [written]


async def test_the_whole_log_is_streamed_in_the_order_of_each_process(store: Store) -> None:
    """Every transition comes once, those of one process in order, also where there are many pages of them."""
    for number in range(1, 5):
        await asyncio.gather(*(store.log.append(transition(f"p{i}", number)) for i in range(300)))
    numbers: dict[str, list[int]] = defaultdict(list)
    async for found in store.log.read_all():
        assert isinstance(found, Transition)
        numbers[found.process_id].append(found.first)
    assert dict(numbers) == {f"p{index}": [1, 2, 3, 4] for index in range(300)}


async def test_the_stream_begins_behind_the_process_that_is_named(store: Store) -> None:
    """Also where a process is named that is not there."""
    for process_id in ("p1", "p3", "p5"):
        await store.log.append(transition(process_id, 1))
        await store.log.append(transition(process_id, 2))
    for after, left in (("", ["p1", "p3", "p5"]), ("p1", ["p3", "p5"]), ("p4", ["p5"]), ("p5", [])):
        found = [one.process_id async for one in store.log.read_all(after)]
        assert found == [process_id for process_id in left for _ in range(2)]


async def test_a_restored_transition_is_that_of_another_log(store: Store) -> None:
    """It comes back equal, may be repeated, and meets a conflict where another one has its number."""
    log = [replace(transition("p1", number), at=5) for number in (1, 2)]
    for _ in range(2):
        await store.log.restore(*log)
    assert list(await store.log.read("p1")) == log
    with pytest.raises(VersionConflict):
        await store.log.restore(transition("p1", 1, mark="other"))


async def test_a_stream_tells_of_a_gap_to_nobody(store: Store) -> None:
    """Whoever puts the transitions of a process together finds it."""
    await store.log.append(transition("p1", 1))
    await store.log.append(transition("p1", 3))
    assert [found async for found in store.log.read_all()] == [transition("p1", 1), transition("p1", 3)]


async def test_an_empty_log_streams_nothing(store: Store) -> None:
    """A new store has no transitions."""
    assert [found async for found in store.log.read_all()] == []


async def test_a_log_with_a_hole_is_unreadable(store: Store) -> None:
    """A missing number stops the reader loudly, in the middle as well as at the start."""
    await store.log.append(transition("middle", 1))
    await store.log.append(transition("middle", 3))
    with pytest.raises(UnreadableLog, match="middle"):
        await store.log.read("middle")
    await store.log.append(transition("start", 2))
    with pytest.raises(UnreadableLog, match="start"):
        await store.log.read("start")


async def test_transitions_that_are_appended_at_once_come_back_one_by_one(store: Store) -> None:
    """With their own events, commands and causes; what follows goes on behind the last of them."""
    together = [
        replace(
            transition("p1", 2 * number + 1, events=2),
            at=1_700_000_000_000,
            commands=(Command(f"c{number}", "step.hotel.book", "{}"),) * number,
            cause=Cause(f"reply {number}", "reply", NASTY),
        )
        for number in range(3)
    ]
    await store.log.append(*together)
    later = transition("p1", 7)
    await store.log.append(later)
    assert list(await store.log.read("p1")) == [*together, later]
    assert list(await store.log.read("p1", after=6)) == [later]
    assert [one async for one in store.log.read_all()] == [*together, later]


async def test_appending_at_once_is_all_or_nothing_and_may_be_repeated(store: Store) -> None:
    """Whoever comes second stores nothing of it; who repeats its own write hears that it is there."""
    together = [transition("p1", 1, mark="mine"), transition("p1", 2, mark="mine")]
    await store.log.append(*[replace(one, at=5) for one in together])
    await store.log.append(*[replace(one, at=5) for one in together])
    with pytest.raises(VersionConflict):
        await store.log.append(transition("p1", 1, mark="other"), transition("p1", 2, mark="other"))
    assert list(await store.log.read("p1")) == [replace(one, at=5) for one in together]
