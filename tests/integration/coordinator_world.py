"""Coordinators over one embedded store, driven message by message: a real file, and a clock moved by hand."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from adapters.embedded.bus import EmbeddedBus
from adapters.embedded.folder import FILE_NAME
from adapters.embedded.messages import NewMessage
from adapters.embedded.routing import COORDINATOR, exchange_name
from adapters.embedded.store import EmbeddedStore
from adapters.system.ids import SystemIds
from saga.coordinator.admission import admit
from saga.coordinator.callbacks import Callbacks
from saga.coordinator.handler import Handler, Parts, Settled
from saga.coordinator.loader import Loader
from saga.coordinator.lock_keeper import LockKeeper
from saga.coordinator.projector import Projector
from saga.coordinator.publisher import Publisher
from saga.coordinator.standings import Standings
from saga.coordinator.timekeeper import Timekeeper
from saga.coordinator.worker import Worker
from saga.definition.catalog import Catalog
from saga.definition.sources import parse_definition
from saga.ports.bus import APP_ID, Exchange
from saga.process.codec import event_name
from saga.testing import ManualClock
from saga.webhooks.policy import CallbackPolicy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from saga.messages.json_text import Json, JsonObject
    from saga.ports.bus import Consumption, OutgoingMessage, PublishResult

TWO_STEPS = """
process_type: two_steps
retry: {attempts: 3, backoff: 5, jitter: 0}
timeout: 30
steps:
- {name: one, service: first, action: do, compensation: undo}
- {name: two, service: second, action: do, compensation: undo}
"""
START = 1_800_000_000_000
ID = "0199a1b2-0000-7000-8000-000000000001"


@dataclass
class Watch:
    """Hear what a coordinator does."""

    points: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)

    def reached(self, point: str) -> None:
        """Note a point of the protocol."""
        self.points.append(point)

    def counted(self, name: str, **_: str) -> None:
        """Note a count."""
        self.counts.append(name)


@dataclass
class Handed:
    """A message as a broker would hand it over, with what the embedded bus never lacks left out."""

    routing_key: str
    body: bytes
    message_id: str | None = None
    app_id: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    exchange: str = "saga.events"
    tag: str | None = None
    acknowledged: int = 0

    async def acknowledge(self) -> None:
        """Count the acknowledgements."""
        self.acknowledged += 1


class WatchedBus(EmbeddedBus):
    """The embedded bus, with a list of what was published on it."""

    published: list[OutgoingMessage]

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Note it and publish it."""
        self.published.append(message)
        return await super().publish(message)

    def took(self, routing_key: str) -> list[str]:
        """Give the ids of the messages published under a routing key."""
        return [one.message_id for one in self.published if one.routing_key == routing_key]


class Member:
    """One coordinator: a handler of its own, with its own cache of states, on the shared store."""

    def __init__(self, store: EmbeddedStore, clock: ManualClock, name: str) -> None:
        self.watch = Watch()
        self.bus = WatchedBus(store._switch, clock)
        self.bus.published = []
        self.catalog = Catalog(store.definitions)
        self.timekeeper = Timekeeper(self.bus, store.projections, clock, self.watch)
        publisher = Publisher(self.bus, self.watch)
        projector = Projector(store.projections, self.watch)
        loader = Loader(store.log, store.projections, self.catalog)
        self.kept = 0
        callbacks = Callbacks(store.deliveries, self.watch, on_kept=self._count_kept)
        self.handler = Handler(
            Parts(
                log=store.log,
                standings=Standings(loader, publisher, projector, self.timekeeper, self.watch, callbacks),
                catalog=self.catalog,
                publisher=publisher,
                projector=projector,
                timekeeper=self.timekeeper,
                locks=LockKeeper(store.locks, loader, self.bus, clock, self.watch),
                clock=clock,
                ids=SystemIds(),
                observer=self.watch,
                name=name,
                callbacks=callbacks,
                may_call_back=CallbackPolicy(("hooks.example.com",)),
            )
        )
        self.worker = Worker(
            self.bus,
            self.handler,
            self.catalog,
            self.watch,
            clock,
            new_process_id=SystemIds().process_id,
            prefetch=200,
        )

    def _count_kept(self) -> None:
        self.kept += 1

    async def handle(self, delivery: Handed) -> Settled | None:
        """See one message through without a queue or an acknowledgement."""
        return await self.handler.handle(admit(delivery, new_process_id=SystemIds().process_id), delivery)

    async def consume(self) -> Consumption:
        """Take messages from the coordinators' queue."""
        return await self.bus.consume(self.worker.take, prefetch=200)


