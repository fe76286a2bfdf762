"""A definition made ready to run: every default resolved, the graph's closure computed once.

Plain frozen values, so that the machine depends on no library; sets of steps are bit masks, so that
"is everything that comes after this step undone?" is one operation also with a thousand steps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from saga.definition.expressions import Expression
from saga.definition.model import RetryPolicy, SagaDefinition, StepDefinition
from saga.definition.paths import certain_ancestors, closure, predecessors

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_AT_ONCE = 10


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
_ONCE = RetrySchedule(1, 1_000, 2.0, 60_000, 0.1, None)
_COMPENSATION_ATTEMPTS = 10


# An object to build: each member with the expression that gives it.
ObjectPlan: TypeAlias = tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class EffortPlan:
    """Hold how one direction of a step is carried out; `input` None sends the parameters and the results."""

    action: str
    timeout_ms: int
    retry: RetrySchedule
    input: ObjectPlan | None = None


class StepKind(StrEnum):
    """Tell who carries a step out."""

    SERVICE = "service"
    SIGNAL = "signal"
    PROCESS = "process"


class OnLocked(StrEnum):
    """Tell what a process does that finds a business key taken."""

    WAIT = "wait"
    REFUSE = "refuse"
    JOIN = "join"


@dataclass(frozen=True)
class StepNode:
    """Hold one step in its graph; sets of steps are bit masks over the positions.

    `before` are the steps named in `after`, `ancestors` and `descendants` the closure. The step starts when
    `join_count` of `before` completed; None means when all are completed or skipped. `certain` are the
    ancestors that are completed for sure when it starts: their outputs are there.
    """

    name: str
    position: int
    kind: StepKind
    service: str
    action: EffortPlan
    compensation: EffortPlan | None
    verify: EffortPlan | None
    fences: bool
    after: tuple[str, ...]
    join_count: int | None
    before: int
    ancestors: int
    descendants: int
    certain: int
    when: Expression | None
    for_each: Expression | None
    at_once: int
    pivot: bool
    behind_pivot: bool
    expected_ms: int | None

    @cached_property
    def bit(self) -> int:
        """Give the step's own bit in the masks."""
        return 1 << self.position

    @property
    def forward_only(self) -> bool:
        """Say whether the step is the pivot or comes after it."""
        return self.pivot or self.behind_pivot

    @property
    def child_type(self) -> str | None:
        """Give the process type that carries the step out, where one does."""
        return self.action.action if self.kind is StepKind.PROCESS else None


@dataclass(frozen=True)
class StepGraph:
    """Hold the steps of a definition in the order in which they were written."""

    process_type: str
    nodes: tuple[StepNode, ...]
    by_name: Mapping[str, StepNode]
    pivot: StepNode | None
    deadline_ms: int | None
    locks: tuple[Expression, ...]
    on_locked: OnLocked
    result: ObjectPlan | None

    def node_of(self, name: str) -> StepNode:
        """Give the step of a name or of an instance's, `step[index]`. Raises KeyError."""
        node = self.by_name.get(name)
        return self.by_name[name.partition("[")[0]] if node is None else node

    @cached_property
    def child_types(self) -> frozenset[str]:
        """Name the process types that carry out steps of this one."""
        return frozenset(node.child_type for node in self.nodes if node.child_type is not None)

    @property
    def services(self) -> frozenset[str]:
        """Name the services that this saga commands."""
        return frozenset(node.service for node in self.nodes if node.kind is StepKind.SERVICE)

    @cached_property
    def may_hold_locks(self) -> bool:
        """Say whether a process of this type, or a child of it, may have taken a lock."""
        return bool(self.locks) or any(node.kind is StepKind.PROCESS for node in self.nodes)


def nodes_in(graph: StepGraph, mask: int) -> Iterator[StepNode]:
    """Give the steps of a mask in written order; the cost is that of the set bits."""
    while mask:
        lowest = mask & -mask
        yield graph.nodes[lowest.bit_length() - 1]
        mask ^= lowest


