"""`decide(graph, state, input, now) -> decision`: the rules for one input; what follows from it is `advance`'s.

No clock, no chance, no I/O: time is an argument in milliseconds of the store's clock, jitter is derived.
A ruling without events says that the input changes nothing; it is worth only as much as the state that it
was made on, so the caller makes it again on a state just read before it lets the message go.
"""

import hashlib
from typing import assert_never

from saga.definition.graph import StepGraph
from saga.messages.command import CommandRef
from saga.messages.json_text import NULL, from_text
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance, start_attempt
from saga.process.draft import Decision, Draft
from saga.process.limits import PROGRESS_FACTOR, PROGRESS_PARTS
from saga.process.state import Attempt, Effort, ProcessState
from saga.process.status import AttemptOutcome, Direction, EffortStatus, ProcessStatus
from saga.process.survey import nodes_in, survey

TIMEOUT = "timeout"


def decide(graph: StepGraph, state: ProcessState, received: inputs.Input, now: int) -> Decision:
    """Give what an input causes in a process that exists; a decision without events changes nothing."""
    draft = Draft(graph, state, max(now, state.updated_at))
    match received:
        case inputs.StartRequested():
            _begin(draft)
        case inputs.SuccessReceived():
            _succeed(draft, received)
        case inputs.FailureReceived():
            _fail(draft, received)
        case inputs.ProgressReceived():
            _progress(draft, received)
        case inputs.WokenUp():
            _wake(draft, received)
        case _:
            assert_never(received)
    return draft.decision()


def knows(state: ProcessState, reply: inputs.ReplyReceived) -> bool:
    """Say whether the command that a reply names was ever sent."""
    effort = state.effort(reply.direction, reply.step)
    return effort is not None and effort.attempt(reply.attempt) is not None


def _begin(draft: Draft) -> None:
    if not draft.state.is_taken:
        draft.record(ev.Started())
        advance(draft)


def _succeed(draft: Draft, reply: inputs.SuccessReceived) -> None:
    effort, attempt = _answered(draft, reply)
    if "completed" in attempt.replies:
        return
    completed = ev.AttemptCompleted(reply.direction, reply.step, reply.attempt, reply.output)
    is_action = reply.direction is Direction.ACTION
    if effort.status is EffortStatus.DONE:
        _observe(draft, reply, kind="superseded", reply_word="completed")
    elif effort.status.is_open or not is_action or not draft.state.status.is_ended:
        draft.record(completed)
        if is_action and _needs_undo_after_all(draft, reply.step):
            draft.record(ev.CompensationPlanned((reply.step, *_overtaken_undos(draft, reply.step))))
    elif draft.state.status is ProcessStatus.COMPENSATED and _needs_undo_after_all(draft, reply.step):
        draft.record(completed)
        draft.record(ev.TurnedBack("late_completion", reply.step, ()))
        draft.record(ev.CompensationPlanned((reply.step,)))
    else:
        undone = draft.state.status is ProcessStatus.COMPENSATED
        _observe(draft, reply, kind="late_completion", reply_word="completed", attention=not undone)
    advance(draft)


def _needs_undo_after_all(draft: Draft, step: str) -> bool:
    """Say whether a step that turned out to have happened must be added to the frozen undo plan."""
    if draft.state.undo_plan is None:
        return False  # the plan is not frozen yet and will hold the step by itself
    undo = draft.state.step(step).undo
    if undo is None:
        return draft.graph.by_name[step].compensation is not None
    return undo.status is EffortStatus.DONE and _found_nothing(undo)


def _overtaken_undos(draft: Draft, step: str) -> tuple[str, ...]:
    """Name the undos in backoff that a step which joins the plan late must now go before."""
    node = draft.graph.by_name[step]
    earlier = nodes_in(draft.graph, node.ancestors & survey(draft.graph, draft.state).undo_open)
    return tuple(
        other.name
        for other in earlier
        if (undo := draft.state.step(other.name).undo) and undo.status is EffortStatus.RETRYING
    )


def _found_nothing(undo: Effort) -> bool:
    """Say whether a participant acknowledged an undo with the word that there was nothing to undo."""
    output = from_text(undo.output or NULL)
    return isinstance(output, dict) and output.get("nothing_to_undo") is True


def _fail(draft: Draft, reply: inputs.FailureReceived) -> None:
    effort, attempt = _answered(draft, reply)
    if "failed" in attempt.replies:
        return
    is_current = effort.status is EffortStatus.RUNNING and attempt.number == len(effort.attempts)
    if not is_current:
        kind = "superseded" if effort.status.is_open else "late_failure"
        _observe(draft, reply, kind=kind, reply_word="failed")
        return
    becomes = _after_failure(
        draft, effort, reply.direction, reply.step,
        code=reply.code if reply.retryable else None, effect_unknown=reply.effect_unknown,
    )  # fmt: skip
    draft.record(
        ev.AttemptFailed(
            reply.direction, reply.step, reply.attempt, becomes, reply.error, reply.effect_unknown
        )
    )
    if becomes is EffortStatus.RETRYING:
        _schedule_retry(draft, reply.direction, reply.step, wait_at_least_ms=reply.retry_after_ms)
    advance(draft)


