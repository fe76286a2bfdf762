"""`effects(graph, state, events) -> commands`: the orders that a decision gives, byte for byte.

A command is stored with its events and sent as it is stored, so a second publication is the same message.
Processes that carry out steps of others are ordered by the same messages that people use, and answer their
parent by the same replies that participants send.
"""

import re
from collections.abc import Iterable, Iterator

from saga.definition.graph import StepGraph, StepKind, nodes_in
from saga.messages.command import FORKED, REPLY_KEY, Command, CommandRef, parse_command_id
from saga.messages.fork import ForkNews
from saga.messages.json_text import EMPTY_OBJECT, NULL, JsonObject, JsonText, splice, to_text
from saga.messages.start import id_for_child
from saga.messages.timestamps import rfc3339
from saga.process.draft import plan_of
from saga.process.events import (
    AttemptStarted,
    ChildCancelled,
    Compensated,
    Completed,
    Event,
    Failed,
    OperatorActed,
    Started,
)
from saga.process.state import ProcessState, split_instance
from saga.process.status import AttemptOutcome, Direction, EffortStatus, ProcessStatus

# What a command holds beside parameters, results and the undone output: ids, names, the deadline.
FRAME_BYTES = 1_024
_REPLY_KEY_MEMBER = '"reply_key":'
_NAMED_REPLY_KEY = re.compile(_REPLY_KEY_MEMBER + r'"([A-Za-z0-9._-]{1,128})"')


def effects(
    graph: StepGraph, state: ProcessState, events: Iterable[Event], *, reply_key: str = REPLY_KEY
) -> tuple[Command, ...]:
    """Give the commands of a decision's events, in their order; `state` is the state after all of them.

    `reply_key` says where the sender wants the replies.
    """
    return tuple(_effects(graph, state, events, reply_key))


def reply_key_of(commands: Iterable[Command]) -> str:
    """Give where the sender of recorded commands wanted the replies."""
    for command in commands:
        if command.is_order:
            # The first is ours: the payloads stand behind it.
            named = _NAMED_REPLY_KEY.match(command.body, max(command.body.find(_REPLY_KEY_MEMBER), 0))
            return REPLY_KEY if named is None else named[1]
    return REPLY_KEY


def _effects(
    graph: StepGraph, state: ProcessState, events: Iterable[Event], reply_key: str
) -> Iterator[Command]:
    is_answered = False
    for event in events:
        match event:
            case Started() if state.origin.forked_from is not None:
                yield _news_of_fork(state, state.origin.forked_from)
            case AttemptStarted():
                yield _command(graph, state, event, reply_key)
            case ChildCancelled():
                yield _cancel(state, event)
            case Completed() | Compensated() | Failed() | OperatorActed() if not is_answered:
                if state.status.is_ended and state.reply_to is not None:
                    is_answered = True
                    yield _answer(state, state.reply_to)
            case _:
                pass


def command_bytes(
    graph: StepGraph, state: ProcessState, direction: Direction, name: str, *, mapped: JsonText | None
) -> int:
    """Estimate from above the size of the next command of a step, in characters."""
    step = state.step(name)
    undone = 0 if direction is Direction.ACTION else len(step.action.output or NULL)
    effort = state.effort(direction, name)
    given = mapped or (effort.input if effort else None)
    base, index = split_instance(name)
    items = state.step(base).items
    item = 0 if index is None or items is None else len(items[index])
    if given is not None and direction is not Direction.VERIFY:
        return len(given) + undone + item + FRAME_BYTES
    results = sum(len(text) for text in _results(graph, state, name).values())
    return len(state.parameters) + results + undone + item + FRAME_BYTES


def outstanding(state: ProcessState, commands: Iterable[Command]) -> tuple[Command, ...]:
    """Give those of the commands that are still waiting for an answer in this state.

    What nobody answers is always among them: the answer to a parent process, and the news of a fork.
    """
    waiting = {ref.command_id for ref in awaited(state)}
    return tuple(command for command in commands if not command.is_answered or command.concerns in waiting)


def awaited(state: ProcessState) -> Iterator[CommandRef]:
    """Name the commands that an answer is awaited to."""
    for name, step in state.steps.items():
        efforts = (
            (Direction.ACTION, step.action), (Direction.COMPENSATION, step.undo), (Direction.VERIFY, step.verify)
        )  # fmt: skip
        for direction, effort in efforts:
            if effort is None or effort.status is not EffortStatus.RUNNING or effort.current is None:
                continue
            if effort.current.outcome is AttemptOutcome.RUNNING:
                yield CommandRef(state.process_id, name, direction, effort.current.number)


def _command(graph: StepGraph, state: ProcessState, event: AttemptStarted, reply_key: str) -> Command:
    node = graph.node_of(event.step)
    ref = CommandRef(state.process_id, event.step, event.direction, event.attempt)
    if node.kind is StepKind.PROCESS:
        return _order_to_child(graph, state, event, ref)
    plan = plan_of(node, event.direction)
    if plan is None:
        raise ValueError(f"{event.step} has no {event.direction}")
    frame: JsonObject = {
        "command_id": ref.command_id,
        "idempotency_key": ref.idempotency_key,
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "step": node.name,
        "service": node.service,
        "action": plan.action,
        "kind": event.direction,
        "attempt": event.attempt,
        "deadline": rfc3339(event.due_at),
        "reply_key": reply_key,
    }
    payloads = _payloads(graph, state, event.direction, event.step)
    _, index = split_instance(event.step)
    if index is not None:
        frame["index"] = index
        payloads["item"] = (state.step(node.name).items or ())[index]
    if event.direction is Direction.COMPENSATION:
        payloads["compensates"] = _compensates(state, event.step)
    elif event.direction is Direction.VERIFY:
        payloads["verifies"] = _verifies(state, event.step)
    body = splice(payloads, onto=frame)
    return Command(ref.command_id, f"step.{node.service}.{plan.action}", body)


