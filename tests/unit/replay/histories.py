"""Histories for the tests of replay: the log of a story on the pure machine, in memory."""

from dataclasses import replace

from saga.definition.canonical import canonical_text, definition_hash
from saga.definition.catalog import KnownDefinition, known_definition
from saga.definition.sources import parse_definition
from saga.ports.definitions import StoredDefinition
from saga.process.events import Accepted
from saga.process.transition import Transition
from saga.testing import InMemoryEventLog
from tests.support.scenario import Scenario, saga_text

STEPS = """
  - {name: hotel, service: hotel, action: book, compensation: cancel}
  - {name: payment, service: payment, action: charge, compensation: refund, after: [hotel]}
"""


def definition(steps: str = STEPS) -> StoredDefinition:
    """Give the stored definition of the story's saga."""
    text = canonical_text(parse_definition(saga_text(steps), source="test"))
    return StoredDefinition(definition_hash(text), "test_saga", text, 1_000)


def known(steps: str = STEPS) -> KnownDefinition:
    """Give the definition ready to use."""
    return known_definition(definition(steps))


def booked(process_id: str = "p1") -> list[Transition]:
    """Give the log of a process that has a hotel and waits for its payment: three transitions, five events."""
    return paid(process_id)[:3]


def paid(process_id: str = "p1") -> list[Transition]:
    """Give the log of a process that completed: one transition more, and seven events."""
    story = Scenario.of(STEPS)
    story.starts()
    story.completes("hotel", {"room": 7})
    story.completes("payment", 12)
    return [_of(process_id, transition) for transition in story.log]


def _of(process_id: str, transition: Transition) -> Transition:
    events = tuple(
        replace(event, definition_hash=definition().hash) if isinstance(event, Accepted) else event
        for event in transition.events
    )
    return replace(transition, process_id=process_id, events=events)


async def log_of(*transitions: Transition) -> InMemoryEventLog:
    """Put transitions into a log in memory."""
    log = InMemoryEventLog()
    for transition in transitions:
        await log.append(transition)
    return log
