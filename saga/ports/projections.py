"""The port to the projections: what the log amounts to, for queries, listing and timers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from saga.values import value

# The format of a projection that brings no snapshot.
NO_SNAPSHOT = 0


@value
class Projection:
    """Hold one process as queries see it; `version` means: published and projected up to this event.

    `state` is a folded state as text, with the format number that wrote it: that of this version, or of an
    earlier one, since a large state is not written with every event. `wake_at` is the earliest
    timer in milliseconds, `wake_for` what it is for (`start`, `retry`, `timeout`, `release`). `damaged` names
    the columns that hold what no version ever wrote, as far as the store can tell: they read as nothing.
    """

    process_id: str
    process_type: str
    definition_hash: str
    status: str
    version: int
    state: str
    state_format: int
    labels: Mapping[str, str]
    attention: bool
    wake_at: int | None
    wake_for: str | None
    started_at: int
    updated_at: int
    ended_at: int | None
    damaged: tuple[str, ...] = ()


@value
class ProjectionFilter:
    """Choose processes; all that are given must hold. Times are milliseconds, the later one exclusive."""

    statuses: tuple[str, ...] = ()
    process_type: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    attention: bool | None = None
    started_after: int | None = None
    started_before: int | None = None


@value
class Position:
    """Mark a place in the listing, which runs from the newest start to the oldest."""

    started_at: int
    process_id: str


@value
class DueTimer:
    """Name a timer that is overdue, as the projection knew it."""

    process_id: str
    version: int
    wake_at: int
    wake_for: str


class ProjectionStore(Protocol):
    """Keep one projection per process; a greater version replaces a smaller one, never the other way."""

    async def save(self, projection: Projection) -> None:
        """Write durably unless the stored version is as great already.

        One with NO_SNAPSHOT leaves the stored state, and its format, as they are.
        Concurrent calls are coalesced into one bulk write. Raises StoreUnavailable (repeating is safe), and
        Unstorable when the state is too large.
        """
        ...

    async def rewrite(self, projection: Projection, *, seen: int) -> bool:
        """Replace the whole of what is stored by what the log amounts to, also where its version is as great.

        `seen` is the stored version that was found wrong, 0 for none. False, and nothing is written, where the
        stored version is greater than the new one and another than that: a coordinator wrote it meanwhile.
        The lease of a timer is left alone. Raises StoreUnavailable (repeating is safe) and Unstorable.
        """
        ...

    async def load(self, process_id: str) -> Projection | None:
        """Give the stored projection; concurrent calls are coalesced. Raises StoreUnavailable.

        What somebody damaged reads as nothing: an empty text, a zero.
        """
        ...

    def read_all(self, after: str = "") -> AsyncIterator[Projection]:
        """Stream the projections behind the id `after` in the order of the ids, in bounded memory."""
        ...

    async def page(
        self, chosen: ProjectionFilter, *, after: Position | None, limit: int
    ) -> Sequence[Projection]:
        """List by (started_at, process_id) descending, from behind `after`."""
        ...

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Count the processes by (process type, status); the time it takes grows with their number."""
        ...

    async def lease_due(self, *, before: int, leased_until: int, now: int, limit: int) -> Sequence[DueTimer]:
        """Take timers with `wake_at` below `before` that nobody holds a lease on at `now`.

        The lease stands in a field that `save` leaves alone; it ends at `leased_until`, or when `wake_at`
        changes. Two callers never get the same timer while the lease lasts.
        """
        ...
