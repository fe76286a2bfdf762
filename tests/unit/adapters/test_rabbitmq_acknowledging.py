"""Acknowledgements that go together, and those that must not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import aiormq
from hypothesis import given
from hypothesis import strategies as st

from adapters.rabbitmq.acknowledging import Acknowledgements

if TYPE_CHECKING:
    from collections.abc import Sequence


class Channel:
    """Keep books as a broker does: what is unacknowledged, and what each acknowledgement took."""

    def __init__(self, *, is_lost: bool = False) -> None:
        self.unacknowledged: set[int] = set()
        self.said: list[tuple[int, bool]] = []
        self._is_lost = is_lost

    async def basic_ack(self, tag: int, *, multiple: bool = False, wait: bool) -> None:
        """Take it as the protocol says."""
        assert not wait
        if self._is_lost:
            raise aiormq.ChannelInvalidStateError
        assert tag in self.unacknowledged  # the broker would close the channel
        self.said.append((tag, multiple))
        self.unacknowledged -= {one for one in self.unacknowledged if one <= tag} if multiple else {tag}


def _opened(tags: Sequence[int], *, is_lost: bool = False) -> tuple[Channel, Acknowledgements, list[int]]:
    channel = Channel(is_lost=is_lost)
    lost: list[int] = []
    acknowledgements = Acknowledgements(cast("aiormq.Channel", channel), lambda: lost.append(1))
    for tag in tags:
        channel.unacknowledged.add(tag)
        acknowledgements.expect(tag)
    return channel, acknowledgements, lost


async def test_what_is_finished_at_once_is_acknowledged_at_once() -> None:
    """One acknowledgement stands for all up to it, in whatever order they were finished."""
    channel, acknowledgements, _ = _opened([1, 2, 3, 4])
    for tag in (3, 1, 2):
        acknowledgements.finish(tag)
    await acknowledgements.sent()
    assert channel.said == [(3, True)]
    assert channel.unacknowledged == {4}


async def test_one_that_is_still_in_hand_is_not_acknowledged_with_the_others() -> None:
    """Those behind it go one by one, and once it is finished they go together again."""
    channel, acknowledgements, _ = _opened([1, 2, 3])
    for tag in (2, 3):
        acknowledgements.finish(tag)
    await acknowledgements.sent()
    assert channel.said == [(2, False), (3, False)]
    channel.unacknowledged.add(4)
    acknowledgements.expect(4)
    for tag in (1, 4):
        acknowledgements.finish(tag)
    await acknowledgements.sent()
    assert channel.said[2:] == [(4, True)]


async def test_on_a_lost_channel_each_is_counted() -> None:
    """Nothing raises: the broker delivers them again."""
    _, acknowledgements, lost = _opened([1, 2], is_lost=True)
    for tag in (1, 2):
        acknowledgements.finish(tag)
    await acknowledgements.sent()
    assert len(lost) == 2


@given(st.lists(st.lists(st.integers(1, 30), unique=True), max_size=8))
def test_exactly_what_is_finished_is_acknowledged(bursts: list[list[int]]) -> None:
    """Whatever is finished together, and in whatever order."""

    async def run() -> None:
        channel, acknowledgements, _ = _opened(range(1, 31))
        left = set(range(1, 31))
        for burst in bursts:
            for tag in left & set(burst):
                acknowledgements.finish(tag)
            await acknowledgements.sent()
            left -= set(burst)
            assert channel.unacknowledged == left

    asyncio.run(run())
