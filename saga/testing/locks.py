"""The locks in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from saga.errors import Unstorable
from saga.ports.locks import LockQueue, Released


@dataclass(frozen=True, slots=True)
class _Place:
    process_id: str
    root_id: str
    waits: bool


@dataclass(slots=True)
class _Lock:
    holder: str
    queue: list[_Place] = field(default_factory=list)


class InMemoryLockStore:
    """Keep the locks that are held; implements `saga.ports.locks.LockStore`."""

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    async def take(self, key: str, *, root_id: str, process_id: str, queue: LockQueue, at: int) -> str:  # noqa: ARG002 - nobody looks into this store
        """Take a free lock, or queue up as `queue` says; give the root that holds it now."""
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise Unstorable(f"the key is no text that a store can hold: {error}") from error
        lock = self._locks.setdefault(key, _Lock(root_id))
        if lock.holder == root_id:
            _leave(lock, process_id)
        elif queue is not LockQueue.NONE and all(place.process_id != process_id for place in lock.queue):
            lock.queue.append(_Place(process_id, root_id, queue is LockQueue.WAIT))
        return lock.holder

    async def withdraw(self, key: str, *, process_id: str) -> None:
        """Leave the queue; harmless for who isn't in it."""
        lock = self._locks.get(key)
        if lock is not None:
            _leave(lock, process_id)

    async def release_all(self, root_id: str) -> Sequence[Released]:
        """Release every lock that this root holds, in the order of the keys."""
        keys = sorted(key for key, lock in self._locks.items() if lock.holder == root_id)
        return [self._pass_on(key, self._locks[key]) for key in keys]

    async def release(self, key: str, *, root_id: str) -> Released | None:
        """Pass the lock on to the first that waits; None where this root doesn't hold it."""
        lock = self._locks.get(key)
        return None if lock is None or lock.holder != root_id else self._pass_on(key, lock)

    async def awaited_by(self, root_id: str) -> Collection[str]:
        """Give the roots that hold what processes of this root wait for now."""
        return {
            lock.holder
            for lock in self._locks.values()
            if lock.holder != root_id
            and any(place.waits and place.root_id == root_id for place in lock.queue)
        }

    def _pass_on(self, key: str, lock: _Lock) -> Released:
        joiners = tuple(place.process_id for place in lock.queue if not place.waits)
        waiting = [place for place in lock.queue if place.waits and place.root_id != lock.holder]
        if not waiting:
            del self._locks[key]
            return Released(key, None, joiners)
        lock.holder = waiting[0].root_id
        lock.queue = waiting[1:]
        return Released(key, waiting[0].process_id, joiners)


def _leave(lock: _Lock, process_id: str) -> None:
    lock.queue = [place for place in lock.queue if place.process_id != process_id]
