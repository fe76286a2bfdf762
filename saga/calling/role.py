"""The role `http-participants`: consume the queues of the services that have an address, call, and report."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from saga.calling.caller import ServiceCaller
from saga.calling.report import write_reports
from saga.errors import BusUnavailable, NotReady, StoreUnavailable
from saga.ports.clock import Clock
from saga.ports.participants import ParticipantTransport
from saga.ports.service_reports import ServiceReports, StoredReport

if TYPE_CHECKING:
    from saga.ports.bus import Consumption

REPORT_EVERY_S = 2.0
_GRACE_OF_THE_STORE_S = 1.0

_log = logging.getLogger(__name__)


class HttpParticipants:
    """Serve services over HTTP, also those that a later definition brings."""

    def __init__(
        self,
        name: str,
        *,
        transport: ParticipantTransport,
        reports: ServiceReports,
        clock: Clock,
        caller_for: Callable[[str], ServiceCaller | None],
        services: Callable[[], Collection[str]],
        prefetch: int,
    ) -> None:
        """Take how to make a caller (None: it can't be called), and what names those that have an address."""
        self._name = name
        self._transport = transport
        self._reports = reports
        self._clock = clock
        self._caller_for = caller_for
        self._services = services
        self._prefetch = prefetch
        self._served: dict[str, tuple[ServiceCaller, Consumption]] = {}

    async def run(self, stopping: asyncio.Event, *, grace_s: float) -> None:
        """Work until told to stop; calls that are under way then are finished within the grace."""
        try:
            while not stopping.is_set():
                await self._serve_new_ones()
                await self._report()
                with suppress(TimeoutError):
                    async with asyncio.timeout(REPORT_EVERY_S):
                        await stopping.wait()
        finally:
            await self._end(grace_s)

    async def _serve_new_ones(self) -> None:
        for service in sorted(set(self._services()) - set(self._served)):
            caller = self._caller_for(service)
            if caller is None:
                continue
            try:
                consumption = await self._transport.serve(service, caller.answer, concurrency=self._prefetch)
            except BusUnavailable as error:
                _log.warning("%s is not served yet: %s", service, error)
                return
            self._served[service] = caller, consumption
            _log.info("%s is called over HTTP", service)

    async def _report(self) -> None:
        text = write_reports([caller.report() for caller, _ in self._served.values()])
        with suppress(StoreUnavailable, NotReady):  # it is only news, and the next one comes soon
            await self._reports.save(StoredReport(self._name, self._clock.now(), text))

    async def _end(self, grace_s: float) -> None:
        """Take no more, let go of what waits, finish the calls, and have their replies confirmed."""
        for caller, _ in self._served.values():
            caller.let_go()
        await asyncio.gather(*(consumption.stop() for _, consumption in self._served.values()))
        await asyncio.gather(*(caller.finish(within_s=grace_s) for caller, _ in self._served.values()))
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_GRACE_OF_THE_STORE_S):
                await self._reports.withdraw(self._name)
