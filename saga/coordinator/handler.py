"""The heart: one message in, its transition in the log, its commands on their way, then the acknowledgement.

The unacknowledged message is the outbox. A crash at any point leads to its redelivery; whoever takes it then
finds it in the log, publishes what is still outstanding of its transition, the stored bytes with the same
ids, and acknowledges. The tests kill the process at each of these points:
received, decided, append_sent, appended, published, confirmed, projected, acked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from saga.coordinator.admitted import (
    Admitted,
    AdmittedControl,
    AdmittedMigration,
    AdmittedReply,
    AdmittedStart,
    Rejected,
    is_progress,
)
from saga.coordinator.callbacks import Callbacks
from saga.coordinator.lock_keeper import LockKeeper
from saga.coordinator.patience import patiently
from saga.coordinator.projector import Projector
from saga.coordinator.publisher import Publisher
from saga.coordinator.rulings import Beginning, NoProcess, Ruling, Standing, rule, rule_on_new
from saga.coordinator.standings import Standings
from saga.coordinator.timekeeper import Timekeeper
from saga.coordinator.turns import Turns
from saga.definition.catalog import Catalog
from saga.definition.graph import StepGraph
from saga.errors import UnknownDefinition, Unstorable, VersionConflict
from saga.ports.bus import APP_ID, Delivery
from saga.ports.clock import Clock, Ids
from saga.ports.event_log import EventLog
from saga.ports.observer import Observer
from saga.process.effects import effects
from saga.process.state import ProcessState
from saga.process.timers import Wake, next_wake
from saga.process.transition import Cause, Transition
from saga.values import value
from saga.webhooks.policy import NOBODY, CallbackPolicy

_Received: TypeAlias = tuple[Admitted, Delivery]

# What is appended at once for several messages; a document of the store may be four times as large.
AT_ONCE_BYTES_MAX = 2 * 1024 * 1024


@value
class Parts:
    """Hold what the handler works with; the composition root fills it."""

    log: EventLog
    standings: Standings
    catalog: Catalog
    publisher: Publisher
    projector: Projector
    timekeeper: Timekeeper
    locks: LockKeeper
    clock: Clock
    ids: Ids
    observer: Observer
    name: str
    callbacks: Callbacks | None = None
    may_call_back: CallbackPolicy = NOBODY


@value
class Settled:
    """Hold where a message left its process, and what is still to be told of it before the acknowledgement."""

    graph: StepGraph
    state: ProcessState
    wake: Wake | None
    untold: Sequence[Transition] = ()
    parked: str | None = None


class Handler:
    """Bring one admitted message to its end; messages of one process take turns."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turns: Turns[_Received, Settled | None] = Turns(self._settle, self._settle_all)

    async def handle(self, message: Admitted, delivery: Delivery) -> Settled | None:
        """Return when all that the message causes is durable and sent; the caller acknowledges.

        None means that there is no such process. Raises Rejected for the dead letters, UnreadableLog and
        UnknownDefinition for a process that can't go on, and GaveUp where the trouble lasted too long.
        """
        parts = self._parts
        settled = await self._turns.take(message.process_id, (message, delivery))
        if settled is None:
            return None
        # No command waits for these: they only hold up the acknowledgement.
        await parts.locks.settle(settled.graph, settled.state)
        news = parts.publisher.news(settled.state, settled.untold)
        if news:
            # Side by side: who waits for the end of a process must not wait for its projection.
            await asyncio.gather(self._project(settled), parts.publisher.tell(news))
        else:
            await self._project(settled)
        return settled

    async def _project(self, settled: Settled) -> None:
        await self._parts.projector.save(settled.state, settled.wake)
        self._parts.observer.reached("projected")

    async def _settle_all(self, received: Sequence[_Received]) -> Sequence[Settled | Exception | None]:
        """Settle messages of one process that waited together: in one append, as far as that goes."""
        settled: dict[int, Settled | Exception | None] = dict(await self._settle_at_once(received))
        for index, one in enumerate(received):
            if index in settled:
                continue
            try:
                settled[index] = await self._settle(one)
            except Exception as error:  # noqa: BLE001 - it is that of this message, which hears of it
                settled[index] = error
        return [settled[index] for index in range(len(received))]

    async def _settle_at_once(self, received: Sequence[_Received]) -> Mapping[int, Settled]:
        """Rule on one reply after the other, and append all at once; what is left over goes the common way.

        Each ruling is made on the state that the one before leads to. If the append fails, none of them counts.
        """
        parts = self._parts
        standing = parts.standings.remembered(received[0][0])
        if standing is None:
            return {}
        now = await patiently(self._now, parts.observer)
        mark = parts.ids.mark()
        ruled: dict[int, Ruling] = {}
        transitions: list[Transition] = []
        size = 0
        for index, (message, delivery) in enumerate(received):
            ruling = self._rule(message, standing, None, now) if isinstance(message, AdmittedReply) else None
            if ruling is None or not ruling.events:
                continue
            transition = self._transition(message, delivery, ruling, now, mark)
            size += _size(transition)
            if ruled and size > AT_ONCE_BYTES_MAX:
                break
            ruled[index] = ruling
            transitions.append(transition)
            standing = Standing(ruling.state, ruling.graph, is_fresh=False, seen=ruling.seen)
        if len(ruled) < 2:  # noqa: PLR2004 - one alone goes the common way
            return {}
        try:
            settled = await self._carry_out(list(ruled.values()), transitions)
        except VersionConflict:
            parts.observer.counted("conflict")
            return {}
        except Unstorable:
            return {}  # one of them is too large: it is found when each goes alone
        return dict(zip(ruled, settled, strict=True))

    async def _settle(self, received: _Received) -> Settled | None:
        message, delivery = received
        standings = self._parts.standings
        standing: Standing | NoProcess = standings.remembered(message) or NoProcess(is_fresh=False)
        if isinstance(standing, NoProcess) and not _looks_new(message, delivery):
            standing = await standings.fresh(message)
        while True:
            beginning = await self._beginning(message, standing)
            now = await patiently(self._now, self._parts.observer)
            ruling = self._rule(message, standing, beginning, now)
            if ruling is not None and ruling.events:
                mark = self._parts.ids.mark()
                transition = self._transition(message, delivery, ruling, now, mark)
                with suppress(VersionConflict):
                    return (await self._carry_out([ruling], [transition]))[0]
                self._parts.observer.counted("conflict")
            elif ruling is None and standing.is_fresh:
                return None
            elif ruling is not None and (standing.is_fresh or is_progress(message)):
                settled = await self._repeat(message, ruling)
                if settled is not None:
                    return settled
            # On a stale state a reply looks like a duplicate, and would be lost: rule on it again.
            standing = await standings.fresh(message)

    async def _beginning(self, message: Admitted, standing: Standing | NoProcess) -> Beginning | None:
        """Give what a new process starts with, or another goes on with; else None. Raises Rejected."""
        if isinstance(message, AdmittedMigration):
            return await self._target(message)
        if isinstance(standing, Standing) or not isinstance(message, AdmittedStart):
            return None
        command, catalog = message.command, self._parts.catalog
        if command.lineage is not None:
            known = await patiently(partial(catalog.get, command.lineage.definition), self._parts.observer)
            return Beginning(known, {}, catalog.is_paused(command.process_type))
        current = catalog.current(command.process_type)
        if current is None:
            if not standing.is_fresh:
                return None  # it may be accepted already, with a definition that this server never saw
            detail = f"no definition of {command.process_type[:80]!r} is loaded"
            raise Rejected("unknown-process-type", detail)
        problem = None if command.callback_url is None else self._callback_problem(command.callback_url)
        if problem is not None:
            if not standing.is_fresh:
                return None  # likewise: by a server with other settings
            raise Rejected("callback-refused", f"callback_url {problem}")
        return Beginning(current, catalog.pins(current), catalog.is_paused(command.process_type))

    def _callback_problem(self, url: str) -> str | None:
        return self._parts.may_call_back.problem_with(url)

    async def _target(self, message: AdmittedMigration) -> Beginning | None:
        """Give the version that a migration names; None where it, or a type that it starts, is not known."""
        catalog, observer = self._parts.catalog, self._parts.observer
        try:
            known = await patiently(partial(catalog.get, message.command.definition), observer)
            return Beginning(known, catalog.pins(known))
        except UnknownDefinition:
            return None

    def _rule(
        self, message: Admitted, standing: Standing | NoProcess, beginning: Beginning | None, now: int
    ) -> Ruling | None:
        """Rule on what is known; None where there is no process, or where only a fresh look can tell."""
        try:
            if isinstance(standing, Standing):
                is_paused = self._parts.catalog.is_paused(standing.state.origin.process_type)
                return rule(message, standing, now, is_paused=is_paused, target=beginning)
            if isinstance(message, AdmittedStart) and beginning is not None:
                return rule_on_new(message, beginning, now)
        except Rejected:
            if standing.is_fresh:
                raise
        return None

    def _transition(
        self, message: Admitted, delivery: Delivery, ruling: Ruling, now: int, mark: str
    ) -> Transition:
        state = ruling.state
        self._parts.observer.reached("decided")
        return Transition(
            process_id=message.process_id,
            first=state.version - len(ruling.events) + 1,
            events=ruling.events,
            commands=effects(ruling.graph, state, ruling.events, reply_key=self._parts.publisher.reply_key),
            cause=Cause(message.identity, message.kind, message.body, _taken_off(delivery, ruling)),
            at=max(now, state.updated_at),
            by=self._parts.name,
            mark=mark,
        )

    async def _carry_out(
        self, rulings: Sequence[Ruling], transitions: Sequence[Transition]
    ) -> Sequence[Settled]:
        """Append what was ruled, one after the other on one process, and publish its commands."""
        parts, last = self._parts, rulings[-1]
        state = last.state
        parts.observer.reached("append_sent")
        await patiently(lambda: parts.log.append(*transitions), parts.observer)
        parts.observer.reached("appended")
        wake = next_wake(last.graph, state, last.seen)
        parts.timekeeper.set(state.process_id, state.version, wake)
        commands = [command for transition in transitions for command in transition.commands]
        await parts.publisher.commands(state, commands, at=transitions[-1].at)
        # In the turn: no later message of the process may project it before this is kept.
        await self._keep_callbacks(state, transitions)
        parts.standings.keep(last.graph, state, last.seen)
        return [
            Settled(last.graph, state, wake, (transition,), ruling.parked)
            for ruling, transition in zip(rulings, transitions, strict=True)
        ]

    async def _repeat(self, message: Admitted, ruling: Ruling) -> Settled | None:
        """Tell again what a message changed that is in the log already: its first acknowledgement was lost.

        None where another coordinator, which has a copy of it, appended that only now: it was not seen yet.
        Of its commands, those that may not have been published were so when the log was read. More would echo:
        each copy of a command brings one more reply, and each of these one more copy of the next command.
        """
        parts = self._parts
        settled = Settled(
            ruling.graph,
            ruling.state,
            next_wake(ruling.graph, ruling.state, ruling.seen),
            parked=ruling.parked,
        )
        if is_progress(message):
            return settled
        log = await patiently(lambda: parts.log.read(message.process_id), parts.observer)
        for transition in log:
            if transition.cause.identity == message.identity:
                if transition.last > ruling.state.version:
                    return None
                parts.observer.counted("duplicate")
                await self._keep_callbacks(ruling.state, (transition,))
                return replace(settled, untold=(transition,))
        if isinstance(message, AdmittedControl | AdmittedMigration):
            parts.observer.counted("request_unrecorded")
        return settled

    async def _keep_callbacks(self, state: ProcessState, transitions: Sequence[Transition]) -> None:
        if self._parts.callbacks is not None:
            await self._parts.callbacks.keep(state, transitions)

    async def _now(self) -> int:
        return self._parts.clock.now()


def _size(transition: Transition) -> int:
    return len(transition.cause.body) + sum(len(command.body) for command in transition.commands)


def _looks_new(message: Admitted, delivery: Delivery) -> bool:
    """Guess that nobody accepted this start before, which saves a load; the append itself checks the guess.

    The API accepts its own starts in the log before it publishes them. A wrong guess costs one round trip.
    """
    return isinstance(message, AdmittedStart) and delivery.app_id != APP_ID


def _taken_off(delivery: Delivery, ruling: Ruling) -> str | None:
    """Name the delivery that the append may take off its queue: none of which a copy is still to be parked."""
    return None if ruling.parked else delivery.tag
