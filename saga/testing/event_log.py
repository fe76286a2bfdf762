"""The log in memory."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from saga.errors import UnreadableLog, VersionConflict
from saga.process.transition import Transition


class InMemoryEventLog:
    """Keep transitions by process and number; implements `saga.ports.event_log.EventLog`."""

    def __init__(self) -> None:
        self._logs: dict[str, dict[int, Transition]] = {}

    async def append(self, transition: Transition, *more: Transition) -> None:
        """Store transitions unless their number is taken; the same write (by its mark) may be repeated."""
        if self.store(transition):
            for following in more:
                self.store(following)

    async def restore(self, transition: Transition, *more: Transition) -> None:
        """Do what `append` does: nothing here sends anything by itself."""
        await self.append(transition, *more)

    async def read(self, process_id: str, after: int = 0) -> Sequence[Transition]:
        """Give the transitions above `after`, in order; raises UnreadableLog where one is missing."""
        log = self._logs.get(process_id, {})
        found = [log[first] for first in sorted(log) if first > after]
        expected = 1 if after == 0 else None
        for transition in found:
            if expected is not None and transition.first != expected:
                raise UnreadableLog(process_id, expected, f"the log goes on with {transition.first}")
            expected = transition.last + 1
        return found

    async def read_all(self, after: str = "") -> AsyncIterator[Transition | UnreadableLog]:
        """Stream everything, process by process."""
        for process_id in sorted(self._logs):
            if process_id > after:
                log = self._logs[process_id]
                for first in sorted(log):
                    yield log[first]

    def store(self, transition: Transition) -> bool:
        """Do what `append` does, at once; True when it was new. Raises VersionConflict."""
        log = self._logs.setdefault(transition.process_id, {})
        stored = log.get(transition.first)
        if stored is None:
            log[transition.first] = _without_delivery(transition)
            return True
        if stored.mark != transition.mark:
            raise VersionConflict(transition.process_id, transition.first)
        return False


def _without_delivery(transition: Transition) -> Transition:
    """Drop the name of the delivery, which is no part of the log."""
    if transition.cause.delivery is None:
        return transition
    return replace(transition, cause=replace(transition.cause, delivery=None))
