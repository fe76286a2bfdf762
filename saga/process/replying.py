"""The rules for replies: what a success, a failure, or a word of progress means for its attempt."""

from saga.definition.graph import StepKind, nodes_in
from saga.messages.json_text import NULL, JsonText, from_text
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance
from saga.process.attempts import after_failure, can_ask, conclude, schedule_retry
from saga.process.draft import Draft
from saga.process.limits import PROGRESS_FACTOR, PROGRESS_PARTS
from saga.process.state import Attempt, Effort
from saga.process.status import AttemptOutcome, Direction, EffortStatus, ProcessStatus

NOT_FOUND = "not_found"


def succeed(draft: Draft, reply: inputs.SuccessReceived) -> None:
    """Complete what is open; late, decide whether what turned out to have happened must be undone."""
    effort, attempt = _answered(draft, reply)
    if "completed" in attempt.replies:
        return
    if draft.state.status is ProcessStatus.FAILED:  # given up as it stands, with what was still under way
        is_news = effort.status is not EffortStatus.DONE and not _is_signal(draft, reply)
        _observe(draft, reply, kind="late_completion", reply_word="completed", attention=is_news)
        return
    match reply.direction:
        case Direction.ACTION:
            _succeed_in_action(draft, reply, effort)
        case Direction.COMPENSATION:
            if effort.status in {EffortStatus.DONE, EffortStatus.SKIPPED}:
                _observe(draft, reply, kind="superseded", reply_word="completed")
            else:
                draft.record(_completed(reply))
        case Direction.VERIFY:
            _answer_question(draft, reply, effort)
    advance(draft)


def _completed(reply: inputs.SuccessReceived) -> ev.AttemptCompleted:
    return ev.AttemptCompleted(reply.direction, reply.step, reply.attempt, reply.output)


def _succeed_in_action(draft: Draft, reply: inputs.SuccessReceived, effort: Effort) -> None:
    status = draft.state.status
    if effort.status is EffortStatus.DONE:
        _observe(draft, reply, kind="superseded", reply_word="completed")
    elif effort.status is EffortStatus.SKIPPED and not _happened_after_all(draft, reply.step):
        _observe(
            draft,
            reply,
            kind="late_completion",
            reply_word="completed",
            attention=not _is_signal(draft, reply),
        )
    elif not status.is_ended:
        draft.record(_completed(reply))
        plan_late_undo(draft, reply.step)
    elif status is ProcessStatus.COMPENSATED and _needs_undo_after_all(draft, reply.step):
        draft.record(_completed(reply))
        draft.record(ev.TurnedBack("late_completion", reply.step, ()))
        draft.record(ev.CompensationPlanned((reply.step,)))
    else:
        undone = status is ProcessStatus.COMPENSATED
        _observe(draft, reply, kind="late_completion", reply_word="completed", attention=not undone)


def plan_late_undo(draft: Draft, step: str) -> None:
    """Add a step to the frozen undo plan that turned out to have happened, before what it must go before."""
    if _needs_undo_after_all(draft, step):
        draft.record(ev.CompensationPlanned((step, *_overtaken_undos(draft, step))))


def _is_signal(draft: Draft, reply: inputs.SuccessReceived) -> bool:
    return draft.graph.node_of(reply.step).kind is StepKind.SIGNAL


def _happened_after_all(draft: Draft, step: str) -> bool:
    """Say whether a step that somebody skipped must be undone now that it turned out to have happened."""
    return draft.state.is_going_back and _needs_undo_after_all(draft, step)


def _answer_question(draft: Draft, reply: inputs.SuccessReceived, effort: Effort) -> None:
    """Take the participant's word that the attempt it was asked about took effect."""
    action = draft.state.step(reply.step).action
    if not effort.status.is_open or action.status is not EffortStatus.VERIFYING:
        _observe(draft, reply, kind="superseded", reply_word="completed")
        return
    draft.record(_completed(reply))
    asked = len(action.attempts)
    draft.record(ev.AttemptCompleted(Direction.ACTION, reply.step, asked, reply.output))


