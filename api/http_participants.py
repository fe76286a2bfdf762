"""Wire the role `http-participants`; only loaded where a service has an address."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack

from adapters.http.calls import HttpCalls
from api.backends import Backends
from api.settings import Settings, SettingsError, addresses_of, check_service_urls
from api.version import VERSION
from saga.calling.caller import CallLimits, ServiceCaller
from saga.calling.role import HttpParticipants
from saga.errors import BusUnavailable
from saga.ports.observer import Observer

log = logging.getLogger("saga.server")


async def call_services(
    settings: Settings,
    backends: Backends,
    observer: Observer,
    name: str,
    *,
    services: Callable[[], Collection[str]],
    stopping: asyncio.Event,
) -> None:
    """Call those of the services that have an address, until told to stop. Raises SettingsError."""
    check_service_urls(settings, services())
    older = await _with_a_queue(backends, settings.service_urls.keys())
    refused: set[str] = set()

    def to_be_called() -> Collection[str]:
        return settings.service_urls.keys() & (older | set(services())) - refused

    limits = CallLimits(settings.service_concurrency, settings.service_timeout)
    async with AsyncExitStack() as stack:

        def caller_for(service: str) -> ServiceCaller | None:
            try:
                addresses = addresses_of(settings, service) or ()
            except SettingsError as error:
                # Another server brought the definition that names it: this one goes on without.
                log.warning("it is not called: %s", error)
                refused.add(service)
                return None
            # One more than the limit for each: a probe may go where calls of before the ejection still hang.
            calls = HttpCalls(connections_max=len(addresses) * (limits.at_once + 1))
            stack.push_async_callback(calls.close)
            return ServiceCaller(
                service,
                addresses,
                calls=calls,
                clock=backends.clock,
                observer=observer,
                limits=limits,
                user_agent=f"batuta/{VERSION}",
            )

        transport = await backends.connect_participants()
        stack.push_async_callback(transport.close)
        role = HttpParticipants(
            name,
            transport=transport,
            reports=backends.service_reports,
            clock=backends.clock,
            caller_for=caller_for,
            services=to_be_called,
            prefetch=settings.prefetch,
        )
        await role.run(stopping, grace_s=settings.shutdown_grace)


async def _with_a_queue(backends: Backends, services: Collection[str]) -> frozenset[str]:
    """Name those that a queue stands for: processes of earlier definitions may still command them."""
    try:
        return frozenset(await backends.bus.standings(services))
    except BusUnavailable:
        return frozenset()
