"""How an attempt starts, and where an unsuccessful one leaves its effort."""

import hashlib
from enum import StrEnum, auto
from typing import cast

from saga.definition.graph import StepKind
from saga.messages.command import CommandRef
from saga.messages.json_text import JsonObject, JsonText, from_text, to_text
from saga.messages.strict_json import UnstorableJson, decode
from saga.process import events as ev
from saga.process.draft import Draft
from saga.process.effects import command_bytes
from saga.process.limits import CHILD_LIMITS, COMMANDS_BYTES_MAX, IN_FLIGHT_MAX, PROCESS_BYTES_MAX
from saga.process.mapping import MappingFailed, evaluate_object
from saga.process.state import Effort
from saga.process.status import AttemptOutcome, Direction, EffortStatus

TIMEOUT = "timeout"


class Start(StrEnum):
    """Tell what came of starting an attempt."""

    STARTED = auto()
    REFUSED = auto()
    POSTPONED = auto()


def start_attempt(draft: Draft, direction: Direction, name: str) -> Start:
    """Record that the next attempt of an effort starts now.

    It is refused where its command can't be built: its effort is failed then. It is postponed where the
    transition, or the process, has no room for it: a timer, or the end of another attempt, brings it back.
    """
    node = draft.graph.node_of(name)
    effort = draft.state.effort(direction, name) or Effort()
    number = len(effort.attempts) + 1
    due_at = draft.now + draft.plan(direction, name).timeout_ms
    if node.kind is StepKind.SIGNAL:
        draft.record(ev.SignalAwaited(name, number, due_at))
        return Start.STARTED
    is_counted = effort.status.is_open or direction is Direction.VERIFY
    if not is_counted and _is_crowded(draft):
        return Start.POSTPONED
    try:
        mapped = _mapped_input(draft, direction, name) if effort.input is None else None
        if node.kind is StepKind.PROCESS:
            _check_takeable(mapped or effort.input or draft.state.parameters)
    except MappingFailed as failure:
        refuse(draft, direction, name, failure.code, str(failure))
        return Start.REFUSED
    if draft.state.payload_bytes + len(mapped or "") > PROCESS_BYTES_MAX:
        message = f"what this process holds would exceed {PROCESS_BYTES_MAX} characters"
        refuse(draft, direction, name, "process_too_large", message)
        return Start.REFUSED
    size = command_bytes(draft.graph, draft.state, direction, name, mapped=mapped)
    if size > COMMANDS_BYTES_MAX:
        message = f"parameters and results of {size} bytes don't fit a command of {COMMANDS_BYTES_MAX}"
        refuse(draft, direction, name, "command_too_large", message)
        return Start.REFUSED
    if not draft.takes(size):
        return Start.POSTPONED
    draft.record(ev.AttemptStarted(direction, name, number, due_at, mapped))
    return Start.STARTED


def _is_crowded(draft: Draft) -> bool:
    if len(draft.state.steps) < IN_FLIGHT_MAX:
        return False  # it can't be, and counting costs a look at every step
    return draft.seen.in_flight >= IN_FLIGHT_MAX


def refuse(draft: Draft, direction: Direction, name: str, code: str, message: str) -> None:
    """Record that an effort failed for good before anything was sent."""
    error = to_text({"code": code, "message": message, "retryable": False})
    effort = draft.state.effort(direction, name) or Effort()
    is_unknown = direction is Direction.ACTION and effort.is_unanswered
    becomes = EffortStatus.UNKNOWN if is_unknown else EffortStatus.FAILED
    draft.record(ev.AttemptFailed(direction, name, 0, becomes, error))


def _mapped_input(draft: Draft, direction: Direction, name: str) -> JsonText | None:
    plan = draft.plan(direction, name).input
    if plan is None:
        return None
    node = draft.graph.node_of(name)
    scope = draft.scope(node.ancestors, name)
    own = draft.state.step(name).action.output
    if direction is Direction.COMPENSATION and own is not None:
        results = cast("JsonObject", scope["results"])
        scope["results"] = {**results, node.name: from_text(own)}
    return evaluate_object(plan, scope)