def _progress(draft: Draft, reply: inputs.ProgressReceived) -> None:
    effort, attempt = _answered(draft, reply)
    if effort.status is not EffortStatus.RUNNING or attempt.outcome is not AttemptOutcome.RUNNING:
        return
    timeout_ms = draft.plan(reply.direction, reply.step).timeout_ms
    last = attempt.progressed_at or attempt.started_at
    if draft.now - last < timeout_ms / PROGRESS_PARTS:
        return  # at most so often, or a chatty participant fills the log
    due_at = min(draft.now + timeout_ms, attempt.started_at + PROGRESS_FACTOR * timeout_ms)
    draft.record(
        ev.AttemptProgressed(
            reply.direction, reply.step, reply.attempt, max(due_at, attempt.due_at),
            reply.percent, reply.message,
        )
    )  # fmt: skip


def _wake(draft: Draft, woken: inputs.WokenUp) -> None:
    # A wake of an older version says nothing: whoever wrote the newer version set its own timer.
    if woken.version != draft.state.version or woken.due_at > draft.now:
        return
    if not draft.state.is_taken:
        draft.record(ev.Started())
    for name, step in tuple(draft.state.steps.items()):
        _wake_effort(draft, Direction.ACTION, name, step.action, woken.due_at)
        if step.undo is not None:
            _wake_effort(draft, Direction.COMPENSATION, name, step.undo, woken.due_at)
    advance(draft)


def _wake_effort(draft: Draft, direction: Direction, step: str, effort: Effort, due_at: int) -> None:
    current = effort.current
    if effort.status is EffortStatus.RUNNING and current is not None and current.due_at <= due_at:
        becomes = _after_failure(draft, effort, direction, step, code=TIMEOUT, effect_unknown=True)
        draft.record(ev.AttemptTimedOut(direction, step, current.number, becomes))
        if becomes is EffortStatus.RETRYING:
            _schedule_retry(draft, direction, step)
    elif effort.status is EffortStatus.RETRYING and (effort.next_attempt_at or 0) <= due_at:
        start_attempt(draft, direction, step)


def _after_failure(
    draft: Draft,
    effort: Effort,
    direction: Direction,
    step: str,
    *,
    code: str | None,
    effect_unknown: bool,
) -> EffortStatus:
    """Say where an unsuccessful attempt leaves its effort; `code` None means: not worth another try."""
    plan = draft.plan(direction, step)
    forward = direction is Direction.ACTION
    may_start = not (forward and draft.state.is_going_back)
    if may_start and code is not None and plan.retry.allows(code, attempts_used=len(effort.attempts)):
        is_overtaken = not forward and _is_overtaken(draft, step)
        return EffortStatus.PENDING if is_overtaken else EffortStatus.RETRYING
    if not forward:
        return EffortStatus.FAILED
    return EffortStatus.UNKNOWN if effect_unknown or effort.is_unanswered else EffortStatus.FAILED


def _is_overtaken(draft: Draft, step: str) -> bool:
    """Say whether a later step joined the plan while this one's undo was under way: it is undone first."""
    return bool(draft.graph.by_name[step].descendants & survey(draft.graph, draft.state).not_undone)


def _schedule_retry(draft: Draft, direction: Direction, step: str, *, wait_at_least_ms: int = 0) -> None:
    effort = draft.state.effort(direction, step)
    attempt = len(effort.attempts) if effort else 0
    chance = _derived_chance(CommandRef(draft.state.process_id, step, direction, attempt).command_id)
    wait_ms = draft.plan(direction, step).retry.wait_ms(attempt, chance)
    at = draft.now + max(wait_ms, wait_at_least_ms)
    draft.record(ev.RetryScheduled(direction, step, attempt + 1, at))


def _derived_chance(text: str) -> float:
    """Spread retries as chance would, but the same way at every replay."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48


def _answered(draft: Draft, reply: inputs.ReplyReceived) -> tuple[Effort, Attempt]:
    effort = draft.state.effort(reply.direction, reply.step)
    attempt = effort.attempt(reply.attempt) if effort else None
    if effort is None or attempt is None:
        raise ValueError(f"attempt {reply.attempt} of {reply.step} was never started")
    return effort, attempt


def _observe(
    draft: Draft,
    reply: inputs.SuccessReceived | inputs.FailureReceived,
    *,
    kind: str,
    reply_word: str,
    attention: bool = False,
) -> None:
    if isinstance(reply, inputs.SuccessReceived):
        content, effect_unknown = reply.output, False
    else:
        content, effect_unknown = reply.error, reply.effect_unknown
    draft.record(
        ev.Observed(
            reply.direction, reply.step, reply.attempt, kind, reply_word, content, attention, effect_unknown
        )
    )
