"""The port to the log: the truth about every process."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from saga.process.transition import Transition


class EventLog(Protocol):
    """Append and read transitions; the number of a process's next event is the optimistic lock.

    All reads see every append that was acknowledged before they began (a majority read on the primary).
    """

    async def append(self, transition: Transition, *more: Transition) -> None:
        """Store one transition durably (on a majority), or several of one process that follow each other.

        It is all of it or nothing. Those that are stored together have one mark.
        Returns also when this very write (same mark) is stored already, so that repeating it is safe.
        Concurrent calls are coalesced into one round trip. Raises VersionConflict when another write has
        the number, OutcomeUnknown when the store did not say, StoreUnavailable when it was not reached,
        Unstorable when it is too large.
        """
        ...

    async def read(self, process_id: str, after: int = 0) -> Sequence[Transition]:
        """Give the transitions whose first event is numbered above `after`, in order; empty if there are none.

        `after` is 0, or the last number of what was appended at once.

        Raises UnreadableLog for a document that this version can't read, StoreUnavailable.
        """
        ...

    def read_all(self) -> AsyncIterator[Transition]:
        """Stream every transition of every process, each process's in order, in bounded memory."""
        ...
