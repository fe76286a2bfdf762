"""The HTTP side as tests use it: the app on a free port, over the embedded store, with no coordinator.

Nothing moves a process but the test itself, by `play`, so that each state can be looked at in peace.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from prometheus_client import CollectorRegistry

from adapters.embedded.store import EmbeddedStore
from adapters.system.ids import SystemIds
from api.app import create_app
from api.server import HttpServer
from api.services import Services
from api.settings import ApiToken, Settings
from saga.coordinator.projector import project
from saga.definition.catalog import Catalog
from saga.definition.sources import parse_definition
from saga.messages.json_text import JsonText
from saga.process.events import Accepted
from saga.process.evolve import fold
from saga.process.timers import next_wake
from saga.process.transition import Cause, Transition
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
from saga.webhooks.policy import NOBODY, CallbackPolicy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.messages.json_text import JsonObject
    from saga.process.events import Event
    from saga.process.state import ProcessState

DEFINITION = """
process_type: document_analysis
parameters:
  type: object
  required: [document_id]
  properties: {document_id: {type: string}}
timeout: 10
steps:
  - {name: ingestion, service: ingestion, action: ingest, compensation: discard, expected: 2}
  - {name: analysis, service: analysis, action: analyze, compensation: forget, expected: 5}
  - {name: indexing, service: indexing, action: index, compensation: remove}
"""
BODY: JsonObject = {"process_type": "document_analysis", "parameters": {"document_id": "doc123"}}


class SilentObserver:
    """Hear nothing: these tests look at the answers."""

    def reached(self, point: str) -> None:
        """Pass on."""

    def counted(self, name: str, **labels: str) -> None:
        """Count nothing."""


class Service:
    """A running service and what it stands on."""

    def __init__(self, store: EmbeddedStore, catalog: Catalog, services: Services, url: str) -> None:
        self.store = store
        self.catalog = catalog
        self.services = services
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
        self.not_ready: tuple[str, ...] = ()

    async def start(self, body: JsonObject | None = None, headers: dict[str, str] | None = None) -> str:
        """Start a process and give its id."""
        answer = await self.http.post("/process", json=body or BODY, headers=headers)
        assert answer.status_code == 202, answer.text
        process_id: str = answer.json()["process_id"]
        return process_id

    async def play(
        self, process_id: str, *events: Event, at: int | None = None, is_projected: bool = True
    ) -> ProcessState:
        """Append events to a process's log and project it, as a coordinator would; the second comes later."""
        state = fold(await self.store.log.read(process_id))
        assert state is not None
        transition = Transition(
            process_id=process_id,
            first=state.version + 1,
            events=events,
            commands=(),
            cause=Cause(f"test:{state.version}", "test", ""),
            at=self.store.clock.now() if at is None else at,
            by="test",
            mark=f"{process_id}:{state.version}",
        )
        await self.store.log.append(transition)
        after = fold([transition], state)
        assert after is not None
        if is_projected:
            known = await self.catalog.get(after.origin.definition_hash)
            await self.store.projections.save(project(after, next_wake(known.graph, after)))
        return after

    async def processes(self) -> int:
        """Count the processes that the log knows."""
        return len({transition.process_id async for transition in self.store.log.read_all()})

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and give all that comes back until the connection is closed."""
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                answer += chunk
        writer.close()
        return answer

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a bare connection."""
        address = urlsplit(self.url)
        assert address.hostname is not None
        return await asyncio.open_connection(address.hostname, address.port)


def initial(process_id: str, catalog: Catalog, *, at: int = 1_000) -> Transition:
    """Make the first event of a process, for tests that accept one without the API."""
    known = catalog.current("document_analysis")
    assert known is not None
    parameters = JsonText('{"document_id":"doc123"}')
    event = Accepted("document_analysis", known.hash, parameters, {}, "hash", "", None, None)
    return Transition(process_id, 1, (event,), (), Cause(process_id, "test", ""), at, "test", process_id)


@contextlib.asynccontextmanager
async def running_service(
    folder: Path,
    *,
    tokens: tuple[ApiToken, ...] = (),
    settings: Settings | None = None,
    may_call_back: CallbackPolicy = NOBODY,
) -> AsyncIterator[Service]:
    """Run a service for as long as the block lasts."""
    store = await EmbeddedStore.open(folder)
    catalog = Catalog(store.definitions)
    await catalog.register([parse_definition(DEFINITION, source="test")], at=store.clock.now())
    await store.bus.declare(catalog.services())
    ports = StartPorts(
        log=store.log,
        projections=store.projections,
        bus=store.bus,
        clock=store.clock,
        ids=SystemIds(),
        observer=SilentObserver(),
        name="test",
    )
    held: list[Service] = []

    async def readiness() -> tuple[str, ...]:
        return held[0].not_ready

    settings = settings or Settings(http_port=0, api_tokens=tokens)
    read = ReadProcesses(store.log, store.projections, catalog, store.bus, store.clock)
    histories = StoredHistories(store.log, catalog)
    services = Services(
        start=StartProcess(ports, catalog, may_call_back),
        rerun=RerunProcess(ports, catalog, may_call_back),
        read=read,
        deliveries=ProcessDeliveries(store.deliveries, read, store.clock),
        operate=OperateProcesses(read, store.projections, catalog, store.bus, store.clock),
        participants=ReadServices(
            catalog, store.bus, store.service_reports, store.clock, configured=frozenset()
        ),
        past=Past(histories),
        replay=ReplayProcesses(histories, store.projections),
        catalog=catalog,
        readiness=readiness,
        settings=settings,
        metrics=CollectorRegistry(),
    )
    server = HttpServer(create_app(services), settings)
    stopping = asyncio.Event()
    running = asyncio.create_task(server.run(stopping))
    held.append(Service(store, catalog, services, server.address))
    try:
        await eventually(lambda: server.is_listening, what="the server listens")
        yield held[0]
    finally:
        await held[0].http.aclose()
        stopping.set()
        await running
        await store.close()
