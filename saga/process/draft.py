"""A decision in the making: events are recorded and folded at once, so that each rule sees what is true now."""

from saga.definition.graph import EffortPlan, StepGraph, StepNode, nodes_in
from saga.messages.json_text import Json, JsonObject, JsonText, from_text
from saga.process.events import Event
from saga.process.evolve import evolve
from saga.process.limits import COMMANDS_BYTES_MAX
from saga.process.state import ProcessState, split_instance
from saga.process.status import Direction
from saga.process.survey import Survey, survey, touched
from saga.values import value


def plan_of(node: StepNode, direction: Direction) -> EffortPlan | None:
    """Give how a direction of a step is carried out; None where there is nothing to undo, or nobody to ask."""
    match direction:
        case Direction.ACTION:
            return node.action
        case Direction.COMPENSATION:
            return node.compensation
        case Direction.VERIFY:
            return node.verify


@value
class Decision:
    """Hold the events of one decision, the state that they lead to, and where its steps stand then.

    `graph` is that of the definition which the process has after it.
    """

    events: tuple[Event, ...]
    state: ProcessState
    seen: Survey
    graph: StepGraph


class Draft:
    """Collect the events of one decision; lives within one call of `decide` and is never shared."""

    __slots__ = ("_bytes", "_decoded", "events", "graph", "is_full", "now", "seen", "state")

    def __init__(self, graph: StepGraph, state: ProcessState, now: int, seen: Survey | None = None) -> None:
        self.graph = graph
        self.state = state
        self.now = now
        self.events: list[Event] = []
        self.is_full = False
        self._bytes = 0
        # Where the steps stand now.
        self.seen = survey(graph, state) if seen is None else seen.copy()
        self._decoded: dict[str, Json] = {}

    def record(self, event: Event) -> None:
        """Add an event and fold it."""
        before = self.state
        self.state = evolve(before, event, at=self.now, process_id=before.process_id)
        self.seen.follow(self.graph, before, self.state, touched(event))
        self.events.append(event)

    def go_on_by(self, graph: StepGraph) -> None:
        """Follow another version of the definition from here on."""
        self.graph = graph
        self.seen = survey(graph, self.state)

    def decision(self) -> Decision:
        """Give what was decided."""
        return Decision(tuple(self.events), self.state, self.seen, self.graph)

    def plan(self, direction: Direction, step: str) -> EffortPlan:
        """Give how a direction of a step is carried out."""
        plan = plan_of(self.graph.node_of(step), direction)
        if plan is None:
            raise ValueError(f"{step} has no {direction}")
        return plan

    def takes(self, size: int) -> bool:
        """Say whether a command of this size fits the transition, and count it in; else no more are taken."""
        self.is_full = self.is_full or self._bytes + size > COMMANDS_BYTES_MAX
        if not self.is_full:
            self._bytes += size
        return not self.is_full

    def scope(self, readable: int, name: str | None = None) -> JsonObject:
        """Give what an expression sees: the parameters, and the outputs of the steps in a mask.

        Where `name` is that of an instance of a step, it also sees its item.
        """
        outputs = {
            node.name: output
            for node in nodes_in(self.graph, readable)
            if (output := self.state.step(node.name).action.output) is not None
        }
        scope: JsonObject = {
            "parameters": self._read("", self.state.parameters),
            "results": {name: self._read(name, output) for name, output in outputs.items()},
        }
        step, index = split_instance(name or "")
        items = self.state.step(step).items
        if index is not None and items is not None:
            scope["item"] = from_text(items[index])
            scope["index"] = index
        return scope

    def _read(self, name: str, text: JsonText) -> Json:
        # An output never changes once it is there, so within one decision each is decoded once.
        if name not in self._decoded:
            self._decoded[name] = from_text(text)
        return self._decoded[name]