def _check_takeable(parameters: JsonText) -> None:
    """Check that a start with these parameters passes the door. Raises MappingFailed."""
    try:
        decode(parameters.encode(), CHILD_LIMITS)
    except UnstorableJson as error:
        raise MappingFailed(f"no process can be started with it: it is {error}") from None


def after_failure(
    draft: Draft, direction: Direction, name: str, *, code: str | None, attempt: int, effect_unknown: bool
) -> EffortStatus:
    """Say where an unsuccessful attempt leaves its effort; `code` None means: not worth another try."""
    effort = draft.state.effort(direction, name) or Effort()
    plan = draft.plan(direction, name)
    # Nothing was sent for a signal, so that none of those that nobody gave leaves anything open.
    is_sent = draft.graph.node_of(name).kind is not StepKind.SIGNAL
    others = (other for other in effort.attempts if other.number != attempt and is_sent)
    is_unknown = effect_unknown or any(other.outcome is AttemptOutcome.UNANSWERED for other in others)
    if code is not None and plan.retry.allows(code, attempts_used=effort.attempts_used):
        if direction is Direction.COMPENSATION and _is_overtaken(draft, name):
            return EffortStatus.PENDING
        if direction is not Direction.ACTION or _may_go_forward(draft, name, is_unknown=is_unknown):
            return EffortStatus.RETRYING
    if direction is not Direction.ACTION:
        return EffortStatus.FAILED
    return EffortStatus.UNKNOWN if is_unknown else EffortStatus.FAILED


def _may_go_forward(draft: Draft, name: str, *, is_unknown: bool) -> bool:
    """Say whether an action may be tried again: not on the way back, nor where a turn waits for the pivot.

    A pivot that may have had its effect is tried again all the same: it has not failed, and what became of it
    can't be learned otherwise.
    """
    is_noted = draft.state.noted is not None and draft.graph.node_of(name).pivot
    return not draft.state.is_going_back and (is_unknown or not is_noted)


def can_ask(draft: Draft, direction: Direction, step: str) -> bool:
    """Say whether a participant can be asked what became of an attempt, and wasn't asked about it before."""
    if direction is not Direction.ACTION or draft.graph.node_of(step).verify is None:
        return False
    return draft.state.step(step).action.status is EffortStatus.RUNNING


def conclude(draft: Draft, step: str, *, had_no_effect: bool) -> None:
    """Settle an attempt that was asked about: it had no effect, or nobody knows; then it may be tried again."""
    action = draft.state.step(step).action
    attempt = len(action.attempts)
    becomes = after_failure(
        draft, Direction.ACTION, step,
        code=_code_of(action), attempt=attempt, effect_unknown=not had_no_effect,
    )  # fmt: skip
    draft.record(ev.VerifyConcluded(step, attempt, had_no_effect, becomes))
    if becomes is EffortStatus.RETRYING:
        schedule_retry(draft, Direction.ACTION, step)


def _code_of(action: Effort) -> str | None:
    """Give what the last attempt ended with: the time-out, or the code of a failure that left all open."""
    if action.error is None or action.current is None or "failed" not in action.current.replies:
        return TIMEOUT
    error = cast("JsonObject", from_text(action.error))
    return None if error.get("retryable") is False else str(error.get("code", TIMEOUT))


def _is_overtaken(draft: Draft, name: str) -> bool:
    """Say whether a later step joined the plan while this one's undo was under way: it is undone first."""
    return bool(draft.graph.node_of(name).descendants & draft.seen.not_undone)


def schedule_retry(draft: Draft, direction: Direction, name: str, *, wait_at_least_ms: int = 0) -> None:
    """Record when the next attempt of an effort is due."""
    effort = draft.state.effort(direction, name) or Effort()
    number = len(effort.attempts)
    chance = _derived_chance(CommandRef(draft.state.process_id, name, direction, number).command_id)
    wait_ms = draft.plan(direction, name).retry.wait_ms(effort.attempts_used, chance)
    at = draft.now + max(wait_ms, wait_at_least_ms)
    draft.record(ev.RetryScheduled(direction, name, number + 1, at))


def _derived_chance(text: str) -> float:
    """Spread retries as chance would, but the same way at every replay."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48
