"""The table of faults: what becomes of a process when one step, or two, go wrong in each way that they can.

    table = explore_faults(definition, {"trip_id": "t"}, faults=2)
    for row in table.rows:
        print(row.faults, row.end, row.reason)

Each combination is one run on the production machine, without chance: commands are answered at once and in
order, time passes only when nothing else is left, and what is late comes when all else is at rest.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations, islice

from saga.definition.graph import StepGraph, compile_graph
from saga.definition.model import SagaDefinition
from saga.messages.json_text import Json, JsonObject, from_text
from saga.process import events as ev
from saga.process.status import EffortStatus, ProcessStatus
from saga.testing.explore_graph import with_short_budgets
from saga.testing.explore_machine import Machine, Moment
from saga.testing.explore_outputs import Outputs
from saga.testing.explore_participants import Fault, Participants, faults_of
from saga.testing.explore_run import End, Row, Run, events_of

__all__ = ["COMBINATIONS_MAX", "End", "Fault", "FaultTable", "Row", "explore_faults"]

COMBINATIONS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class FaultTable:
    """The rows, the fault-free run first, and what was not explored.

    `notes` say what the parameters kept out of the runs. `not_met` counts combinations of which a fault had no
    occasion, so that they are no rows; `left_out` those beyond the bound, `first_left_out` is the first of them.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    not_met: int
    left_out: int
    first_left_out: tuple[Fault, ...] = ()

    def count(self, end: End) -> int:
        """Count the rows that ended in a way."""
        return sum(row.end is end for row in self.rows)

    @property
    def is_sound(self) -> bool:
        """Say whether no rule was broken and nothing was stranded."""
        return all(row.broken is None and row.end is not End.STRANDED for row in self.rows)


def explore_faults(
    definition: SagaDefinition,
    parameters: JsonObject | None = None,
    *,
    faults: int = 1,
    outputs: Mapping[str, Json] | None = None,
    combinations_max: int = COMBINATIONS_MAX,
    on_progress: Callable[[int, int], None] | None = None,
) -> FaultTable:
    """Run every combination of up to so many faults, but at most `combinations_max`.

    Retry policies are cut to two attempts. `on_progress` is told how many of how many runs are done.
    """
    graph = with_short_budgets(compile_graph(definition), attempts_max=2)
    machine = Machine(graph, parameters or {})
    answers = Outputs(outputs)
    first = Run(machine, Participants(graph, answers, ())).to_its_end()
    single = tuple(faults_of(graph, first.moment.state))
    total = sum(1 for _ in _combined(single, faults))
    chosen = islice(_combined(single, faults), combinations_max)
    rows = [first.row(())]
    not_met = 0
    for number, combination in enumerate(chosen, start=1):
        participants = Participants(graph, answers, combination)
        ended = Run(machine, participants).to_its_end()
        if participants.all_met or ended.broken is not None:
            rows.append(ended.row(combination))
        else:
            not_met += 1
        if on_progress is not None:
            on_progress(number, min(total, combinations_max))
    left_out = max(0, total - combinations_max)
    following = next(islice(_combined(single, faults), combinations_max, None), ())
    return FaultTable(tuple(rows), tuple(_notes(graph, first.moment)), not_met, left_out, following)


def _combined(single: tuple[Fault, ...], most: int) -> Iterator[tuple[Fault, ...]]:
    """Give one fault at a time, then two of different steps or directions, in written order."""
    found = chain.from_iterable(combinations(single, size) for size in range(1, most + 1))
    for combination in found:
        if len({(fault.step, fault.direction) for fault in combination}) == len(combination):
            yield combination


def _notes(graph: StepGraph, moment: Moment) -> Iterator[str]:
    state = moment.state
    if state.status is not ProcessStatus.COMPLETED:
        yield f"without any fault it ends {state.status}: other parameters or outputs may be needed"
    for event in events_of(moment):
        if isinstance(event, ev.AttemptFailed) and event.attempt == 0:
            error = from_text(event.error)
            said = error.get("message") if isinstance(error, dict) else None
            yield f"step {event.step} can't start with these parameters and outputs: {said}"
    for node in graph.nodes:
        step = state.step(node.name)
        if step.action.status is EffortStatus.SKIPPED:
            yield f"step {node.name} is skipped with these parameters and outputs: nothing of it is explored"
        elif step.items is not None:
            chosen = "so none of it goes wrong" if not step.items else "the last one is what goes wrong"
            yield f"step {node.name} has {len(step.items)} items with these parameters and outputs: {chosen}"


def _events(moment: Moment) -> Iterator[ev.Event]:
    return chain.from_iterable(transition.events for transition in moment.log())
