"""Say how the participants are: from the queues, and from what the processes that call them report."""

from collections.abc import Collection
from contextlib import suppress

from saga.calling.report import read_reports
from saga.definition.catalog import Catalog
from saga.messages.json_text import JsonObject
from saga.ports.bus import MessageBus
from saga.ports.clock import Clock
from saga.ports.service_reports import ServiceReports
from saga.views.service import CalledBy, service_document

# A reporter speaks every other second; one that was silent for so long is gone.
REPORT_AGE_MAX_MS = 10_000


class ReadServices:
    """Read how the services stand that the current definitions command."""

    def __init__(
        self,
        catalog: Catalog,
        bus: MessageBus,
        reports: ServiceReports,
        clock: Clock,
        *,
        configured: Collection[str],
    ) -> None:
        """Take beside the ports which services have an address in the settings of this process."""
        self._catalog = catalog
        self._bus = bus
        self._reports = reports
        self._clock = clock
        self._configured = configured

    async def list(self) -> list[JsonObject]:
        """Give a document per service, in order. Raises StoreUnavailable, BusUnavailable and NotReady."""
        now = self._clock.now()
        called: dict[str, list[CalledBy]] = {}
        for stored in await self._reports.since(now - REPORT_AGE_MAX_MS):
            with suppress(ValueError):  # of a server of another version, while they are being replaced
                for report in read_reports(stored.text):
                    called.setdefault(report.service, []).append((stored.at, report))
        services = sorted(self._catalog.services() | called.keys())
        standings = await self._bus.standings(services)
        return [
            service_document(
                service,
                standings.get(service),
                called.get(service, ()),
                is_configured=service in self._configured,
            )
            for service in services
        ]
