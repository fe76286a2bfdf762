"""The projections in memory."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace

from saga.ports.projections import NO_SNAPSHOT, DueTimer, Position, Projection, ProjectionFilter


class InMemoryProjectionStore:
    """Keep one projection per process; implements `saga.ports.projections.ProjectionStore`."""

    def __init__(self) -> None:
        self._projections: dict[str, Projection] = {}
        # Beside the projections, so that a save leaves it alone: the timer that is leased, and until when.
        self._leases: dict[str, tuple[int, int]] = {}

    async def save(self, projection: Projection) -> None:
        """Write unless the stored version is as great already."""
        stored = self._projections.get(projection.process_id)
        if stored is not None and stored.version >= projection.version:
            return
        if stored is not None and projection.state_format == NO_SNAPSHOT:
            projection = replace(projection, state=stored.state, state_format=stored.state_format)
        self._projections[projection.process_id] = projection

    async def load(self, process_id: str) -> Projection | None:
        """Give the stored projection."""
        return self._projections.get(process_id)

    async def rewrite(self, projection: Projection, *, seen: int) -> bool:
        """Replace what is stored, unless a coordinator wrote a greater version meanwhile."""
        stored = self._projections.get(projection.process_id)
        if stored is not None and stored.version > projection.version and stored.version != seen:
            return False
        self._projections[projection.process_id] = projection
        return True

    def timers(self) -> Collection[int]:
        """Give when each process that has a timer is to be woken, in milliseconds."""
        return [one.wake_at for one in self._projections.values() if one.wake_at is not None]

    async def read_all(self, after: str = "") -> AsyncIterator[Projection]:
        """Stream the projections in the order of their ids."""
        for process_id in sorted(self._projections):
            if process_id > after:
                yield self._projections[process_id]

    async def page(
        self, chosen: ProjectionFilter, *, after: Position | None, limit: int
    ) -> Sequence[Projection]:
        """List by (started_at, process_id) descending, from behind `after`."""
        found = [
            one
            for one in self._projections.values()
            if _suits(one, chosen) and (after is None or _place(one) < (after.started_at, after.process_id))
        ]
        return sorted(found, key=_place, reverse=True)[:limit]

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Count the processes by (process type, status)."""
        return Counter((one.process_type, one.status) for one in self._projections.values())

    async def lease_due(self, *, before: int, leased_until: int, now: int, limit: int) -> Sequence[DueTimer]:
        """Take overdue timers that nobody holds, the oldest first."""
        due = [
            DueTimer(one.process_id, one.version, one.wake_at, one.wake_for or "")
            for one in self._projections.values()
            if one.wake_at is not None and one.wake_at < before and not self._is_leased(one, now)
        ]
        due = sorted(due, key=lambda timer: timer.wake_at)[:limit]
        for timer in due:
            self._leases[timer.process_id] = timer.wake_at, leased_until
        return due

    def _is_leased(self, projection: Projection, now: int) -> bool:
        wake_at, until = self._leases.get(projection.process_id, (None, 0))
        return wake_at == projection.wake_at and now < until


def _place(projection: Projection) -> tuple[int, str]:
    return projection.started_at, projection.process_id


def _suits(projection: Projection, chosen: ProjectionFilter) -> bool:
    return (
        (not chosen.statuses or projection.status in chosen.statuses)
        and chosen.process_type in (None, projection.process_type)
        and all(projection.labels.get(key) == text for key, text in chosen.labels)
        and chosen.attention in (None, projection.attention)
        and (chosen.started_after is None or projection.started_at >= chosen.started_after)
        and (chosen.started_before is None or projection.started_at < chosen.started_before)
    )
