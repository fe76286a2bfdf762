"""An order to another process, where the coordinators' own queue was deleted: it waits until that is back."""

from __future__ import annotations

import asyncio

import pytest

from saga.coordinator.publisher import Publisher
from saga.messages.command import Command
from saga.testing import InMemoryBroker, InMemoryBus, VirtualTimeLoop
from saga.testing.broker import COORDINATOR
from tests.integration.coordinator_world import Watch
from tests.support.scenario import Scenario

PARENT = """
  - {name: a, process: nested, timeout: 5}
"""


@pytest.mark.parametrize("which", ["an order to a child", "an answer to a parent"])
def test_it_waits_for_the_queue(which: str) -> None:
    """A broker confirms what no queue takes, unless it is asked to give it back: nobody would send it again."""

    async def publish() -> None:
        broker, watch = InMemoryBroker(), Watch()
        broker.declare(())
        broker.delete(COORDINATOR)
        story = Scenario.of(PARENT, children={"nested": "hash"}).starts()
        answer = Command("p0.b.a1:completed:5", "step.completed", '{"command_id": "p0.b.a1", "output": {}}')
        commands = [answer] if "answer" in which else story.sent
        publisher = Publisher(InMemoryBus(broker), watch)
        sending = asyncio.ensure_future(publisher.commands(story.state, commands, at=0))
        await asyncio.sleep(30)
        assert not sending.done()
        broker.declare(())
        await sending
        assert broker.waiting()[COORDINATOR] == 1
        assert "unroutable" not in watch.counts

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(publish())
