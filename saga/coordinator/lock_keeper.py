"""Take and release business keys for processes, by what their state says; each outcome goes back as a message.

Nothing here is remembered: whoever finds a process that waits tries again, and whoever finds a lock whose holder
has ended releases it in its place. So a crash, or lost news, costs the next in line a few seconds at most.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from saga.coordinator.loader import Loader
from saga.coordinator.outgoing import holder_message, lock_message
from saga.coordinator.patience import patiently
from saga.definition.graph import OnLocked, StepGraph
from saga.messages.lock import HolderNews, LockNews
from saga.ports.bus import MessageBus, OutgoingMessage
from saga.ports.clock import Clock
from saga.ports.locks import LockQueue, LockStore, Released
from saga.ports.observer import Observer
from saga.process.inputs import LockAnswer
from saga.process.state import Lock, ProcessState
from saga.process.timers import awaits_lock

T = TypeVar("T")

_QUEUES = {
    OnLocked.WAIT: LockQueue.WAIT,
    OnLocked.REFUSE: LockQueue.NONE,
    OnLocked.JOIN: LockQueue.JOIN,
}


class LockKeeper:
    """Bring the locks in line with where a process stands. Any coordinator may do it, any number of times."""

    def __init__(
        self, locks: LockStore, loader: Loader, bus: MessageBus, clock: Clock, observer: Observer
    ) -> None:
        self._locks = locks
        self._loader = loader
        self._bus = bus
        self._clock = clock
        self._observer = observer

    async def settle(self, graph: StepGraph, state: ProcessState) -> None:
        """Take what the process waits for, or release what it held; returns when the news is on its way."""
        if not graph.may_hold_locks:
            return
        if state.status.is_ended:
            await self._leave(state)
            if state.origin.root_id == state.process_id:
                await self._release_all(state)
        elif state.is_going_back:
            await self._leave(state)
        elif awaits_lock(state):
            await self._take_next(graph, state)

    async def _take_next(self, graph: StepGraph, state: ProcessState) -> None:
        if state.joined_to is not None:
            await self._look_at_holder(state, state.joined_to)
            return
        wanted = next(lock for lock in state.locks or () if not lock.is_held)
        root_id = state.origin.root_id
        holder = await self._take(graph, state, wanted)
        if holder != root_id and await self._release_if_ended(wanted.key, holder):
            holder = await self._take(graph, state, wanted)
        if holder == root_id:
            answer = LockAnswer.HELD
        elif graph.on_locked is OnLocked.WAIT:
            answer = await self._wait(state, wanted)
        else:
            answer = LockAnswer.JOINED if graph.on_locked is OnLocked.JOIN else LockAnswer.REFUSED
        if answer is not LockAnswer.WAITING or wanted.holder != holder:
            news = LockNews(state.process_id, wanted.key, answer, holder)
            await self._publish(lambda at: lock_message(news, at=at))

    async def _take(self, graph: StepGraph, state: ProcessState, wanted: Lock) -> str:
        return await self._patiently(
            lambda: self._locks.take(
                wanted.key,
                root_id=state.origin.root_id,
                process_id=state.process_id,
                queue=_QUEUES[graph.on_locked],
                at=state.updated_at,
            )
        )

    async def _wait(self, state: ProcessState, wanted: Lock) -> LockAnswer:
        """Wait, unless those who hold the key wait for this process in their turn.

        A process takes its keys in order, so a circle can close only through children that take more of them.
        """
        root_id = state.origin.root_id
        seen: set[str] = set()
        waiting = [root_id]
        while waiting:
            one = waiting.pop()
            holders = await self._patiently(partial(self._locks.awaited_by, one))
            if root_id in holders:
                await self._patiently(lambda: self._locks.withdraw(wanted.key, process_id=state.process_id))
                return LockAnswer.DEADLOCK
            waiting.extend(holder for holder in holders if holder not in seen)
            seen.update(holders)
        return LockAnswer.WAITING

    async def _look_at_holder(self, state: ProcessState, holder: str) -> None:
        """Tell a process that joined another one how that one ended, if it has."""
        loaded = await self._patiently(lambda: self._loader.load(holder))
        if loaded is None or not loaded.state.status.is_ended:
            return
        await self._tell_joiner(state.process_id, loaded.state)

    async def _release_if_ended(self, key: str, holder: str) -> bool:
        loaded = await self._patiently(lambda: self._loader.load(holder))
        if loaded is None or not loaded.state.status.is_ended:
            return False
        released = await self._patiently(lambda: self._locks.release(key, root_id=holder))
        if released is not None:
            self._observer.counted("lock_swept")
            await self._tell(released, loaded.state)
        return True

    async def _leave(self, state: ProcessState) -> None:
        for lock in state.locks or ():
            if not lock.is_held:
                await self._patiently(partial(self._locks.withdraw, lock.key, process_id=state.process_id))

    async def _release_all(self, state: ProcessState) -> None:
        for released in await self._patiently(lambda: self._locks.release_all(state.process_id)):
            await self._tell(released, state)

    async def _tell(self, released: Released, ended: ProcessState) -> None:
        if released.next_process_id is not None:
            # Its root is found again when it takes; here it is only woken.
            news = LockNews(released.next_process_id, released.key, LockAnswer.HELD, ended.process_id)
            await self._publish(lambda at: lock_message(news, at=at))
        for joiner_id in released.joiner_ids:
            await self._tell_joiner(joiner_id, ended)

    async def _tell_joiner(self, joiner_id: str, ended: ProcessState) -> None:
        news = HolderNews(joiner_id, ended.process_id, ended.status, ended.result)
        await self._publish(lambda at: holder_message(news, at=at))

    async def _publish(self, message: Callable[[int], OutgoingMessage]) -> None:
        # A clock that doesn't know the time is trouble that passes, as a broker that is away.
        await self._patiently(lambda: self._bus.publish(message(self._clock.now())))

    async def _patiently(self, action: Callable[[], Awaitable[T]]) -> T:
        return await patiently(action, self._observer)