def compile_graph(definition: SagaDefinition) -> StepGraph:
    """Resolve and close a definition that `checks` found sound."""
    after = predecessors(definition)
    order = {step.name: position for position, step in enumerate(definition.steps)}
    ancestors = closure(after, order)
    certain = certain_ancestors(definition, after, order)
    descendants = dict.fromkeys(order.values(), 0)
    for name, mask in ancestors.items():
        for position in _positions(mask):
            descendants[position] |= 1 << order[name]
    pivot_mask = sum(1 << order[step.name] for step in definition.steps if step.pivot)
    nodes = tuple(
        StepNode(
            name=step.name,
            position=order[step.name],
            kind=_kind(step),
            service=_service(step),
            action=_action_plan(step, definition),
            compensation=_compensation_plan(step, definition),
            verify=_verify_plan(step, definition),
            fences=step.verify is not None and step.verify.fences,
            after=after[step.name],
            join_count=_join_count(step),
            before=sum(1 << order[name] for name in set(after[step.name])),
            ancestors=ancestors[step.name],
            descendants=descendants[order[step.name]],
            certain=certain[step.name],
            when=_expression(step.when),
            for_each=_expression(step.for_each),
            at_once=step.at_once or DEFAULT_AT_ONCE,
            pivot=step.pivot,
            behind_pivot=bool(ancestors[step.name] & pivot_mask),
            expected_ms=None if step.expected is None else round(step.expected * 1000),
        )
        for step in definition.steps
    )
    return StepGraph(
        process_type=definition.process_type,
        nodes=nodes,
        by_name={node.name: node for node in nodes},
        pivot=next((node for node in nodes if node.pivot), None),
        deadline_ms=None if definition.deadline is None else max(1, round(definition.deadline * 1000)),
        locks=tuple(Expression(text) for text in definition.locks or ()),
        on_locked=OnLocked(definition.on_locked or OnLocked.WAIT),
        result=_object_plan(definition.result),
    )


def _positions(mask: int) -> list[int]:
    positions = []
    while mask:
        lowest = mask & -mask
        positions.append(lowest.bit_length() - 1)
        mask ^= lowest
    return positions


def _kind(step: StepDefinition) -> StepKind:
    if step.signal:
        return StepKind.SIGNAL
    return StepKind.SERVICE if step.process is None else StepKind.PROCESS


def _service(step: StepDefinition) -> str:
    """Give who carries a step out, in the word that people read."""
    if step.service is not None:
        return step.service
    return "signal" if step.process is None else f"process:{step.process}"


def _join_count(step: StepDefinition) -> int | None:
    match step.join:
        case None | "all":
            return None
        case "any":
            return 1
        case number:
            return number


def _expression(text: str | None) -> Expression | None:
    return None if text is None else Expression(text)


def _object_plan(mapped: Mapping[str, str] | None) -> ObjectPlan | None:
    return None if mapped is None else tuple((name, Expression(text)) for name, text in mapped.items())


def _timeout_ms(*given: float | None) -> int:
    seconds = next((value for value in given if value is not None), DEFAULT_TIMEOUT_S)
    return max(1, round(seconds * 1000))


def _action_plan(step: StepDefinition, definition: SagaDefinition) -> EffortPlan:
    timeout_ms = _timeout_ms(step.timeout, definition.timeout)
    mapped = _object_plan(step.input)
    if step.signal:
        return EffortPlan("signal", timeout_ms, _ONCE)
    if step.process is not None:
        # A process tries its own steps again; all of it is done again only where its step says so.
        return EffortPlan(step.process, timeout_ms, _resolved(_ONCE, step.retry), mapped)
    retry = _resolved(_resolved(_DEFAULT, definition.retry), step.retry)
    return EffortPlan(step.action or "", timeout_ms, retry, mapped)


def _compensation_plan(step: StepDefinition, definition: SagaDefinition) -> EffortPlan | None:
    # The saga's patience holds for undos too, but not how often: giving up on an undo needs a person.
    inherited = _resolved(_DEFAULT, definition.retry)
    base = replace(inherited, attempts=_COMPENSATION_ATTEMPTS, retry_on=None)
    own = step.undo
    if own is not None:
        timeout_ms = _timeout_ms(own.timeout, step.timeout, definition.timeout)
        return EffortPlan(own.action, timeout_ms, _resolved(base, own.retry), _object_plan(own.input))
    if step.process is not None and step.compensation is None:
        return EffortPlan("compensate", _timeout_ms(step.timeout, definition.timeout), base)
    return None


def _verify_plan(step: StepDefinition, definition: SagaDefinition) -> EffortPlan | None:
    own = step.verify
    if own is None:
        return None
    retry = _resolved(replace(_resolved(_DEFAULT, definition.retry), retry_on=None), own.retry)
    return EffortPlan(own.action, _timeout_ms(own.timeout, step.timeout, definition.timeout), retry)


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
