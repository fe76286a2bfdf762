"""The reports about services of the embedded default: in memory, since whoever reads them is the same process.

A row would cost a write to the disk every other second, and no start needs what an earlier server said.
"""

from collections.abc import Sequence

from saga.ports.service_reports import StoredReport


class EmbeddedServiceReports:
    """Implement `saga.ports.service_reports.ServiceReports`."""

    def __init__(self) -> None:
        self._reports: dict[str, StoredReport] = {}

    async def save(self, report: StoredReport) -> None:
        """Put the report in the place of the reporter's last one."""
        self._reports[report.reporter] = report

    async def since(self, at: int) -> Sequence[StoredReport]:
        """Give the reports that are not older than this, in the order of the reporters' names."""
        return [report for _, report in sorted(self._reports.items()) if report.at >= at]

    async def withdraw(self, reporter: str) -> None:
        """Forget what a reporter said."""
        self._reports.pop(reporter, None)