def _needs_undo_after_all(draft: Draft, step: str) -> bool:
    """Say whether a step that turned out to have happened must be added to the frozen undo plan."""
    if draft.state.undo_plan is None:
        return False  # the plan is not frozen yet and will hold the step by itself
    undo = draft.state.step(step).undo
    if undo is None:
        return draft.graph.node_of(step).compensation is not None
    return undo.status is EffortStatus.DONE and _found_nothing(undo)


def _overtaken_undos(draft: Draft, step: str) -> tuple[str, ...]:
    """Name the undos in backoff that a step which joins the plan late must now go before."""
    node = draft.graph.node_of(step)
    earlier = frozenset(other.name for other in nodes_in(draft.graph, node.ancestors & draft.seen.undo_open))
    return tuple(
        name
        for name, other in draft.state.steps.items()
        if draft.graph.node_of(name).name in earlier
        and other.undo is not None
        and other.undo.status is EffortStatus.RETRYING
    )


def _found_nothing(undo: Effort) -> bool:
    """Say whether a participant acknowledged an undo with the word that there was nothing to undo."""
    output = from_text(undo.output or NULL)
    return isinstance(output, dict) and output.get("nothing_to_undo") is True


def fail(draft: Draft, reply: inputs.FailureReceived) -> None:
    """Close the attempt that is under way; anything else is only recorded."""
    effort, attempt = _answered(draft, reply)
    if "failed" in attempt.replies:
        return
    is_current = attempt.number == len(effort.attempts)
    is_ended = draft.state.status.is_ended
    if is_ended or not is_current or effort.status not in {EffortStatus.RUNNING, EffortStatus.VERIFYING}:
        kind = "superseded" if effort.status.is_open and not is_ended else "late_failure"
        _observe(draft, reply, kind=kind, reply_word="failed")
    elif reply.direction is Direction.VERIFY:
        _fail_question(draft, reply)
    else:
        _fail_attempt(draft, reply)
    advance(draft)


def _fail_attempt(draft: Draft, reply: inputs.FailureReceived) -> None:
    code = reply.code if reply.retryable else None
    becomes = after_failure(
        draft, reply.direction, reply.step,
        code=code, attempt=reply.attempt, effect_unknown=reply.effect_unknown,
    )  # fmt: skip
    if reply.effect_unknown and can_ask(draft, reply.direction, reply.step):
        becomes = EffortStatus.VERIFYING
    draft.record(
        ev.AttemptFailed(
            reply.direction, reply.step, reply.attempt, becomes, reply.error, reply.effect_unknown
        )
    )
    if becomes is EffortStatus.RETRYING:
        schedule_retry(draft, reply.direction, reply.step, wait_at_least_ms=reply.retry_after_ms)


def _fail_question(draft: Draft, reply: inputs.FailureReceived) -> None:
    if reply.code == NOT_FOUND:
        draft.record(
            ev.AttemptFailed(Direction.VERIFY, reply.step, reply.attempt, EffortStatus.DONE, reply.error)
        )
        conclude(draft, reply.step, had_no_effect=draft.graph.node_of(reply.step).fences)
        return
    code = reply.code if reply.retryable else None
    becomes = after_failure(
        draft, Direction.VERIFY, reply.step, code=code, attempt=reply.attempt, effect_unknown=False
    )
    draft.record(ev.AttemptFailed(Direction.VERIFY, reply.step, reply.attempt, becomes, reply.error))
    if becomes is EffortStatus.RETRYING:
        schedule_retry(draft, Direction.VERIFY, reply.step, wait_at_least_ms=reply.retry_after_ms)
    else:
        conclude(draft, reply.step, had_no_effect=False)


def progress(draft: Draft, reply: inputs.ProgressReceived) -> None:
    """Move the time-out of an attempt that is under way, at most so often and so far."""
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
    content: JsonText
    if isinstance(reply, inputs.SuccessReceived):
        content, effect_unknown = reply.output, False
    else:
        content, effect_unknown = reply.error, reply.effect_unknown
    draft.record(
        ev.Observed(
            reply.direction, reply.step, reply.attempt, kind, reply_word, content, attention, effect_unknown
        )
    )