def _payloads(graph: StepGraph, state: ProcessState, direction: Direction, name: str) -> dict[str, JsonText]:
    """Give what a command carries: what the definition maps, or the process's parameters and the results."""
    own = state.effort(direction, name)
    action = state.step(name).action
    # An undo and a question carry what the action did, unless the undo has a mapping of its own.
    given = (own.input if own else None) or action.input
    if given is not None:
        return {"parameters": given}
    return {"parameters": state.parameters, "results": splice(_results(graph, state, name))}


def _compensates(state: ProcessState, name: str) -> JsonText:
    step, index = split_instance(name)
    undone = CommandRef(state.process_id, name, Direction.ACTION, 1)
    frame: JsonObject = {"step": step, "index": index, "idempotency_key": undone.idempotency_key}
    return splice({"output": state.step(name).action.output or NULL}, onto=frame)


def _verifies(state: ProcessState, name: str) -> JsonText:
    step, index = split_instance(name)
    asked = CommandRef(state.process_id, name, Direction.ACTION, len(state.step(name).action.attempts))
    return to_text(
        {
            "step": step,
            "index": index,
            "idempotency_key": asked.idempotency_key,
            "command_id": asked.command_id,
            "attempt": asked.attempt,
        }
    )


def _results(graph: StepGraph, state: ProcessState, name: str) -> dict[str, JsonText]:
    return {
        ancestor.name: output
        for ancestor in nodes_in(graph, graph.node_of(name).ancestors)
        if (output := state.step(ancestor.name).action.output) is not None
    }


# Between a process and those that carry out its steps


def _order_to_child(graph: StepGraph, state: ProcessState, event: AttemptStarted, ref: CommandRef) -> Command:
    node = graph.node_of(event.step)
    if event.direction is Direction.COMPENSATION:
        last = len(state.step(event.step).action.attempts)
        undone = CommandRef(state.process_id, event.step, Direction.ACTION, last)
        return _control("compensate", undone.command_id, ref.command_id, "parent_turned_back")
    origin = state.origin
    pinned = origin.children[node.action.action]
    frame: JsonObject = {
        "process_type": node.action.action,
        "process_id": id_for_child(ref.command_id),
        "labels": dict(origin.labels),
        "parent": ref.command_id,
        "root_id": origin.root_id,
        "definition": pinned,
        "children": dict(origin.children),
        "traceparent": origin.traceparent,
    }
    parameters = _payloads(graph, state, Direction.ACTION, event.step)["parameters"]
    return Command(ref.command_id, "process.start", splice({"parameters": parameters}, onto=frame))


def _cancel(state: ProcessState, event: ChildCancelled) -> Command:
    started = CommandRef(state.process_id, event.step, Direction.ACTION, event.attempt).command_id
    return _control("cancel", started, f"{started}:cancel", f"parent: {event.reason}")


def _control(word: str, started: str, request_id: str, reason: str) -> Command:
    body: JsonObject = {"process_id": id_for_child(started), "reason": reason, "request_id": request_id}
    if word == "compensate":
        body["reply_to"] = request_id
    return Command(request_id, f"process.{word}", to_text(body))


def _news_of_fork(state: ProcessState, forked_from: str) -> Command:
    """Tell the process that this one was rerun from, whose log names it from then on."""
    origin = state.origin
    news = ForkNews(
        forked_from, state.process_id, origin.from_step or "", origin.fork_reason or "", origin.principal
    )
    return Command(news.request_id, FORKED, news.to_body())


def _answer(state: ProcessState, reply_to: str) -> Command:
    """Tell the parent how this process ended, as a participant tells of its step."""
    ref = parse_command_id(reply_to)
    is_undo = ref is not None and ref.kind == Direction.COMPENSATION
    is_well = state.status is (ProcessStatus.COMPENSATED if is_undo else ProcessStatus.COMPLETED)
    if is_well:
        output = EMPTY_OBJECT if is_undo else (state.result or NULL)
        body = splice({"output": output}, onto={"command_id": reply_to})
        return Command(f"{reply_to}:completed:{state.version}", "step.completed", body)
    error: JsonObject = {
        "code": f"process_{state.status}",
        "message": f"process {state.process_id} ended {state.status}: {state.reason or 'no reason given'}",
        # Given up by a person, it may have left anything behind, and is not done again; else nothing is left.
        "retryable": state.status is ProcessStatus.COMPENSATED and not is_undo,
        "effect_unknown": state.status is ProcessStatus.FAILED,
    }
    body = to_text({"command_id": reply_to, "error": error})
    return Command(f"{reply_to}:failed:{state.version}", "step.failed", body)
