"""`effects(graph, state, events) -> commands`: the orders that a decision gives, byte for byte.

A command is stored with its events and sent as it is stored, so a second publication is the same message.
"""

from collections.abc import Iterable

from saga.definition.graph import StepGraph, StepNode
from saga.messages.command import Command, CommandRef
from saga.messages.json_text import NULL, JsonObject, JsonText, splice
from saga.messages.timestamps import rfc3339
from saga.process.draft import plan_of
from saga.process.events import AttemptStarted, Event
from saga.process.state import ProcessState
from saga.process.status import AttemptOutcome, Direction
from saga.process.survey import nodes_in

REPLY_KEY = "step"
# What a command holds beside parameters, results and the undone output: ids, names, the deadline.
FRAME_BYTES = 1_024


def effects(graph: StepGraph, state: ProcessState, events: Iterable[Event]) -> tuple[Command, ...]:
    """Give the commands of a decision's events, in their order; `state` is the state after all of them."""
    return tuple(_command(graph, state, event) for event in events if isinstance(event, AttemptStarted))


def command_bytes(graph: StepGraph, state: ProcessState, node: StepNode) -> int:
    """Estimate from above the size of the next command of a step, in characters."""
    results = sum(len(text) for text in _results(graph, state, node).values())
    undone = len(state.step(node.name).action.output or NULL)
    return len(state.parameters) + results + undone + FRAME_BYTES


def outstanding(state: ProcessState, commands: Iterable[Command]) -> tuple[Command, ...]:
    """Give those of the commands that are still waiting for an answer in this state."""
    waiting = {
        CommandRef(state.process_id, name, direction, effort.attempts[-1].number).command_id
        for name, step in state.steps.items()
        for direction, effort in ((Direction.ACTION, step.action), (Direction.COMPENSATION, step.undo))
        if effort is not None and effort.attempts and effort.attempts[-1].outcome is AttemptOutcome.RUNNING
    }
    return tuple(command for command in commands if command.command_id in waiting)


def _command(graph: StepGraph, state: ProcessState, event: AttemptStarted) -> Command:
    node = graph.by_name[event.step]
    plan = plan_of(node, event.direction)
    if plan is None:
        raise ValueError(f"{event.step} has no compensation")
    ref = CommandRef(state.process_id, event.step, event.direction, event.attempt)
    frame: JsonObject = {
        "command_id": ref.command_id,
        "idempotency_key": ref.idempotency_key,
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "step": event.step,
        "service": node.service,
        "action": plan.action,
        "kind": event.direction,
        "attempt": event.attempt,
        "deadline": rfc3339(event.due_at),
        "reply_key": REPLY_KEY,
    }
    payloads = {"parameters": state.parameters, "results": splice(_results(graph, state, node))}
    if event.direction is Direction.COMPENSATION:
        payloads["compensates"] = _compensates(state, event.step)
    body = splice(payloads, onto=frame)
    return Command(ref.command_id, f"step.{node.service}.{plan.action}", body)


def _compensates(state: ProcessState, step: str) -> JsonText:
    undone = CommandRef(state.process_id, step, Direction.ACTION, 1)
    frame: JsonObject = {"step": step, "index": None, "idempotency_key": undone.idempotency_key}
    return splice({"output": state.step(step).action.output or NULL}, onto=frame)


def _results(graph: StepGraph, state: ProcessState, node: StepNode) -> dict[str, JsonText]:
    return {
        ancestor.name: output
        for ancestor in nodes_in(graph, node.ancestors)
        if (output := state.step(ancestor.name).action.output) is not None
    }
