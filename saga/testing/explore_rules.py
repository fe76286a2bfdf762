"""What must hold of every transition of every process, judged from outside: by the log and the written order."""

from saga.definition.graph import StepGraph, StepNode
from saga.messages.command import Command, CommandRef
from saga.process import events as ev
from saga.process.state import split_instance
from saga.process.status import Direction, ProcessStatus
from saga.process.transition import Transition
from saga.testing.explore_graph import WrittenOrder
from saga.testing.explore_witness import (
    COMPLETED,
    NOT_UNDONE,
    OPEN,
    SETTLED,
    UNDONE,
    Standing,
    Witness,
)

_AFTER_THE_END = (ev.Observed, ev.OperatorActed, ev.OperatorRejected, ev.OperatorReran)


class RuleBroken(Exception):  # noqa: N818 - what happened
    """Say which rule does not hold, and where."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


class Rules:
    """Judge the transitions of one process type."""

    def __init__(self, graph: StepGraph) -> None:
        self._graph = graph
        self._order = WrittenOrder.of(graph)
        self._undoable = frozenset(node.name for node in graph.nodes if node.compensation is not None)

    def follow(
        self, witness: Witness, before: ProcessStatus, transition: Transition, after: ProcessStatus
    ) -> Witness:
        """Judge a transition event by event, and give what is known after it. Raises RuleBroken."""
        _judge_end(before, transition)
        for event in transition.events:
            self._judge(witness, event)
            witness = witness.seen(event)
        _judge_commands(transition)
        if after is ProcessStatus.COMPENSATED:  # also where nothing but an observation was added
            self._judge_compensated(witness)
        return witness

    def _judge(self, witness: Witness, event: ev.Event) -> None:
        match event:
            case ev.AttemptStarted(direction=Direction.ACTION) | ev.SignalAwaited() | ev.Expanded():
                self._judge_start(witness, event.step)
            case ev.Skipped(direction=Direction.ACTION, reason="condition" | "join"):
                self._judge_start(witness, event.step)
            case ev.AttemptStarted(direction=Direction.COMPENSATION):
                self._judge_undo(witness, event.step)
            case ev.AttemptCompleted():
                _judge_outcome(witness, event)
            case ev.TurnedBack():
                self._judge_turn(witness)
            case ev.Completed():
                self._judge_completed(witness)
            case _:
                pass

    def _judge_start(self, witness: Witness, name: str) -> None:
        if witness.has_turned_back:
            raise RuleBroken("nothing new goes forward once it turned back", f"step {name} starts")
        step, index = split_instance(name)
        if witness.of(name).is_tried or index is not None:
            return  # another attempt, or an instance of a step that was judged when its list was known
        node = self._graph.by_name[step]
        if not self._may_start(witness, node):
            raise RuleBroken("a step starts when what it waits for is settled", f"step {name} starts")

    def _may_start(self, witness: Witness, node: StepNode) -> bool:
        words = [witness.of(name).action for name in node.after]
        if node.pivot:
            others = self._order.before.keys() - self._order.later[node.name] - {node.name}
            words += [witness.of(name).action for name in others]
        if all(word in SETTLED for word in words):
            return True
        enough = node.join_count
        return not node.pivot and enough is not None and words.count(COMPLETED) >= enough

    def _judge_undo(self, witness: Witness, name: str) -> None:
        step, _ = split_instance(name)
        if not witness.of(name).is_tried:
            raise RuleBroken("only what was tried is undone", f"the undo of {name} starts")
        for later in self._order.later[step]:
            for other, standing in witness.parts(later).items():
                if standing.action == OPEN:
                    raise RuleBroken(
                        "a step is undone after all that comes after it",
                        f"the undo of {name} starts, and {other} is under way",
                    )
                if self._must_be_undone(other, standing):
                    raise RuleBroken(
                        "a step is undone after all that comes after it",
                        f"the undo of {name} starts, and {other} is not undone",
                    )

    def _must_be_undone(self, name: str, standing: Standing) -> bool:
        step, _ = split_instance(name)
        return step in self._undoable and standing.may_have_happened and standing.undone == NOT_UNDONE

    def _judge_turn(self, witness: Witness) -> None:
        pivot = self._graph.pivot
        if pivot is not None and witness.of(pivot.name).may_have_happened:
            raise RuleBroken("nothing turns back once the pivot may have happened", f"pivot {pivot.name}")

    def _judge_compensated(self, witness: Witness) -> None:
        for name, standing in witness.standings.items():
            if self._must_be_undone(name, standing):
                raise RuleBroken(
                    "compensated means that everything that may have happened is undone",
                    f"{name} is not undone",
                )
            if standing.action == OPEN:
                raise RuleBroken("nothing is under way at the end", f"{name} is")

    def _judge_completed(self, witness: Witness) -> None:
        if witness.has_joined:
            return
        for node in self._graph.nodes:
            if witness.of(node.name).action not in SETTLED:
                raise RuleBroken("completed means that every step is completed or skipped", node.name)


def _judge_outcome(witness: Witness, event: ev.AttemptCompleted) -> None:
    standing = witness.of(event.step)
    is_second = (event.direction is Direction.ACTION and standing.action == COMPLETED) or (
        event.direction is Direction.COMPENSATION and standing.undone == UNDONE
    )
    if is_second:
        raise RuleBroken("one accepted outcome per step and direction", f"{event.direction} of {event.step}")


def _judge_end(before: ProcessStatus, transition: Transition) -> None:
    if not before.is_ended or all(isinstance(event, _AFTER_THE_END) for event in transition.events):
        return
    reopens = any(isinstance(event, ev.TurnedBack) for event in transition.events)
    by_request = any(isinstance(event, ev.OperatorActed) for event in transition.events)
    if (
        before is ProcessStatus.FAILED
        or not reopens
        or (before is ProcessStatus.COMPLETED and not by_request)
    ):
        raise RuleBroken("after the end there are only observations", f"it was {before}")


def _judge_commands(transition: Transition) -> None:
    process_id = transition.process_id
    expected = [
        CommandRef(process_id, event.step, event.direction, event.attempt).command_id
        for event in transition.events
        if isinstance(event, ev.AttemptStarted)
    ]
    expected += [
        CommandRef(process_id, event.step, Direction.ACTION, event.attempt).command_id + ":cancel"
        for event in transition.events
        if isinstance(event, ev.ChildCancelled)
    ]
    given = [command.command_id for command in transition.commands if not _is_answer(command)]
    if sorted(expected) != sorted(given):
        raise RuleBroken(
            "each attempt is one command", f"{sorted(expected)} were decided, and {sorted(given)} sent"
        )


def _is_answer(command: Command) -> bool:
    return not command.is_answered
