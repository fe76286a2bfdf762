"""Run sagas in a test: the production coordinator on the ports in memory, in time that nobody waits for."""

import asyncio
import contextvars
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from os import PathLike, fspath
from typing import Self, TypeVar, cast
from uuid import UUID

from saga.coordinator.coordinator import Coordinator
from saga.definition.catalog import Catalog
from saga.definition.model import SagaDefinition
from saga.definition.sources import checked, load_definitions
from saga.messages.json_text import JsonObject
from saga.participant import Participant, serve
from saga.participant.service import DEFAULT_CONCURRENCY
from saga.ports.participants import NoReply, ReplyMessage
from saga.replay.exporting import ExportHistories
from saga.replay.history import StoredHistories
from saga.replay.verifying import Verification
from saga.testing.broker import COORDINATOR, DeadLetter, InMemoryBroker
from saga.testing.bus import InMemoryBus, InMemoryParticipants, reply_in_memory
from saga.testing.clock import LoopClock
from saga.testing.definitions import InMemoryDefinitionStore
from saga.testing.event_log import InMemoryEventLog
from saga.testing.harness_process import HarnessProcess
from saga.testing.locks import InMemoryLockStore
from saga.testing.projections import InMemoryProjectionStore
from saga.testing.scripted import ScriptedService
from saga.testing.virtual_time import IN_BACKGROUND, VirtualTimeLoop
from saga.usecases.accepting import StartPorts
from saga.usecases.operate import OperateProcesses
from saga.usecases.read import ReadProcesses
from saga.usecases.start import StartProcess, StartRequest

T = TypeVar("T")

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
_NAME = "harness"
_PREFETCH = 200
_TICK_S = 0.001
# A timer that has been overdue for longer went off in vain, as that of a process that waits for a lock does.
_OVERDUE_MAX_MS = 10
_SCRIPTED_AT_ONCE = 1_000_000
# Timers that go off one after the other, and no log grows: a handler that only looks at its watch.
_LEAPS_IN_VAIN_MAX = 20_000


