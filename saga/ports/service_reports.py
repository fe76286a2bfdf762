"""The port by which processes that call services tell those that are asked about them."""

from collections.abc import Sequence
from typing import Protocol

from saga.values import value


@value
class StoredReport:
    """Hold the last word of one reporter: `at` is the store's time (milliseconds), `text` is opaque here."""

    reporter: str
    at: int
    text: str


class ServiceReports(Protocol):
    """Keep one report per reporter. Every call raises StoreUnavailable, and repeating it is safe."""

    async def save(self, report: StoredReport) -> None:
        """Put the report in the place of the reporter's last one."""
        ...

    async def since(self, at: int) -> Sequence[StoredReport]:
        """Give the reports that are not older than this, in the order of the reporters' names."""
        ...

    async def withdraw(self, reporter: str) -> None:
        """Forget what a reporter said; harmless where it said nothing."""
        ...
