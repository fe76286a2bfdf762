"""What one message caused: the events of one decision, and the commands as they were sent."""

from dataclasses import field

from saga.messages.command import Command
from saga.process.events import Event
from saga.values import value


@value
class Cause:
    """Name the message that a transition answers; `identity` is what makes a second delivery a duplicate.

    `delivery` is the tag of the delivery in hand, for a store that takes the message off its queue in the
    same transaction; it is no part of the log.
    """

    identity: str
    kind: str
    body: str
    delivery: str | None = field(default=None, compare=False)


@value
class Transition:
    """Hold what is appended at once, alone or with those that follow it: all of it or nothing.

    `first` is the number of the first event; the events are numbered from it without a gap. `at` is the
    store's time in milliseconds. `by` names the writer and `mark` this one write of it, so that a writer
    whose answer was lost can tell its own document from another's.
    """

    process_id: str
    first: int
    events: tuple[Event, ...]
    commands: tuple[Command, ...]
    cause: Cause
    at: int
    by: str
    mark: str

    @property
    def last(self) -> int:
        """Give the number of the last event: the version of the process after this transition."""
        return self.first + len(self.events) - 1
