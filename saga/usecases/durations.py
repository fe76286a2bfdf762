"""How long the steps of a process type usually take, by what was seen lately."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median_low

from saga.coordinator.projector import snapshot_in
from saga.errors import SagaError
from saga.ports.clock import Clock
from saga.ports.projections import ProjectionFilter, ProjectionStore
from saga.process.state import Effort, ProcessState, split_instance
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.views.estimate import Durations

PROCESSES_SEEN_MAX = 50
KEPT_MS = 5_000


@dataclass(frozen=True, slots=True)
class _Seen:
    at: int
    durations: Durations


class StepDurations:
    """Give medians over the latest completed processes of a type, read at most every few seconds."""

    def __init__(self, projections: ProjectionStore, clock: Clock) -> None:
        self._projections = projections
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._reading = asyncio.Lock()

    async def of(self, process_type: str) -> Durations:
        """Give the medians, empty where nothing is known; never raises for a store that is away.

        An estimate is a courtesy: a start that is durable must not be refused for want of one.
        """
        try:
            return await self._fresh(process_type)
        except SagaError:
            seen = self._seen.get(process_type)
            return seen.durations if seen else {}

    async def _fresh(self, process_type: str) -> Durations:
        async with self._reading:  # so that a crowd that finds it stale reads it once
            now = self._clock.now()
            seen = self._seen.get(process_type)
            if seen is None or now - seen.at > KEPT_MS:
                seen = self._seen[process_type] = _Seen(now, await self._read(process_type))
            return seen.durations

    async def _read(self, process_type: str) -> Durations:
        chosen = ProjectionFilter(statuses=(ProcessStatus.COMPLETED,), process_type=process_type)
        page = await self._projections.page(chosen, after=None, limit=PROCESSES_SEEN_MAX)
        taken: defaultdict[tuple[Direction, str], list[int]] = defaultdict(list)
        for projection in page:
            state = snapshot_in(projection)
            for key, duration in _durations_in(state) if state is not None else ():
                taken[key].append(duration)
        return {key: median_low(durations) for key, durations in taken.items()}


def _durations_in(state: ProcessState) -> Iterator[tuple[tuple[Direction, str], int]]:
    for name, step in state.steps.items():
        if split_instance(name)[1] is not None:
            continue  # how long one item takes says nothing of the step
        for direction, effort in ((Direction.ACTION, step.action), (Direction.COMPENSATION, step.undo)):
            if effort is not None and (duration := _duration(effort)) is not None:
                yield (direction, name), duration


def _duration(effort: Effort) -> int | None:
    if effort.status is not EffortStatus.DONE or not effort.attempts or effort.settled_at is None:
        return None
    return max(0, effort.settled_at - effort.attempts[0].started_at)