class World:
    """One store in a folder, and as many coordinators as a test needs."""

    def __init__(self, store: EmbeddedStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.clock = ManualClock(START)
        self.members: list[Member] = []

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open the store and declare the services of the two steps."""
        store = await EmbeddedStore.open(folder)
        await store.bus.declare(["first", "second"])
        return cls(store, folder)

    async def member(self, *definitions: str) -> Member:
        """Add a coordinator that knows the definitions."""
        member = Member(self.store, self.clock, f"c{len(self.members)}")
        parsed = [parse_definition(text, source="test") for text in definitions or (TWO_STEPS,)]
        await member.catalog.register(parsed, at=START)
        self.members.append(member)
        return member

    async def close(self) -> None:
        """Close what was opened."""
        for member in self.members:
            await member.bus.close()
        await self.store.close()

    async def events(self, process_id: str = ID) -> list[str]:
        """Name the events of a process."""
        log = await self.store.log.read(process_id)
        return [event_name(event) for transition in log for event in transition.events]

    async def version(self, process_id: str = ID) -> int:
        """Give the version that is projected."""
        projection = await self.store.projections.load(process_id)
        return 0 if projection is None else projection.version

    async def put(
        self, routing_key: str, body: Json, *, app_id: str | None = None, message_id: str = ""
    ) -> None:
        """Put a message on the coordinators' queue, as any sender would."""
        is_reply = routing_key.startswith("step.")
        await self.store._switch.put(
            NewMessage(
                queue=COORDINATOR,
                exchange=exchange_name(Exchange.EVENTS if is_reply else Exchange.COMMANDS),
                routing_key=routing_key,
                message_id=message_id,
                correlation_id="",
                kind=routing_key,
                timestamp=self.clock.now(),
                arrived_at=self.clock.now(),
                body=body.encode() if isinstance(body, str) else json.dumps(body).encode(),
                app_id=app_id,
            )
        )

    async def quiet(self) -> None:
        """Wait until the coordinators' queue is empty and nothing of it is in hand."""
        query = f"SELECT count(*) FROM messages WHERE queue = '{COORDINATOR}'"  # noqa: S608 - our own name
        await eventually(lambda: self.rows(query) == [(0,)], what="an empty queue")

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the file, as any SQLite shell would."""
        with closing(sqlite3.connect(self.folder / FILE_NAME)) as connection:
            found = connection.execute(query, values).fetchall()
            connection.commit()
            return found

    def dead_letters(self) -> list[str]:
        """Give the reasons of the dead letters in their order."""
        return [str(reason) for (reason,) in self.rows("SELECT reason FROM dead_letters ORDER BY position")]


def start(process_id: str | None = ID, **more: Json) -> Handed:
    """Make a start message of somebody else's."""
    body: JsonObject = {"process_type": "two_steps", "parameters": {"a": 1}, **more}
    if process_id is not None:
        body["process_id"] = process_id
    return Handed("process.start", json.dumps(body).encode(), exchange="saga.commands")


def reply(word: str, command: str, *, process_id: str = ID, **more: Json) -> Handed:
    """Make a reply to a command, such as `one.a1`."""
    return Handed(f"step.{word}", json.dumps({"command_id": f"{process_id}.{command}", **more}).encode())


def wake(version: int, due_at: int, process_id: str = ID) -> Handed:
    """Make a wake."""
    body = {"process_id": process_id, "version": version, "due_at": due_at}
    return Handed("process.wake", json.dumps(body).encode(), app_id=APP_ID, exchange="saga.commands")


def process_ids(count: int) -> Sequence[str]:
    """Make so many ids of processes that nobody started."""
    return [f"0199a1b2-0000-7000-9000-{number:012}" for number in range(count)]
