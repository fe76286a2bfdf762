"""The reports about services in memory."""

from collections.abc import Sequence

from saga.ports.service_reports import StoredReport


class InMemoryServiceReports:
    """Keep the last report of each; implements `saga.ports.service_reports.ServiceReports`."""

    def __init__(self) -> None:
        self._reports: dict[str, StoredReport] = {}

    async def save(self, report: StoredReport) -> None:
        """Put the report in the place of the last one."""
        self._reports[report.reporter] = report

    async def since(self, at: int) -> Sequence[StoredReport]:
        """Give the reports that are not older than this."""
        return [report for _, report in sorted(self._reports.items()) if report.at >= at]

    async def withdraw(self, reporter: str) -> None:
        """Forget what a reporter said."""
        self._reports.pop(reporter, None)
