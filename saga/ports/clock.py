"""The ports to time and chance; the core gets both as arguments."""

from typing import Protocol


class Clock(Protocol):
    """Tell the store's time, which all coordinators share."""

    def now(self) -> int:
        """Give milliseconds since 1970 UTC, never decreasing. Raises NotReady when the offset is unsure."""
        ...

    async def sleep_until(self, at: int) -> None:
        """Wait until the store's time is `at` (milliseconds)."""
        ...


class Ids(Protocol):
    """Draw ids; nothing that decides ever calls it."""

    def process_id(self) -> str:
        """Draw a sortable, unique id (UUIDv7)."""
        ...

    def mark(self) -> str:
        """Draw a short unique mark for one write."""
        ...
