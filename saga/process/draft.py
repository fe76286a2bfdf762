"""A decision in the making: events are recorded and folded at once, so that each rule sees what is true now."""

from dataclasses import dataclass

from saga.definition.graph import EffortPlan, StepGraph, StepNode
from saga.process.events import Event
from saga.process.evolve import evolve
from saga.process.state import ProcessState
from saga.process.status import Direction


def plan_of(node: StepNode, direction: Direction) -> EffortPlan | None:
    """Give how a direction of a step is carried out; None where there is nothing to undo."""
    return node.action if direction is Direction.ACTION else node.compensation


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold the events of one decision and the state that they lead to."""

    events: tuple[Event, ...]
    state: ProcessState


class Draft:
    """Collect the events of one decision; lives within one call of `decide` and is never shared."""

    __slots__ = ("command_bytes", "events", "graph", "now", "state")

    def __init__(self, graph: StepGraph, state: ProcessState, now: int) -> None:
        self.graph = graph
        self.state = state
        self.now = now
        self.events: list[Event] = []
        self.command_bytes = 0

    def record(self, event: Event) -> None:
        """Add an event and fold it."""
        self.state = evolve(self.state, event, at=self.now, process_id=self.state.process_id)
        self.events.append(event)

    def decision(self) -> Decision:
        """Give what was decided."""
        return Decision(tuple(self.events), self.state)

    def plan(self, direction: Direction, step: str) -> EffortPlan:
        """Give how a direction of a step is carried out."""
        plan = plan_of(self.graph.by_name[step], direction)
        if plan is None:
            raise ValueError(f"{step} has no compensation")
        return plan
