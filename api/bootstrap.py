"""The one composition root: from settings to a running server, and to its graceful end."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.resources import as_file, files

from prometheus_client import CollectorRegistry

from adapters.system.ids import SystemIds
from adapters.telemetry.crash_points import CrashingObserver
from adapters.telemetry.metrics import PrometheusObserver
from api.app import create_app
from api.backends import Backends, opened_backends
from api.collector import spare_the_collector
from api.logs import configure_logs
from api.readiness import Readiness
from api.server import HttpServer
from api.services import Services
from api.settings import Settings, check_service_urls
from api.webhooks import WebhookRole
from saga.coordinator.coordinator import Coordinator
from saga.coordinator.patience import patiently
from saga.coordinator.type_pauses import LOOK_EVERY_S
from saga.definition.catalog import Catalog
from saga.definition.checks import warnings_in
from saga.definition.model import SagaDefinition
from saga.definition.sources import load_definitions
from saga.errors import StoreUnavailable
from saga.participant import serve as serve_participants
from saga.ports.observer import Observer
from saga.replay.history import StoredHistories
from saga.replay.past import Past
from saga.replay.replaying import ReplayProcesses
from saga.usecases.accepting import StartPorts
from saga.usecases.deliveries import ProcessDeliveries
from saga.usecases.operate import OperateProcesses
from saga.usecases.read import ReadProcesses
from saga.usecases.rerun import RerunProcess
from saga.usecases.services import ReadServices
from saga.usecases.start import StartProcess
from saga.webhooks.policy import CallbackPolicy

log = logging.getLogger("saga.server")

API = "api"
COORDINATOR = "coordinator"
DEMO_PARTICIPANTS = "demo-participants"
HTTP_PARTICIPANTS = "http-participants"
ROLES = (API, COORDINATOR, HTTP_PARTICIPANTS)
_READY_POLL_S = 0.05
_READY_POLL_GROWTH = 1.05
_READY_POLL_MAX_S = 1.0


async def serve(settings: Settings, *, roles: Sequence[str] = ROLES, demo: bool = False) -> None:
    """Run a server until SIGTERM or SIGINT, then end it within its grace; nothing in hand is lost.

    Raises InvalidDefinition and SettingsError before anything is opened.
    """
    configure_logs(settings)
    definitions = _definitions(settings, demo=demo)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    registry = CollectorRegistry()
    observer = _observer(registry)
    async with opened_backends(settings, observer) as backends:
        spare_the_collector()
        await _Server(settings, backends, definitions, registry, observer).run(roles, stopping)


def _definitions(settings: Settings, *, demo: bool) -> tuple[SagaDefinition, ...]:
    found = [definition for source in settings.definitions for definition in load_definitions(source)]
    if demo:
        with as_file(files("api.demo") / "document_analysis.yaml") as file:
            found.extend(load_definitions(str(file)))
        found.extend(load_definitions("api.demo.trip_booking"))
    services = {step.service for definition in found for step in definition.steps if step.service is not None}
    check_service_urls(settings, services)
    for definition in found:
        for warning in warnings_in(definition):
            log.warning("%s: %s", definition.process_type, warning)
    return tuple(found)


def _observer(registry: CollectorRegistry) -> Observer:
    observer = PrometheusObserver(registry)
    crash_at = os.environ.get("SAGA_TEST_CRASH_AT")
    return CrashingObserver(observer, crash_at) if crash_at else observer


class _Server:
    """Hold the parts of one running server."""

    def __init__(
        self,
        settings: Settings,
        backends: Backends,
        definitions: Iterable[SagaDefinition],
        registry: CollectorRegistry,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._definitions = tuple(definitions)
        self._registry = registry
        self._observer = observer
        self._catalog = Catalog(backends.definitions)
        self._ids = SystemIds()
        self._may_call_back = CallbackPolicy(settings.webhook_hosts, settings.webhook_allow_private)
        self._webhooks = WebhookRole(settings, backends, observer, self._may_call_back)
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, roles: Sequence[str], stopping: asyncio.Event) -> None:
        readiness = Readiness(self._backends)
        http = HttpServer(create_app(self._services(readiness), with_api=API in roles), self._settings)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(http.run(stopping))
            ready = tasks.create_task(self._work(roles, readiness, http, stopping))
            await stopping.wait()
            if not ready.done():
                ready.cancel()

    async def _work(
        self, roles: Sequence[str], readiness: Readiness, http: HttpServer, stopping: asyncio.Event
    ) -> None:
        await self._prepare()
        stopping_tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as tasks:
            if COORDINATOR in roles:
                tasks.create_task(self._coordinator().run(stopping, grace_s=self._settings.shutdown_grace))
                tasks.create_task(self._webhooks.run(stopping, grace_s=self._settings.shutdown_grace))
            else:
                fresh = tasks.create_task(self._keep_catalog_fresh())
                stopping_tasks.append(fresh)
            if HTTP_PARTICIPANTS in roles and self._settings.service_urls:
                tasks.create_task(self._http_participants(stopping))
            if DEMO_PARTICIPANTS in roles:
                tasks.create_task(self._demo_participants(stopping))
            stopping_tasks.append(tasks.create_task(self._announce(readiness, http)))
            await stopping.wait()
            for task in stopping_tasks:
                task.cancel()

    async def _prepare(self) -> None:
        """Register the definitions and declare their queues; waits for the store and the broker."""

        async def register() -> None:
            await self._catalog.register(self._definitions, at=self._backends.clock.now())

        await patiently(register, self._observer)
        await patiently(lambda: self._backends.bus.declare(self._catalog.services()), self._observer)

    async def _keep_catalog_fresh(self) -> None:
        """See which definitions other servers make current; a coordinator looks by itself."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(StoreUnavailable):
                await self._catalog.refresh()

    async def _announce(self, readiness: Readiness, http: HttpServer) -> None:
        """Say once, on one line, that the server is ready."""
        pause_s = _READY_POLL_S
        while not http.is_listening or await readiness():  # no broker or store tells it
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * _READY_POLL_GROWTH, _READY_POLL_MAX_S)
        store = "RabbitMQ and MongoDB" if self._settings.amqp_url else f"the folder {self._settings.data}"
        types = ", ".join(self._catalog.types()) or "no process types"
        sys.stderr.write(f"ready at {http.address} on {store}: {types}\n")
        sys.stderr.flush()

    def _services(self, readiness: Readiness) -> Services:
        backends = self._backends
        ports = StartPorts(
            log=backends.log,
            projections=backends.projections,
            bus=backends.bus,
            clock=backends.clock,
            ids=self._ids,
            observer=self._observer,
            name=self._name,
        )
        read = ReadProcesses(backends.log, backends.projections, self._catalog, backends.bus, backends.clock)
        histories = StoredHistories(backends.log, self._catalog)
        return Services(
            start=StartProcess(ports, self._catalog, self._may_call_back),
            rerun=RerunProcess(ports, self._catalog, self._may_call_back),
            read=read,
            deliveries=ProcessDeliveries(backends.deliveries, read, backends.clock),
            operate=OperateProcesses(read, backends.projections, self._catalog, backends.bus, backends.clock),
            participants=ReadServices(
                self._catalog,
                backends.bus,
                backends.service_reports,
                backends.clock,
                configured=self._settings.service_urls.keys(),
            ),
            past=Past(histories),
            replay=ReplayProcesses(histories, backends.projections),
            catalog=self._catalog,
            readiness=readiness,
            settings=self._settings,
            metrics=self._registry,
        )

    def _coordinator(self) -> Coordinator:
        backends = self._backends
        return Coordinator(
            log=backends.log,
            projections=backends.projections,
            catalog=self._catalog,
            locks=backends.locks,
            bus=backends.bus,
            clock=backends.clock,
            ids=self._ids,
            observer=self._observer,
            name=self._name,
            prefetch=self._settings.prefetch,
            with_step_events=self._settings.step_events,
            callbacks=self._webhooks.callbacks,
            may_call_back=self._may_call_back,
        )

    async def _http_participants(self, stopping: asyncio.Event) -> None:
        from api.http_participants import call_services  # noqa: PLC0415 - only where a service has an address

        await call_services(
            self._settings,
            self._backends,
            self._observer,
            self._name,
            services=self._catalog.services,
            stopping=stopping,
        )

    async def _demo_participants(self, stopping: asyncio.Event) -> None:
        from api.demo.participants import demo_participants  # noqa: PLC0415 - only the demo needs them

        transport = await self._backends.connect_participants()
        try:
            # One that has an address is somebody else's: both would take commands from one queue.
            called = self._settings.service_urls
            ours = [participant for participant in demo_participants() if participant.service not in called]
            await serve_participants(*ours, transport=transport)
            await stopping.wait()
        finally:
            await transport.close()
