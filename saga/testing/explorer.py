"""Explore a definition on the production machine: every order in which replies, timers and crashes may come.

    explored = explore(definition, parameters={"trip_id": "t"})
    assert explored.is_complete and not explored.violations

A search over the graph of states, the nearest ones first, so that what breaks a rule is found by a shortest
path. Of points in time only their order counts here, not how far they are apart.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from saga.definition.graph import compile_graph
from saga.definition.model import SagaDefinition
from saga.messages.json_text import Json, JsonObject
from saga.process.events import Observed
from saga.process.status import OperatorAction, ProcessStatus
from saga.testing.explore_graph import with_short_budgets
from saga.testing.explore_key import key_of
from saga.testing.explore_machine import Machine, Moment
from saga.testing.explore_moves import Move, Moves
from saga.testing.explore_outputs import Outputs
from saga.testing.explore_rules import RuleBroken

STATES_MAX = 20_000
VIOLATIONS_MAX = 10
_RESTS = frozenset({ProcessStatus.SUSPENDED, ProcessStatus.PAUSED})


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and the messages that lead there, in order."""

    rule: str
    detail: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exploration:
    """What was found.

    `rests` counts, by status, the states that ended or stand still. `bounded_by` says what kept the search from
    being complete.
    """

    states: int
    transitions: int
    depth: int
    rests: Mapping[str, int]
    violations: tuple[Violation, ...]
    bounded_by: str | None = None

    @property
    def is_complete(self) -> bool:
        """Say whether every state that can be reached was."""
        return self.bounded_by is None


def explore(
    definition: SagaDefinition,
    parameters: JsonObject | None = None,
    *,
    outputs: Mapping[str, Json] | None = None,
    requests: Iterable[OperatorAction] = (),
    lost_effects: bool = False,
    attempts_max: int = 2,
    states_max: int = STATES_MAX,
    on_progress: Callable[[int], None] | None = None,
) -> Exploration:
    """Reach every state that a process can come into, and judge each of them and every way there.

    `requests` are what a person asks, each once, at any moment. Retry policies are cut to `attempts_max`.
    `on_progress` is told how many states were reached.
    """
    graph = with_short_budgets(compile_graph(definition), attempts_max=attempts_max)
    machine = Machine(graph, parameters or {})
    moves = Moves(graph, Outputs(outputs), requests=requests, lost_effects=lost_effects)
    return _Search(machine, moves, states_max, on_progress).run()


class _Search:
    def __init__(
        self, machine: Machine, moves: Moves, states_max: int, on_progress: Callable[[int], None] | None
    ) -> None:
        self._machine = machine
        self._moves = moves
        self._states_max = states_max
        self._on_progress = on_progress
        self._numbers: dict[object, int] = {}
        self._predecessors: list[list[int]] = []
        self._waiting: deque[tuple[int, int, Moment]] = deque()
        self._resting: list[int] = []
        self._rests: Counter[str] = Counter()
        self._violations: list[Violation] = []
        self._moments: list[Moment] = []
        self._transitions = 0
        self._is_full = False

    def run(self) -> Exploration:
        depth = 0
        self._reach(self._machine.accept(), depth)
        while self._waiting and not self._is_full and len(self._violations) < VIOLATIONS_MAX:
            number, depth, moment = self._waiting.popleft()
            for move in self._moves.after(moment):
                self._make(number, depth, moment, move)
        bounded_by = None
        if self._is_full:
            bounded_by = f"{self._states_max} states"
        elif self._waiting:
            bounded_by = f"{VIOLATIONS_MAX} broken rules"
        elif not self._violations:
            self._find_livelocks()
        return Exploration(
            len(self._numbers),
            self._transitions,
            depth,
            dict(self._rests),
            tuple(self._violations),
            bounded_by,
        )

    def _make(self, number: int, depth: int, moment: Moment, move: Move) -> None:
        try:
            reached = self._machine.receive(moment, move.message, now=move.now, label=move.label)
            if reached is None:
                if move.is_timer:
                    raise RuleBroken("a timer that is due does something", move.label)  # noqa: TRY301
                return
        except RuleBroken as broken:
            self._note(broken, (*moment.path(), move.label))
            return
        self._transitions += 1
        if not _is_only_noted(self._machine, moment, reached):
            self._reach(reached, depth + 1, number)

    def _reach(self, moment: Moment, depth: int, before: int | None = None) -> None:
        key = key_of(self._machine.graph, moment)
        number = self._numbers.get(key)
        if number is None:
            if len(self._numbers) >= self._states_max:
                self._is_full = True
                return
            number = self._numbers[key] = len(self._numbers)
            self._predecessors.append([])
            self._moments.append(moment)
            self._settle(number, depth, moment)
        if before is not None:
            self._predecessors[number].append(before)

    def _settle(self, number: int, depth: int, moment: Moment) -> None:
        status = moment.state.status
        if status.is_ended or status in _RESTS:
            self._resting.append(number)
            self._rests[status] += 1
        try:
            self._machine.examine(moment)
            if status.is_ended:
                self._machine.refold(moment)
        except RuleBroken as broken:
            self._note(broken, moment.path())
            return
        self._waiting.append((number, depth, moment))
        if self._on_progress is not None:
            self._on_progress(number + 1)

    def _note(self, broken: RuleBroken, path: tuple[str, ...]) -> None:
        self._violations.append(Violation(broken.rule, broken.detail, path))

    def _find_livelocks(self) -> None:
        """Look for states from which no end is reached, nor a standstill that a person sees."""
        reaches = set(self._resting)
        waiting = list(reaches)
        while waiting:
            for before in self._predecessors[waiting.pop()]:
                if before not in reaches:
                    reaches.add(before)
                    waiting.append(before)
        lost = next((number for number in range(len(self._moments)) if number not in reaches), None)
        if lost is not None:
            broken = RuleBroken("every state leads to an end or to a person", "this one does not")
            self._note(broken, self._moments[lost].path())


def _is_only_noted(machine: Machine, before: Moment, after: Moment) -> bool:
    """Say whether a reply was recorded and changes nothing: all that may follow may also follow without it."""
    if not all(isinstance(event, Observed) for event in after.transition.events):
        return False
    return key_of(machine.graph, before, is_strict=False) == key_of(machine.graph, after, is_strict=False)
