"""The port to the log: the truth about every process."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from saga.errors import UnreadableLog
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

    async def restore(self, transition: Transition, *more: Transition) -> None:
        """Store transitions as `append` does, but put nothing on its way: they were carried out elsewhere."""
        ...

    async def read(self, process_id: str, after: int = 0) -> Sequence[Transition]:
        """Give the transitions whose first event is numbered above `after`, in order; empty if there are none.

        `after` is 0, or the last number of what was appended at once.

        Raises UnreadableLog for a document that this version can't read, StoreUnavailable.
        """
        ...

    def read_all(self, after: str = "") -> AsyncIterator[Transition | UnreadableLog]:
        """Stream every transition of every process behind the id `after`, in bounded memory.

        Processes come in the order of their ids, and each one's transitions in order. A document that this
        version can't read is given as the error, and the stream goes on; a gap is the caller's to find.
        """
        ...
