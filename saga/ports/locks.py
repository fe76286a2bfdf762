"""The port to the locks on business keys: one holder per key, and a queue behind it."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

from saga.values import value


class LockQueue(StrEnum):
    """Say what becomes of a process that finds a lock busy.

    WAIT queues up for the lock; JOIN is told when the holder ends and never gets the lock; NONE leaves no
    trace.
    """

    WAIT = "wait"
    JOIN = "join"
    NONE = "none"


@value
class Released:
    """Say who got a lock now, and who only asked to be told; both are to be woken."""

    key: str
    next_process_id: str | None
    joiner_ids: tuple[str, ...]


class LockStore(Protocol):
    """Keep the locks. The holder is a root process: all processes below one root share what it holds.

    A process has one place in the queue of a key, and its first call decides on which terms. A lock that
    nobody holds leaves nothing behind. Every call raises StoreUnavailable, and repeating it is safe; but where
    a release happened and its answer was lost, nobody knows any more whom to wake. So whoever waits or joined
    must take again from time to time, which tells them where they stand.
    """

    async def take(self, key: str, *, root_id: str, process_id: str, queue: LockQueue, at: int) -> str:
        """Give the root that holds the lock after this call: `root_id` itself if it was free, or held by it.

        If another root holds it, the process goes to the end of the queue, once: to call again neither moves
        nor doubles it. `at` (milliseconds) is stored for those who look at the store, it decides nothing.
        Raises Unstorable for text that no store can hold (a lone surrogate).
        """
        ...

    async def withdraw(self, key: str, *, process_id: str) -> None:
        """Leave the queue; harmless for who isn't in it. It doesn't release: the lock may have come first.

        A process that ends while it waits withdraws before its root releases, so that no lock is passed to
        somebody who is gone.
        """
        ...

    async def release_all(self, root_id: str) -> Sequence[Released]:
        """Release every lock that this root holds, each as `release` does, in the order of the keys.

        A second call finds nothing. After StoreUnavailable some may be released and some not.
        """
        ...

    async def release(self, key: str, *, root_id: str) -> Released | None:
        """Pass the lock on in one conditional write; None where this root doesn't hold it.

        The first that waits makes its root the holder and leaves the queue. All joiners leave it too: what
        they asked about has ended. So do processes of the released root that still wait.
        """
        ...

    async def awaited_by(self, root_id: str) -> Collection[str]:
        """Give the roots that hold what processes of this root wait for (not: joined) now.

        Of two calls after two takes that would close a circle, one at least sees both takes.
        """
        ...
