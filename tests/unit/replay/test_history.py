"""Histories come one by one, checked; what can't be read is named by process, event and field."""

from dataclasses import replace

import pytest

from saga.definition.catalog import Catalog
from saga.errors import UnreadableLog
from saga.process.evolve import fold
from saga.replay.history import Grouping, History, StoredHistories, state_at, states
from saga.testing import InMemoryDefinitionStore
from tests.unit.replay.histories import booked, log_of


def _catalog() -> Catalog:
    return Catalog(InMemoryDefinitionStore())


async def test_each_process_is_one_history() -> None:
    """All of its transitions are there, and only its own; an id says behind which process to begin."""
    log = await log_of(*booked("a"), *booked("b"), *booked("c"))
    histories = StoredHistories(log, _catalog())
    assert [one async for one in histories.every()] == [
        History(process_id, tuple(booked(process_id))) for process_id in "abc"
    ]
    assert [one.process_id async for one in histories.every("a")] == ["b", "c"]


async def test_one_history_is_that_of_its_process_and_a_stranger_has_none() -> None:
    """The version is the number of the last event."""
    histories = StoredHistories(await log_of(*booked("a"), *booked("b")), _catalog())
    found = await histories.one("b")
    assert found == History("b", tuple(booked("b")))
    assert found.version == 5
    assert await histories.one("z") is None


async def test_a_gap_ends_a_history_and_leaves_the_others_alone() -> None:
    """What stands before it is given, with the number of the event that is missing."""
    first, _, last = booked("a")
    log = await log_of(first, last, *booked("b"))
    broken, whole = [one async for one in StoredHistories(log, _catalog()).every()]
    assert broken.transitions == (first,)
    assert broken.problem is not None
    assert (broken.problem.process_id, broken.problem.number) == ("a", 2)
    with pytest.raises(UnreadableLog, match="event 2: the log goes on with 4"):
        broken.whole()
    assert whole.whole() == tuple(booked("b"))
    for log_of_some in (log, await log_of(*booked("A"), first, last)):
        read = await StoredHistories(log_of_some, _catalog()).one("a")
        assert read is not None
        assert (read.transitions, str(read.problem)) == ((first,), str(broken.problem))


def test_behind_what_is_unreadable_nothing_of_a_process_counts() -> None:
    """The first problem is the one that is told."""
    first, second, _ = booked("a")
    error = UnreadableLog("a", 2, "bad", field="v")
    grouped = Grouping()
    for found in (first, error, second, UnreadableLog("a", 9, "worse")):
        assert grouped.add(found) is None
    assert grouped.end() == History("a", (first,), error)
    assert grouped.end() is None


def test_the_state_after_each_event_is_what_a_fold_up_to_there_gives() -> None:
    """Also in the middle of a transition."""
    transitions = booked()
    history = History("p1", tuple(transitions))
    assert [state.version for state in states(history)] == [1, 2, 3, 4, 5]
    assert state_at(history, 5) == fold(transitions)
    third = state_at(history, 3)
    assert third == fold(transitions[:2])
    assert state_at(history, 6) is None


def test_an_event_that_can_not_follow_is_named() -> None:
    """By process, number and field."""
    first, second, third = booked()
    twisted = replace(second, events=(second.events[1], second.events[0]))
    history = History("p1", (first, replace(twisted, events=(*twisted.events, first.events[0])), third))
    with pytest.raises(UnreadableLog, match="Accepted stands twice") as caught:
        list(states(history))
    assert (caught.value.number, caught.value.field) == (4, "type")


def test_what_stands_before_a_gap_can_be_asked_for() -> None:
    """Only what lies behind it can't."""
    problem = UnreadableLog("p1", 4, "the log goes on with 6")
    history = History("p1", tuple(booked()[:2]), problem)
    assert state_at(history, 3) is not None
    with pytest.raises(UnreadableLog):
        state_at(history, 4)
