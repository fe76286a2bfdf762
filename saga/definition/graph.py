"""A definition made ready to run: every default resolved, the graph's closure computed once.

Plain frozen values, so that the machine depends on no library; sets of steps are bit masks, so that
"is everything that comes after this step undone?" is one operation also with a thousand steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from saga.definition.model import RetryPolicy, SagaDefinition, StepDefinition

DEFAULT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Hold a resolved retry policy; times in milliseconds."""

    attempts: int
    backoff_ms: float
    factor: float
    max_backoff_ms: float
    jitter: float
    retry_on: frozenset[str] | None

    def allows(self, code: str, *, attempts_used: int) -> bool:
        """Say whether a failure with this code is worth another attempt."""
        return attempts_used < self.attempts and (self.retry_on is None or code in self.retry_on)

    def wait_ms(self, attempt: int, chance: float) -> int:
        """Give the wait after attempt number `attempt`; `chance` in [0, 1) moves it within the jitter."""
        # The exponent is bounded, because a float overflows long before the attempts run out.
        grown = self.backoff_ms * self.factor ** min(attempt - 1, 64)
        wait = min(grown, self.max_backoff_ms)
        return round(wait * (1 + self.jitter * (2 * chance - 1)))


_DEFAULT = RetrySchedule(3, 1_000, 2.0, 60_000, 0.1, None)
_COMPENSATION_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class EffortPlan:
    """Hold how one direction of a step is carried out."""

    action: str
    timeout_ms: int
    retry: RetrySchedule


@dataclass(frozen=True, slots=True)
class StepNode:
    """Hold one step in its graph; `ancestors` and `descendants` are bit masks over the positions."""

    name: str
    position: int
    service: str
    action: EffortPlan
    compensation: EffortPlan | None
    after: tuple[str, ...]
    ancestors: int
    descendants: int
    pivot: bool
    behind_pivot: bool
    expected_ms: int | None

    @property
    def bit(self) -> int:
        """Give the step's own bit in the masks."""
        return 1 << self.position

    @property
    def forward_only(self) -> bool:
        """Say whether the step is the pivot or comes after it."""
        return self.pivot or self.behind_pivot


@dataclass(frozen=True, slots=True)
class StepGraph:
    """Hold the steps of a definition in the order in which they were written."""

    process_type: str
    nodes: tuple[StepNode, ...]
    by_name: Mapping[str, StepNode]
    pivot: StepNode | None

    def names(self, mask: int) -> tuple[str, ...]:
        """Give the names of the steps in a mask, in written order."""
        return tuple(node.name for node in self.nodes if mask & node.bit)


def compile_graph(definition: SagaDefinition) -> StepGraph:
    """Resolve and close a definition that `checks` found sound."""
    after = predecessors(definition)
    order = {step.name: position for position, step in enumerate(definition.steps)}
    ancestors = _closure(after, order)
    descendants = dict.fromkeys(order.values(), 0)
    for name, mask in ancestors.items():
        for position in _positions(mask):
            descendants[position] |= 1 << order[name]
    pivot_mask = sum(1 << order[step.name] for step in definition.steps if step.pivot)
    nodes = tuple(
        StepNode(
            name=step.name,
            position=order[step.name],
            service=step.service,
            action=_action_plan(step, definition),
            compensation=_compensation_plan(step, definition),
            after=after[step.name],
            ancestors=ancestors[step.name],
            descendants=descendants[order[step.name]],
            pivot=step.pivot,
            behind_pivot=bool(ancestors[step.name] & pivot_mask),
            expected_ms=None if step.expected is None else round(step.expected * 1000),
        )
        for step in definition.steps
    )
    pivot = next((node for node in nodes if node.pivot), None)
    return StepGraph(definition.process_type, nodes, {node.name: node for node in nodes}, pivot)


def predecessors(definition: SagaDefinition) -> dict[str, tuple[str, ...]]:
    """Give what each step waits for: its `after`, or the step above it."""
    result: dict[str, tuple[str, ...]] = {}
    above: tuple[str, ...] = ()
    for step in definition.steps:
        result[step.name] = above if step.after is None else step.after
        above = (step.name,)
    return result


def _closure(after: Mapping[str, tuple[str, ...]], order: Mapping[str, int]) -> dict[str, int]:
    masks: dict[str, int] = {}
    waiting = dict(after)
    while waiting:
        ready = [name for name, names in waiting.items() if all(other in masks for other in names)]
        for name in ready:
            mask = 0
            for other in waiting.pop(name):
                mask |= masks[other] | 1 << order[other]
            masks[name] = mask
        if not ready:
            raise ValueError(f"a cycle through {', '.join(sorted(waiting))}")
    return masks


def _positions(mask: int) -> list[int]:
    positions = []
    while mask:
        lowest = mask & -mask
        positions.append(lowest.bit_length() - 1)
        mask ^= lowest
    return positions


def _timeout_ms(*given: float | None) -> int:
    seconds = next((value for value in given if value is not None), DEFAULT_TIMEOUT_S)
    return max(1, round(seconds * 1000))


def _action_plan(step: StepDefinition, definition: SagaDefinition) -> EffortPlan:
    retry = _resolved(_resolved(_DEFAULT, definition.retry), step.retry)
    return EffortPlan(step.action, _timeout_ms(step.timeout, definition.timeout), retry)


def _compensation_plan(step: StepDefinition, definition: SagaDefinition) -> EffortPlan | None:
    own = step.undo
    if own is None:
        return None
    # The saga's patience holds for undos too, but not how often: giving up on an undo needs a person.
    inherited = _resolved(_DEFAULT, definition.retry)
    base = RetrySchedule(
        _COMPENSATION_ATTEMPTS, inherited.backoff_ms, inherited.factor, inherited.max_backoff_ms,
        inherited.jitter, None,
    )  # fmt: skip
    timeout_ms = _timeout_ms(own.timeout, step.timeout, definition.timeout)
    return EffortPlan(own.action, timeout_ms, _resolved(base, own.retry))


def _resolved(base: RetrySchedule, policy: RetryPolicy | None) -> RetrySchedule:
    if policy is None:
        return base
    return RetrySchedule(
        attempts=base.attempts if policy.attempts is None else policy.attempts,
        backoff_ms=base.backoff_ms if policy.backoff is None else policy.backoff * 1000,
        factor=base.factor if policy.factor is None else policy.factor,
        max_backoff_ms=base.max_backoff_ms if policy.max_backoff is None else policy.max_backoff * 1000,
        jitter=base.jitter if policy.jitter is None else policy.jitter,
        retry_on=base.retry_on if policy.retry_on is None else frozenset(policy.retry_on),
    )