class Harness:
    """Hold definitions, services and processes of one test.

        with Harness("trip.yaml") as harness:
            harness.service("hotel").on("book").completes({"room": 7})
            trip = harness.start("trip_booking", {"price": 10}).ends()
            assert trip.status == "completed"

    It is driven from plain test functions, never from a coroutine: it has a loop of its own, in which hours pass
    at once. Handlers of participants run there too: they may sleep and use threads, but it has no sockets.
    """

    def __init__(
        self, *definitions: "str | PathLike[str] | SagaDefinition", starts_at: datetime = EPOCH
    ) -> None:
        """Load definitions (files, folders, modules, `Saga` objects), and begin at a point in time.

        Raises InvalidDefinition.
        """
        _refuse_coroutines()
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._virtual = cast("VirtualTimeLoop", self._runner.get_loop())
        self._virtual.may_be_at_work = self._has_commands_in_hand
        self._broker = InMemoryBroker()
        self._transport = InMemoryParticipants(self._broker)
        self._services: dict[str, ScriptedService] = {}
        self._served: set[str] = set()
        self._watch = _Watch()
        self._stopping = asyncio.Event()
        self._coordinating: asyncio.Task[None] | None = None
        self.log = InMemoryEventLog()
        self.projections = InMemoryProjectionStore()
        self._definitions = InMemoryDefinitionStore()
        self._catalog = Catalog(self._definitions)
        self._bus = InMemoryBus(self._broker)
        self._starts_at = starts_at
        self._run(self._open())
        try:
            for definition in definitions:
                self.load(definition)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        """Give the harness; it is closed at the end."""
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Close it; where the test has failed already, nothing more is checked."""
        if failure is None:
            self.close()
        else:
            self._end()

    @property
    def now(self) -> datetime:
        """Give the virtual time."""
        return datetime.fromtimestamp(self.clock.now() / 1000, UTC)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """Give the messages that could not be processed."""
        return self._broker.dead_letters

    def load(self, definition: "str | PathLike[str] | SagaDefinition") -> None:
        """Add the definitions of a file, a folder or a module, or a `Saga`. Raises InvalidDefinition."""
        if isinstance(definition, SagaDefinition):
            found: tuple[SagaDefinition, ...] = (checked(definition, source=definition.process_type),)
        else:
            found = load_definitions(fspath(definition))
        self._run(self._catalog.register(found, at=self.clock.now()))
        self._run(self._bus.declare(self._catalog.services()))

    def service(self, name: str) -> ScriptedService:
        """Give the service that a test scripts. Raises ValueError for one that a participant carries out."""
        if name not in self._services:
            scripted = ScriptedService(name, self._send)
            self._run(self._serve_scripted(scripted))
            self._services[name] = scripted
        return self._services[name]

    def serve(self, *participants: Participant, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        """Let participants of the kit carry out their services. Raises ValueError for one that is scripted."""
        for participant in participants:
            self._claim(participant.service)
        self._run(serve(*participants, transport=self._transport, concurrency=concurrency))

    def start(
        self,
        process_type: str,
        parameters: JsonObject | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        process_id: str | None = None,
    ) -> HarnessProcess:
        """Start a process and let happen what takes no time.

        Raises UnknownProcessType, InvalidParameters, IdempotencyConflict, UnscriptedCommand, and ValueError for
        a `process_id` that is no UUID.
        """
        if process_id is not None:
            _refuse_what_is_no_uuid(process_id)
        for name in sorted(self._catalog.services() - self._served):
            self.service(name)  # a command that nobody expects must be seen, not time out
        request = StartRequest(
            process_type, parameters or {}, labels or {}, None, process_id, None, _NAME, None
        )
        started = self._run(self._starting(request))
        process = HarnessProcess(started.process_id, self)
        self.advance(0)
        return process

    def advance(self, seconds: float) -> None:
        """Let time pass, with all that happens in it. Raises UnscriptedCommand; ValueError for a way back."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"time passes forward only, by zero or more seconds, not {seconds!r}")
        self._run(self._pass_until(self._virtual.time() + seconds))

    def drive(self, is_reached: Callable[[], Awaitable[bool]], *, within: float) -> bool:
        """Let things happen until a condition holds; False where it does not within so many seconds.

        False at once where nothing is left to happen. Raises UnscriptedCommand.
        """
        return self._run(self._drive(is_reached, self._virtual.time() + within))

    def export(self) -> str:
        """Write all processes as JSON Lines, as `saga export` does; `saga verify` and the others read them."""
        return self._run(self._export())

    def close(self) -> None:
        """End everything; again it does nothing.

        Raises UnscriptedCommand for one that came and that nobody waited for, and AssertionError where a process
        would be decided otherwise from its own log.
        """
        if self._stopping.is_set():
            return
        try:
            self._raise_problems()
            self._run(self._verify())
        finally:
            self._end()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine in the harness's loop and time, such as one that looks into a store."""
        return self._run(work)

    def _end(self) -> None:
        if not self._stopping.is_set():
            self._run(self._stop())
            self._runner.close()

    # In the loop

    async def _open(self) -> None:
        self.clock = LoopClock(int(self._starts_at.timestamp() * 1000))
        ids = CountedIds()
        ports = StartPorts(
            log=self.log,
            projections=self.projections,
            bus=self._bus,
            clock=self.clock,
            ids=ids,
            observer=self._watch,
            name=_NAME,
        )
        coordinator = Coordinator(
            log=self.log,
            projections=self.projections,
            catalog=self._catalog,
            locks=InMemoryLockStore(),
            bus=self._bus,
            clock=self.clock,
            ids=ids,
            observer=self._watch,
            name=_NAME,
            prefetch=_PREFETCH,
        )
        self._starting = StartProcess(ports, self._catalog)
        self.read = ReadProcesses(self.log, self.projections, self._catalog, self._bus, self.clock)
        self.operate = OperateProcesses(self.read, self.projections, self._catalog, self._bus, self.clock)
        background = contextvars.copy_context()
        background.run(IN_BACKGROUND.set, True)  # noqa: FBT003 - a variable takes its value in this way
        self._coordinating = asyncio.create_task(
            coordinator.run(self._stopping, grace_s=0), context=background
        )

    async def _serve_scripted(self, scripted: ScriptedService) -> None:
        self._claim(scripted.name)

        async def take(body: bytes) -> NoReply:
            try:
                return await scripted.take(body)
            except Exception as error:  # noqa: BLE001 - it is raised where the test waits
                self._watch.problems.append(error)
                return NoReply.ELSEWHERE

        await self._transport.serve(scripted.name, take, concurrency=_SCRIPTED_AT_ONCE)

    def _claim(self, service: str) -> None:
        if service in self._served:
            raise ValueError(
                f"the service {service!r} is carried out already: script it, or serve it, before"
            )
        self._served.add(service)

    def _has_commands_in_hand(self) -> bool:
        return any(count for queue, count in self._broker.waiting().items() if queue != COORDINATOR)

    def _send(self, reply: ReplyMessage) -> None:
        self._broker.put(reply_in_memory(reply))

    async def _pass_until(self, at: float) -> None:
        async def is_over() -> bool:
            return self._virtual.time() >= at

        await self._drive(is_over, at)
        self._virtual.leap_to(at)

    async def _drive(self, is_reached: Callable[[], Awaitable[bool]], deadline: float) -> bool:
        appended, leaps_in_vain = -1, 0
        while leaps_in_vain < _LEAPS_IN_VAIN_MAX:
            # All that is due happens before the shortest time is over.
            await asyncio.sleep(_TICK_S)
            await self._virtual.settle()
            self._raise_problems()
            if await is_reached():
                return True
            next_at = self._next_at()
            if next_at is None or next_at > deadline:
                return False
            self._virtual.leap_to(next_at)
            leaps_in_vain = leaps_in_vain + 1 if appended == self._watch.appended else 0
            appended = self._watch.appended
        return False

    def _next_at(self) -> float | None:
        """Give the loop's time of the next thing that will happen; None where nothing will.

        That is a timer of a process, an answer of a script, or a timer that a participant's handler sleeps by.
        """
        recent = self.clock.now() - _OVERDUE_MAX_MS
        timers = (self.clock.loop_time_of(at) for at in self.projections.timers() if at > recent)
        return min((at for at in (self._virtual.next_awaited_at, *timers) if at is not None), default=None)

    def _raise_problems(self) -> None:
        if self._watch.problems:
            raise self._watch.problems.pop(0)

    async def _export(self) -> str:
        exporting = ExportHistories(StoredHistories(self.log, self._catalog), self._definitions)
        lines = []
        async for line in exporting.lines():
            if isinstance(line, Exception):
                raise line
            lines.append(line)
        return "\n".join(lines) + "\n"

    async def _verify(self) -> None:
        histories = StoredHistories(self.log, self._catalog)
        verification = Verification(histories)
        async for history in histories.every():
            verified = await verification.verify(history)
            if verified is not None and not verified.is_well:
                raise AssertionError(f"a decision can't be repeated from the log: {verified.document()}")

    async def _stop(self) -> None:
        self._stopping.set()
        await self._transport.close()
        await self._bus.close()
        if self._coordinating is not None:
            await self._coordinating

    def _run(self, work: Coroutine[object, object, T]) -> T:
        try:
            _refuse_coroutines()
            self._refuse_when_closed()
        except RuntimeError:
            work.close()
            raise
        return self._runner.run(work)

    def _refuse_when_closed(self) -> None:
        if self._virtual.is_closed():
            raise RuntimeError("the harness is closed: look at its processes before the end of its `with`")


def _refuse_coroutines() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "the harness is driven from a plain function: write `def test_…`, not `async def test_…`"
    )


def _refuse_what_is_no_uuid(process_id: str) -> None:
    try:
        UUID(process_id)
    except ValueError:
        raise ValueError(f"the id of a process is a UUID, not {process_id!r}") from None


class CountedIds:
    """Count ids instead of drawing them, so that each run of a test is the same run."""

    def __init__(self) -> None:
        self._processes = count(1)
        self._marks = count(1)

    def process_id(self) -> str:
        """Give the next id of a process."""
        return f"00000000-0000-4000-8000-{next(self._processes):012d}"

    def mark(self) -> str:
        """Give the next mark of a write."""
        return f"m{next(self._marks)}"


@dataclass
class _Watch:
    """Hear what the coordinator does; keep what a test must not miss."""

    problems: list[Exception] = field(default_factory=list)
    appended: int = 0

    def reached(self, point: str) -> None:
        """Count the appends: where there is none, nothing moves on."""
        self.appended += point == "appended"

    def counted(self, name: str, **_: str) -> None:
        """Keep the news of a defect."""
        if name == "defect":
            self.problems.append(AssertionError("the coordinator met a defect of its own; see its log"))
