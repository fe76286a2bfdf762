"""What is published again after a queue of the broker was deleted with its messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from saga.ports.bus import APP_ID
from saga.process.effects import outstanding
from saga.testing import InMemoryMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.cases import Case


def outstanding_messages(case: Case) -> Iterator[InMemoryMessage]:
    """Give the stored commands that are still waiting for an answer, and the answers to a parent."""
    assert case.state is not None
    for transition in case.log:
        for command in outstanding(case.state, transition.commands):
            exchange = "saga.events" if command.is_reply else "saga.commands"
            yield InMemoryMessage(
                exchange, command.routing_key, command.body.encode(), command.command_id, APP_ID
            )


def news_for(process_id: str) -> InMemoryMessage:
    """Give a message that changes nothing, and makes a coordinator look at a process."""
    body = {"process_id": process_id, "version": 0, "due_at": 0}
    return InMemoryMessage("saga.commands", "process.wake", json.dumps(body).encode(), f"look:{process_id}")
