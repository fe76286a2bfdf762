"""A process as people and programs read it: `GET /process/{id}`, and the short answer to its start."""

from collections import Counter
from collections.abc import Collection

from saga.definition.graph import StepGraph, StepNode
from saga.messages.command import CommandRef
from saga.messages.json_text import Json, JsonObject, JsonText, from_text
from saga.messages.timestamps import rfc3339
from saga.ports.projections import Projection
from saga.process.operating import allowed_actions
from saga.process.order import instances_of
from saga.process.state import Effort, ProcessState, instance_name
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.views.waiting import waiting_for
from saga.views.words import COMPENSATION_WORDS, step_word


def process_document(
    graph: StepGraph, state: ProcessState, *, estimated_end: int, unserved: Collection[str] = ()
) -> JsonObject:
    """Write everything that is known of a process; `unserved` names services that nobody carries out."""
    waits = waiting_for(graph, state, unserved=unserved)
    is_unserved = any(wait["kind"] == "service" for wait in waits)
    return {
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "definition": state.origin.definition_hash,
        "status": str(state.status),
        "reason": state.suspended_for or state.reason,
        "attention": state.attention or is_unserved or state.status is ProcessStatus.SUSPENDED,
        "parameters": from_text(state.parameters),
        "result": _payload(state.result),
        "labels": dict(state.origin.labels),
        "steps": [_step(state, node) for node in graph.nodes],
        "waiting_for": list[Json](waits),
        "allowed_actions": [str(action) for action in allowed_actions(graph, state)],
        "estimated_completion": rfc3339(estimated_end),
        "started_at": rfc3339(state.origin.accepted_at),
        "updated_at": rfc3339(state.updated_at),
        "ended_at": _time(state.ended_at),
        "version": state.version,
        "forked_from": state.origin.forked_from,
    }


def started_document(graph: StepGraph, state: ProcessState, *, estimated_end: int) -> JsonObject:
    """Write the answer to a start: four keys, and of each step its service and where it stands."""
    return {
        "process_id": state.process_id,
        "status": str(state.status),
        "estimated_completion": rfc3339(estimated_end),
        "steps": [{"service": node.service, "status": step_word(node, state)} for node in graph.nodes],
    }


def as_accepted(state: ProcessState) -> ProcessState:
    """Give the process as it stood when it was accepted."""
    origin = state.origin
    return ProcessState(origin, updated_at=origin.accepted_at, payload_bytes=len(origin.parameters))


def summary(projection: Projection) -> JsonObject:
    """Write one line of a listing, from the columns alone."""
    return {
        "process_id": projection.process_id,
        "process_type": projection.process_type,
        "definition": projection.definition_hash,
        "status": projection.status,
        "attention": projection.attention,
        "labels": dict(projection.labels),
        "started_at": rfc3339(projection.started_at),
        "updated_at": rfc3339(projection.updated_at),
        "ended_at": _time(projection.ended_at),
        "version": projection.version,
    }


def _step(state: ProcessState, node: StepNode) -> JsonObject:
    step = state.step(node.name)
    action = step.action
    return {
        "name": node.name,
        "service": node.service,
        "action": node.action.action,
        "status": step_word(node, state),
        "command_id": _command_id(state, node.name, Direction.ACTION, action),
        "attempt": len(action.attempts),
        "max_attempts": node.action.retry.attempts,
        "started_at": _time(action.attempts[0].started_at if action.attempts else None),
        "ended_at": _time(action.settled_at),
        "next_attempt_at": _time(action.next_attempt_at if action.status is EffortStatus.RETRYING else None),
        "output": _payload(action.output),
        "error": _payload(action.error),
        "compensation": _compensation(state, node),
        "items": None if step.items is None else _items(state, node, len(step.items)),
    }


def _items(state: ProcessState, node: StepNode, total: int) -> JsonObject:
    standings = Counter(state.step(instance_name(node.name, index)).action.status for index in range(total))
    return {
        "total": total,
        "completed": standings[EffortStatus.DONE] + standings[EffortStatus.SKIPPED],
        "failed": standings[EffortStatus.FAILED],
        "unknown": standings[EffortStatus.UNKNOWN],
    }


# Of the undos of a step's items the one is shown that holds the step up most.
_WORST_FIRST = (
    EffortStatus.FAILED, EffortStatus.RUNNING, EffortStatus.RETRYING, EffortStatus.PENDING,
    EffortStatus.DONE, EffortStatus.SKIPPED,
)  # fmt: skip


def worst_undo(state: ProcessState, node: StepNode) -> tuple[str, Effort] | None:
    """Give the undo of a step, or that of its items which holds the step up most; None where none is planned."""
    undos = [
        (name, undo) for name in instances_of(state, node) if (undo := state.step(name).undo) is not None
    ]
    return min(undos, key=lambda pair: _WORST_FIRST.index(pair[1].status), default=None)


def _compensation(state: ProcessState, node: StepNode) -> JsonObject | None:
    worst = worst_undo(state, node)
    if worst is None:
        return None
    name, undo = worst
    return {
        "action": node.compensation.action if node.compensation is not None else None,
        "status": COMPENSATION_WORDS[undo.status],
        "command_id": _command_id(state, name, Direction.COMPENSATION, undo),
        "attempt": len(undo.attempts),
        "error": _payload(undo.error),
    }


def _command_id(state: ProcessState, step: str, direction: Direction, effort: Effort) -> str | None:
    if effort.current is None:
        return None
    return CommandRef(state.process_id, step, direction, effort.current.number).command_id


def _payload(text: JsonText | None) -> Json:
    return None if text is None else from_text(text)


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
