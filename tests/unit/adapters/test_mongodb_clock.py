"""The store's clock on made-up clocks: what it takes for the time, and when it says that it doesn't know."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from adapters.mongodb.clock import StoreClock
from saga.errors import NotReady


@dataclass
class _World:
    """A server whose clock is ahead of the machine's, and round trips that take a while."""

    monotonic_s: float = 500.0
    wall_s: float = 1_000_000.0
    ahead_s: float = 0.0
    trips_s: tuple[tuple[float, float], ...] = ((0.0, 0.0),) * 3
    asked: int = 0

    def __post_init__(self) -> None:
        self.clock = StoreClock(
            self.server_time, monotonic=lambda: self.monotonic_s, wall=lambda: self.wall_s
        )

    def pass_time(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds

    async def server_time(self) -> float:
        there_s, back_s = self.trips_s[self.asked % len(self.trips_s)]
        self.asked += 1
        self.pass_time(there_s)
        answer = self.wall_s + self.ahead_s
        self.pass_time(back_s)
        return answer


def test_time_is_unknown_before_the_first_sample() -> None:
    """Nothing is guessed from the machine's own clock."""
    with pytest.raises(NotReady):
        _World().clock.now()


async def test_time_is_the_servers_and_goes_on_without_it() -> None:
    """Between samples the monotonic clock carries it."""
    world = _World(ahead_s=0.25)
    await world.clock.sample()
    assert world.clock.now() == 1_000_000_250
    world.pass_time(3_600)
    assert world.clock.now() == 1_003_600_250


async def test_half_of_the_quickest_round_trip_is_accounted_for() -> None:
    """The slow answers are passed over; of the quickest one the error is below half its length."""
    world = _World(trips_s=((0.5, 0.1), (0.01, 0.01), (0.1, 0.8)))
    await world.clock.sample()
    assert abs(world.clock.now() - world.wall_s * 1000) <= 1


async def test_an_answer_that_took_too_long_tells_no_time() -> None:
    """A round trip above a second, on a frozen machine say, leaves the time unknown."""
    world = _World(trips_s=((0.0, 5.0),))
    await world.clock.sample()
    with pytest.raises(NotReady):
        world.clock.now()


@pytest.mark.parametrize("ahead_s", [1.5, -1.5, 600.0])
async def test_a_machine_whose_clock_is_a_second_off_is_not_ready(ahead_s: float) -> None:
    """In either direction; the message says by how much."""
    world = _World(ahead_s=ahead_s)
    await world.clock.sample()
    with pytest.raises(NotReady, match=f"{int(-ahead_s * 1000)} ms"):
        world.clock.now()


async def test_a_machine_that_slept_is_not_ready_until_it_sampled_again() -> None:
    """Its monotonic clock stood still while the wall clock went on."""
    world = _World()
    await world.clock.sample()
    world.wall_s += 60
    with pytest.raises(NotReady):
        world.clock.now()
    await world.clock.sample()
    assert world.clock.now() == 1_000_060_000


async def test_time_never_decreases_when_a_sample_sets_it_back() -> None:
    """After a failover to a server whose clock is behind, time stands until the new clock caught up."""
    world = _World(ahead_s=0.8)
    await world.clock.sample()
    before = world.clock.now()
    world.ahead_s = -0.1
    await world.clock.sample()
    assert world.clock.now() == before
    world.pass_time(2)
    assert world.clock.now() == 1_000_001_900
