"""What a process waits for just now: replies, timers, a person, or a coordinator to take it."""

from collections.abc import Collection, Iterator
from typing import assert_never

from saga.definition.graph import StepGraph, StepKind, StepNode
from saga.messages.command import CommandRef
from saga.messages.json_text import JsonObject
from saga.messages.start import id_for_child
from saga.messages.timestamps import rfc3339
from saga.process.order import instances_of
from saga.process.state import Effort, ProcessState
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.timers import START_GRACE_MS, awaits_lock


def asked_services(graph: StepGraph, state: ProcessState) -> frozenset[str]:
    """Name the services that an answer is awaited from."""
    return frozenset(
        node.service
        for name, step in state.steps.items()
        if (node := graph.node_of(name)).kind is StepKind.SERVICE
        for effort in (step.action, step.undo, step.verify)
        if effort is not None and effort.attempts and effort.status is EffortStatus.RUNNING
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
    waits = [
        wait
        for node in graph.nodes
        for name in instances_of(state, node)
        for wait in _of_step(state, node, name, unserved)
    ]
    if awaits_lock(state):
        waits.append(_for_lock(state))
    is_halted = state.status in {ProcessStatus.SUSPENDED, ProcessStatus.PAUSED}
    if is_halted and not any(wait["kind"] == "operator" for wait in waits):
        reason = state.suspended_for or str(state.status)
        waits.append(_entry("operator", since=state.stopped_at, reason=reason))
    return waits


def _for_lock(state: ProcessState) -> JsonObject:
    if state.joined_to is not None:
        return _entry("lock", since=state.updated_at, reason=f"ends as process {state.joined_to} does")
    lock = next(lock for lock in state.locks or () if not lock.is_held)
    held = f"held by process {lock.holder}" if lock.holder else "not taken yet"
    return _entry("lock", since=state.updated_at, reason=f"the key {lock.key[:200]} is {held}")


def _of_step(
    state: ProcessState, node: StepNode, name: str, unserved: Collection[str]
) -> Iterator[JsonObject]:
    step = state.step(name)
    efforts = (
        (Direction.ACTION, step.action), (Direction.COMPENSATION, step.undo), (Direction.VERIFY, step.verify)
    )  # fmt: skip
    for direction, effort in efforts:
        if effort is None:
            continue
        if effort.status is EffortStatus.RUNNING and effort.attempts:
            yield _for_reply(state, node, name, direction, effort)
            if node.service in unserved:
                reason = f"nobody takes commands for the service {node.service}"
                yield _entry("service", name, since=effort.attempts[-1].started_at, reason=reason)
        elif effort.status is EffortStatus.RETRYING:
            yield _for_timer(name, direction, effort)
        elif _is_stuck(state, node, direction, effort):
            yield _entry("operator", name, since=effort.settled_at, reason=state.suspended_for)


def _for_reply(
    state: ProcessState, node: StepNode, name: str, direction: Direction, effort: Effort
) -> JsonObject:
    attempt = effort.attempts[-1]
    command_id = CommandRef(state.process_id, name, direction, attempt.number).command_id
    match node.kind:
        case StepKind.SIGNAL:
            kind, reason = "signal", "somebody must give the signal"
        case StepKind.PROCESS:
            last = CommandRef(state.process_id, name, Direction.ACTION, len(state.step(name).action.attempts))
            told = "told to end" if attempt.cancelled else f"{direction} sent"
            kind, reason = "child", f"process {id_for_child(last.command_id)}: {told}"
        case StepKind.SERVICE:
            kind, reason = "reply", f"{direction} sent to {node.service}"
        case _:
            assert_never(node.kind)
    return _entry(
        kind,
        name,
        command_id=command_id,
        since=attempt.started_at,
        until=None if attempt.cancelled else attempt.due_at,
        reason=reason,
    )


def _for_timer(name: str, direction: Direction, effort: Effort) -> JsonObject:
    since = effort.attempts[-1].started_at if effort.attempts else None
    reason = f"next attempt of the {direction}"
    return _entry("timer", name, since=since, until=effort.next_attempt_at, reason=reason)


def _is_stuck(state: ProcessState, node: StepNode, direction: Direction, effort: Effort) -> bool:
    if state.status is not ProcessStatus.SUSPENDED or direction is Direction.VERIFY:
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
