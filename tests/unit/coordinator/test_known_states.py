"""The cache of states: bounded by number and by size, and never the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from saga.coordinator.known_states import KnownStates
from saga.process.status import ProcessStatus
from tests.unit.coordinator import standings as st

if TYPE_CHECKING:
    from saga.process.state import ProcessState

GRAPH = st.known().graph


def state(name: str, payload_bytes: int = 0) -> ProcessState:
    """Make a state of a process with so many bytes of payloads."""
    return st.grown(st.begun(name).state, payload_bytes)


def kept(states: KnownStates, *names: str) -> list[str]:
    """Give those of the processes that are remembered."""
    return [name for name in names if states.get(name) is not None]


def test_the_one_used_longest_ago_goes_first() -> None:
    """Looking at a state counts as using it."""
    states = KnownStates(states_max=2)
    for name in ("a", "b"):
        states.keep(GRAPH, state(name))
    states.get("a")
    states.keep(GRAPH, state("c"))

    assert kept(states, "a", "b", "c") == ["a", "c"]


def test_large_states_are_bounded_by_their_bytes() -> None:
    """A few large ones push out as much as many small ones; one alone is kept whatever its size."""
    states = KnownStates(bytes_max=100_000)
    for name in ("a", "b", "c"):
        states.keep(GRAPH, state(name, 40_000))
    assert kept(states, "a", "b", "c") == ["b", "c"]

    states.keep(GRAPH, state("huge", 10_000_000))
    assert kept(states, "b", "c", "huge") == ["huge"]


def test_keeping_and_forgetting_again_and_again_costs_nothing() -> None:
    """The count of bytes follows what is held, so that the cache never shrinks to nothing."""
    states = KnownStates(bytes_max=100_000)
    for _ in range(100):
        for name in ("a", "b"):
            states.keep(GRAPH, state(name, 30_000))
        states.forget("a")
        states.forget("a")
    states.keep(GRAPH, state("a", 30_000))

    assert kept(states, "a", "b") == ["a", "b"]
    assert states._bytes == sum(known.size for known in states._states.values())


def test_an_ended_process_is_forgotten() -> None:
    """Little comes after it."""
    states = KnownStates()
    states.keep(GRAPH, state("a"))
    states.keep(GRAPH, replace(state("a"), status=ProcessStatus.COMPLETED))

    assert states.get("a") is None


def test_the_latest_state_replaces_the_older_one() -> None:
    """One state per process."""
    states = KnownStates()
    states.keep(GRAPH, state("a"))
    states.keep(GRAPH, replace(state("a"), version=9))

    known = states.get("a")
    assert known is not None
    assert known.state.version == 9
