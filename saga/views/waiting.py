"""What a process waits for just now: replies, timers, a person, or a coordinator to take it."""

from collections.abc import Collection, Iterator

from saga.definition.graph import StepGraph, StepNode
from saga.messages.command import CommandRef
from saga.messages.json_text import JsonObject
from saga.messages.timestamps import rfc3339
from saga.process.state import Effort, ProcessState
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.timers import START_GRACE_MS


def asked_services(graph: StepGraph, state: ProcessState) -> frozenset[str]:
    """Name the services that an answer is awaited from."""
    return frozenset(
        graph.by_name[name].service
        for name, step in state.steps.items()
        for effort in (step.action, step.undo)
        if effort is not None and effort.status is EffortStatus.RUNNING
    )


def waiting_for(graph: StepGraph, state: ProcessState, *, unserved: Collection[str] = ()) -> list[JsonObject]:
    """List what the process waits for, in the order of its steps; empty once it has ended.

    `unserved` names services whose queue nobody takes from: they are listed beside the replies awaited.
    """
    if state.status.is_ended:
        return []
    if not state.is_taken:
        until = state.origin.accepted_at + START_GRACE_MS
        return [
            _entry("timer", since=state.origin.accepted_at, until=until, reason="no coordinator took it yet")
        ]
    waits = [wait for node in graph.nodes for wait in _of_step(state, node, unserved)]
    if state.status is ProcessStatus.SUSPENDED and not any(wait["kind"] == "operator" for wait in waits):
        waits.append(_entry("operator", since=state.updated_at, reason=state.suspended_for))
    return waits


def _of_step(state: ProcessState, node: StepNode, unserved: Collection[str]) -> Iterator[JsonObject]:
    step = state.step(node.name)
    for direction, effort in ((Direction.ACTION, step.action), (Direction.COMPENSATION, step.undo)):
        if effort is None:
            continue
        if effort.status is EffortStatus.RUNNING:
            yield _for_reply(state, node, direction, effort)
            if node.service in unserved:
                reason = f"nobody takes commands for the service {node.service}"
                yield _entry("service", node.name, since=effort.attempts[-1].started_at, reason=reason)
        elif effort.status is EffortStatus.RETRYING:
            yield _for_timer(node, direction, effort)
        elif _is_stuck(state, node, direction, effort):
            yield _entry("operator", node.name, since=effort.settled_at, reason=state.suspended_for)


def _for_reply(state: ProcessState, node: StepNode, direction: Direction, effort: Effort) -> JsonObject:
    attempt = effort.attempts[-1]
    command_id = CommandRef(state.process_id, node.name, direction, attempt.number).command_id
    return _entry(
        "reply",
        node.name,
        command_id=command_id,
        since=attempt.started_at,
        until=attempt.due_at,
        reason=f"{direction} sent to {node.service}",
    )


def _for_timer(node: StepNode, direction: Direction, effort: Effort) -> JsonObject:
    since = effort.attempts[-1].started_at if effort.attempts else None
    reason = f"next attempt of the {direction}"
    return _entry("timer", node.name, since=since, until=effort.next_attempt_at, reason=reason)


def _is_stuck(state: ProcessState, node: StepNode, direction: Direction, effort: Effort) -> bool:
    if state.status is not ProcessStatus.SUSPENDED:
        return False
    if effort.status not in {EffortStatus.FAILED, EffortStatus.UNKNOWN}:
        return False
    return direction is Direction.COMPENSATION or node.forward_only


def _entry(
    kind: str,
    step: str | None = None,
    *,
    command_id: str | None = None,
    since: int | None = None,
    until: int | None = None,
    reason: str | None = None,
) -> JsonObject:
    return {
        "kind": kind,
        "step": step,
        "command_id": command_id,
        "since": None if since is None else rfc3339(since),
        "until": None if until is None else rfc3339(until),
        "reason": reason,
    }
