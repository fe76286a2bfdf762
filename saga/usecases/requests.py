"""What a person's request means: whether it was made before, and whether it can apply where a process stands."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from saga.definition.graph import StepGraph
from saga.errors import IdempotencyConflict, NotAllowedNow, SagaError
from saga.messages.control import ControlCommand
from saga.messages.json_text import Json, JsonObject, from_text, to_canonical_text, to_text
from saga.process.advance import stuck_efforts
from saga.process.draft import Draft
from saga.process.limits import UNDECIDABLE
from saga.process.operating import allowed_actions
from saga.process.state import ProcessState, split_instance
from saga.process.status import EffortStatus, OperatorAction

_REJECTED = "operator_rejected"


class WrongStep(SagaError):  # noqa: N818 - what is wrong with the request
    """Say that the step that is named is none of the process, or that one must be named."""

    code = "wrong-step"


class StepNotAllowedNow(NotAllowedNow):
    """Say that an action applies to the process, but not to the step that is named."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Hold a process as its log tells it at this moment, and the entries of the log."""

    state: ProcessState
    entries: Sequence[JsonObject]


def request_id_of(command: ControlCommand, *, key: str | None, version: int) -> str:
    """Derive what makes a second request the same: its key, or else its words and the version it was made on.

    Keys of different people, for different processes and actions, never meet.
    """
    words: JsonObject = {"version": version, "body": command.to_body()} if key is None else {"key": key}
    text = to_text([command.actor, command.process_id, command.action, words])
    return f"http:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def is_repeated(command: ControlCommand, looked: Looked, *, key: str) -> bool:
    """Say whether a request with this key was judged already, obeyed or not.

    Raises IdempotencyConflict where the earlier one asked for something else.
    """
    request_id = request_id_of(command, key=key, version=looked.state.version)
    for entry in looked.entries:
        data = entry["data"]
        if isinstance(data, dict) and data.get("request_id") == request_id:
            if not _says_the_same(command, entry, data):
                raise IdempotencyConflict(command.process_id)
            return True
    return False


def judge(command: ControlCommand, graph: StepGraph, state: ProcessState) -> None:
    """Judge a request by where a process stands. Raises WrongStep, NotAllowedNow, and StepNotAllowedNow."""
    action = OperatorAction(command.action)
    if command.step is not None:
        _refuse_strangers(graph, state, command.step)
    allowed = allowed_actions(graph, state)
    names = tuple(map(str, allowed))
    if action not in allowed:
        raise NotAllowedNow(state.status, names)
    candidates = _candidates(graph, state, action)
    if candidates is None:
        return
    if command.step is None and action is not OperatorAction.RETRY and len(candidates) > 1:
        raise WrongStep("must be given: there are several steps to which this applies")
    if command.step is not None and command.step not in candidates:
        raise StepNotAllowedNow(state.status, names)


def _says_the_same(command: ControlCommand, entry: JsonObject, data: JsonObject) -> bool:
    asked: dict[str, Json] = {"reason": command.reason}
    if entry["type"] != _REJECTED:  # of a request that was not obeyed the log keeps less
        asked["outcome"] = command.outcome
        asked["output"] = None if command.output is None else from_text(command.output)
    known = {name: data.get(name) for name in asked}
    return entry["step"] == command.step and to_canonical_text(known) == to_canonical_text(asked)


def _refuse_strangers(graph: StepGraph, state: ProcessState, name: str) -> None:
    step, index = split_instance(name)
    node = graph.by_name.get(step)
    if node is None:
        raise WrongStep("is no step of this process")
    if index is None:
        return
    items = state.step(step).items
    if node.for_each is None or (items is not None and index >= len(items)):
        raise WrongStep("is no item of a step of this process")


def _candidates(graph: StepGraph, state: ProcessState, action: OperatorAction) -> frozenset[str] | None:
    """Name the steps that an action may mean now; None where it is about the whole process."""
    match action:
        case OperatorAction.RETRY if state.suspended_for == UNDECIDABLE:
            return None
        case OperatorAction.RETRY | OperatorAction.SKIP:
            return frozenset(name for _, name in stuck_efforts(Draft(graph, state, state.updated_at)))
        case OperatorAction.RESOLVE:
            return frozenset(
                name for name, step in state.steps.items() if step.action.status is EffortStatus.UNKNOWN
            )
        case _:
            return None
