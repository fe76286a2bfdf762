"""One run: servers that come and go over one store and one broker, first with faults, then without."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saga.definition.catalog import Catalog
from saga.definition.model import SagaDefinition
from saga.testing import (
    InMemoryDefinitionStore,
    InMemoryEventLog,
    InMemoryLockStore,
    InMemoryMessage,
    InMemoryProjectionStore,
    VirtualTimeLoop,
)
from saga.testing.broker import COORDINATOR
from tests.simulation.clients import Client, send_poison
from tests.simulation.definitions import SERVICES, budget_s, random_family
from tests.simulation.faultless import differences, untroubled
from tests.simulation.judge import SKEW_MS, Judge
from tests.simulation.lost import news_for, outstanding_messages
from tests.simulation.network import Chance
from tests.simulation.participants import Participants
from tests.simulation.people import Operator, Person
from tests.simulation.ports import EPOCH_MS, SimulatedBroker
from tests.simulation.servers import Api, Incarnation
from tests.simulation.truth import judge_effects
from tests.support.virtual_time import ticks

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.simulation.plan import Plan

_TICK_S = 0.25
_QUIET_WITHIN_S = 120.0
# Longer than any pause of a coordinator that tries again: it may work on a message that its queue has lost.
_QUIET_FOR_S = 3.0
_REDELIVERED = 4


@dataclass(slots=True)
class Verdict:
    """Hold how a run went: the broken promises, the log in few lines, and what makes two runs the same run."""

    plan: Plan
    problems: list[str]
    story: str
    trace: tuple[object, ...]

    def __str__(self) -> str:
        listed = "\n".join(self.problems[:10])
        return f"{listed}\n{self.story}\nrun it again: {self.plan.command}"


class World:
    """Hold everything of one run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = Chance(plan.rng("faults"), plan.rates)
        self.log = InMemoryEventLog()
        self.projections = InMemoryProjectionStore()
        self.locks = InMemoryLockStore()
        self.definition_store = InMemoryDefinitionStore()
        self.catalog = Catalog(self.definition_store)
        rng = plan.rng("definitions")
        self.definitions = {
            one["process_type"]: one
            for number in range(plan.processes)
            for one in random_family(rng, f"saga{number}")
        }
        self.api = Api(self)
        self.poison: set[str] = set()
        self._by_caller: dict[str, str] = {}
        self._incarnations: dict[int, Incarnation] = {}
        self._lives = 0
        self._is_over = False
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> Verdict:
        """Run with faults, then without, then deliver again; stop at the first broken promise."""
        asyncio.get_running_loop().set_exception_handler(self._hear_of_error)
        await self.catalog.register(
            [SagaDefinition.model_validate(one) for one in self.definitions.values()], at=EPOCH_MS
        )
        graphs = {name: (await self._graph(name)) for name in self.definitions}
        self.judge = Judge(self.definitions, graphs, self._now)
        self.judge.skew_ms = 2 * SKEW_MS if "clock_skew" in self.plan.rates else 0
        self.broker = SimulatedBroker(self.chance, self.judge)
        self.participants = Participants(self.plan.seed, self.chance, self.plan.rates, self.judge)
        self.participants.serve(self.broker)
        self.person, self.operator = Person(self), Operator(self)
        self.judge.listeners.append(self.person.heard)
        for number in range(self.plan.coordinators):
            self._launch(number)
        clients = [
            self._spawn(Client(self, number, f"saga{number}").run()) for number in range(self.plan.processes)
        ]
        clients += [
            self._spawn(send_poison(self, number)) for number in range(3) if self.chance.strikes("poison")
        ]
        for phase in (self._with_faults, self._without_faults, self._deliver_again):
            if not self.judge.problems:
                await phase(clients)
        verdict = self._verdict()
        await self._end()
        return verdict

    def accepted(self, caller: str, process_id: str) -> None:
        """Note a 202."""
        if process_id not in self.judge.cases:
            self.judge.complain("I14", process_id, "was answered by 202 and is in no log")
        if self._by_caller.setdefault(caller, process_id) != process_id:
            self.judge.complain("I14", process_id, "the same key gave another process")

    def _hear_of_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Hear of an exception that nobody awaits: of the simulation's own, or of a task of a server's."""
        self.judge.complain("the simulation", str(context.get("message")), repr(context.get("exception")))

    def note_defect(self, problem: str) -> None:
        """Hear that a server met what it did not expect."""
        self.judge.complain("defect", "a coordinator", problem)

    async def broker_is_back(self) -> None:
        """Wait while the broker is away."""
        async for _ in ticks(0.3):
            if not self.broker.is_away:
                return

    async def _graph(self, process_type: str) -> Any:
        known = self.catalog.current(process_type)
        assert known is not None
        return known.graph

    def _now(self) -> int:
        return EPOCH_MS + int(asyncio.get_running_loop().time() * 1000)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        return task

    # The servers' lives

    def _launch(self, number: int) -> None:
        if self._is_over:
            return
        self._lives += 1
        life = Incarnation(self, f"c{number}.{self._lives}", lambda _: self._bury(number))
        self._incarnations[number] = life
        life.task.add_done_callback(self._ended)

    def _bury(self, number: int) -> None:
        """Clear away what a dead coordinator leaves, and let another one come some time later."""
        life = self._incarnations.pop(number)
        self.judge.remembered(life.remembered())
        life.task.cancel()
        life.bus.vanish()
        asyncio.get_running_loop().call_later(self.chance.seconds(0.1, 4), self._launch, number)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.judge.complain("defect", "a coordinator", f"ended by {task.exception()!r}")

    async def _restart(self, number: int) -> None:
        life = self._incarnations.get(number)
        if life is None:
            return  # it died in the meantime
        life.stopping.set()
        await asyncio.wait([life.task])
        if self._incarnations.get(number) is life:
            life.server.die()

    # The phases

    async def _with_faults(self, clients: list[asyncio.Task[None]]) -> None:
        async for _ in ticks(_TICK_S, within_s=self.plan.faults_for_s):
            is_over = all(client.done() for client in clients) and self._is_quiet()
            if self.judge.problems or is_over:
                return
            self._strike()

    def _strike(self) -> None:
        chance = self.chance
        for number, life in tuple(self._incarnations.items()):
            if chance.strikes("crash", over_s=_TICK_S):
                life.server.die()
                continue
            if chance.strikes("restart", over_s=_TICK_S):
                self._spawn(self._restart(number))
            if chance.strikes("freeze", over_s=_TICK_S):
                life.server.freeze(chance.seconds(1, 20))
                life.bus.give_back()
            if chance.strikes("disconnect", over_s=_TICK_S):
                life.bus.lose_connection()
            if chance.strikes("clock_unsure", over_s=_TICK_S):
                life.clock.be_unsure(chance.seconds(0.5, 3))
            if chance.strikes("clock_skew", over_s=_TICK_S):
                life.clock.be_off(chance.rng.randint(-2 * SKEW_MS, 2 * SKEW_MS))
        self.operator.strike(over_s=_TICK_S)
        if not self.broker.is_away and chance.strikes("outage", over_s=_TICK_S):
            self._leave()
        if chance.strikes("queue_gone", over_s=_TICK_S):
            service = chance.rng.choice(SERVICES)
            self.broker.delete(f"saga.step.{service}")
            asyncio.get_running_loop().call_later(chance.seconds(0.2, 5), self.broker.declare, (service,))

        if chance.strikes("coordinators_queue_gone", over_s=_TICK_S):
            self.broker.delete(COORDINATOR)
            asyncio.get_running_loop().call_later(chance.seconds(0.2, 3), self.broker.declare, ())

    def _leave(self) -> None:
        self.broker.is_away = True
        for life in self._incarnations.values():
            life.bus.give_back()
        asyncio.get_running_loop().call_later(self.chance.seconds(0.5, 8), self._return)

    def _return(self) -> None:
        if self.broker.is_away:
            self.broker.is_away = False
            for life in self._incarnations.values():
                life.bus.return_()
            for queue in self.broker.waiting():
                self.broker.serve(queue)

    async def _without_faults(self, clients: list[asyncio.Task[None]]) -> None:
        """Let everything end: that is what the budgets promise."""
        self.chance.calm()
        self.participants.calm()
        self.broker.declare(SERVICES)
        self._return()
        for life in self._incarnations.values():
            life.server.thaw()
            life.clock.be_unsure(0)
            life.clock.be_off(0)
        if self.chance.has_struck("coordinators_queue_gone"):
            await self._publish_again()
        within_s = budget_s(self.definitions.values()) + _QUIET_WITHIN_S
        if not await self._becomes_quiet(clients, within_s):
            self.judge.complain("I13", "the run", f"is not quiet: {self.broker.waiting()}, {self._open()}")
        if not self.judge.problems:
            self._judge_end()

    async def _publish_again(self) -> None:
        """Do what somebody must do after the coordinators' queue was deleted with its messages.

        What participants were to answer comes back by time-outs. But nothing brings back a message between a
        process and its children; and where the coordinator died too that had just appended a transition, nobody
        knows of it until a message or a timer of that process comes.
        """
        await asyncio.sleep(_QUIET_FOR_S)
        for process_id, case in self.judge.cases.items():
            for message in outstanding_messages(case):
                self.broker.put(message)
            if case.projected < case.version:
                self.broker.put(news_for(process_id))

    async def _deliver_again(self, clients: list[asyncio.Task[None]]) -> None:
        """Deliver some messages once more: no event, and no command that wasn't sent before."""
        before = self._trace()
        consumed = self.judge.consumed
        for message in self.plan.rng("again").sample(consumed, min(_REDELIVERED, len(consumed))):
            self.broker.put(_copy(message))
        if not await self._becomes_quiet(clients, _QUIET_WITHIN_S):
            self.judge.complain("I13", "the run", "is not quiet after messages came again")
        if self._trace() != before:
            changed = sorted(map(str, {*before} ^ {*self._trace()}))
            self.judge.complain("I4", "the run", f"a message that came again changed {changed}")

    async def _end(self) -> None:
        """Let every server die, and its tasks come to their end: nothing of a run may wake up in the next."""
        self._is_over = True
        for life in tuple(self._incarnations.values()):
            life.server.die()
        await asyncio.sleep(_QUIET_FOR_S)

    async def _becomes_quiet(self, clients: list[asyncio.Task[None]], within_s: float) -> bool:
        quiet_s = 0.0
        async for _ in ticks(_TICK_S, within_s=within_s):
            self.operator.tidy_up()
            is_quiet = all(client.done() for client in clients) and self._is_quiet()
            quiet_s = quiet_s + _TICK_S if is_quiet else 0
            if self.judge.problems or quiet_s >= _QUIET_FOR_S:
                return True
        return False

    def _is_quiet(self) -> bool:
        return (
            not (self.participants.busy or self.person.busy or self.operator.busy)
            and not self.chance.late_effects
            and not self.broker.held
            and not any(self.broker.waiting().values())
            and not self._open()
        )

    def _open(self) -> list[str]:
        """Name the processes on their way, also suspended ones of which a part still goes on."""
        return [name for name, case in self.judge.cases.items() if self.judge.is_open(case)]

    def _judge_end(self) -> None:
        held = {key: lock.holder for key, lock in self.locks._locks.items()}
        self.judge.finish(self.projections._projections, held)
        for client, task in enumerate(self._background):
            if task.done() and not task.cancelled() and task.exception() is not None:
                self.judge.complain("the simulation", str(client), repr(task.exception()))
        parked = {letter.message.message_id for letter in self.broker.dead_letters}
        lost = self.poison if self.chance.has_struck("coordinators_queue_gone") else set()
        for message_id in sorted(self.poison - parked - lost):
            self.judge.complain("I15", message_id, "was neither processed nor parked")
        for life in self._incarnations.values():
            self.judge.remembered(life.remembered())
        judge_effects(self)

    def _trace(self) -> tuple[object, ...]:
        logs = tuple((process_id, case.version) for process_id, case in self.judge.cases.items())
        return (logs, tuple(sorted(self.judge.sent)))

    def _verdict(self) -> Verdict:
        judge = self.judge
        told = [one for one in judge.cases if any(one in problem for problem in judge.problems)]
        story = "\n".join(f"  {one}\n{judge.cases[one].tell(one)}" for one in told or judge.cases)
        return Verdict(self.plan, judge.problems, story, self._trace())


def _copy(message: InMemoryMessage) -> InMemoryMessage:
    return InMemoryMessage(
        message.exchange, message.routing_key, message.body, message.message_id, message.app_id, None,
        message.headers,
    )  # fmt: skip


def run(plan: Plan) -> tuple[Verdict, World]:
    """Run a plan, and give what it leaves behind with the verdict."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        world = World(plan)
        return runner.run(world.run()), world


def simulate(plan: Plan) -> Verdict:
    """Run a plan from the beginning to the verdict; the same plan gives the same run."""
    logging.getLogger("saga.coordinator").setLevel(logging.CRITICAL)
    chance = random.getstate()
    random.seed(plan.seed)  # the pauses between the coordinator's attempts are chance too
    try:
        verdict, world = run(plan)
        untouched = {} if verdict.problems else untroubled(world)
        if untouched and plan.rates:
            _, calm = run(plan.narrowed(faults="none", processes=None, coordinators=None))
            verdict.problems.extend(differences(untouched, calm))
        return verdict
    finally:
        random.setstate(chance)
