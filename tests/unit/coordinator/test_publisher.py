"""What the coordinator says in the place of a participant whose queue is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.publisher import Publisher
from saga.errors import BusUnavailable
from saga.process.effects import effects
from saga.testing import InMemoryBroker, InMemoryBus
from tests.integration.coordinator_world import Watch
from tests.unit.coordinator.standings import begun

if TYPE_CHECKING:
    from saga.ports.bus import OutgoingMessage, PublishResult


class DoubtfulBus(InMemoryBus):
    """A bus that knows no service, and of which the first so many confirms get lost."""

    def __init__(self, lost_confirms: int) -> None:
        super().__init__(InMemoryBroker())
        self._lost_confirms = lost_confirms
        self.published: list[OutgoingMessage] = []

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Publish, and lose the confirm."""
        self.published.append(message)
        if len(self.published) <= self._lost_confirms:
            raise BusUnavailable("the confirm got lost")
        return await super().publish(message)


@pytest.mark.parametrize(
    ("lost_confirms", "again", "effect_unknown"),
    [(0, False, False), (1, False, True), (0, True, True)],
    ids=["the only copy", "after a lost confirm", "after another coordinator"],
)
async def test_a_command_that_comes_back_had_no_effect_only_if_it_is_the_only_copy(
    lost_confirms: int,
    again: bool,  # noqa: FBT001 - a case of the table
    effect_unknown: bool,  # noqa: FBT001 - likewise
) -> None:
    """An earlier copy may have been carried out before the queue was gone."""
    bus = DoubtfulBus(lost_confirms)
    ruling = begun()
    commands = effects(ruling.graph, ruling.state, ruling.events)

    await Publisher(bus, Watch()).commands(ruling.state, commands, at=0, again=again)

    answer = json.loads(bus.published[-1].body)
    assert answer["error"]["code"] == "unroutable"
    assert answer["error"]["effect_unknown"] is effect_unknown
