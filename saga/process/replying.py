"""The rules for replies: what a success, a failure, or a word of progress means for its attempt."""

from saga.definition.graph import StepKind, nodes_in
from saga.messages.json_text import NULL, JsonText, from_text
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance
from saga.process.attempts import TIMEOUT, after_failure, can_ask, conclude, schedule_retry
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
            _succeed_in_undo(draft, reply, effort, attempt)
        case Direction.VERIFY:
            _answer_question(draft, reply, effort)
    advance(draft)


def _completed(reply: inputs.SuccessReceived) -> ev.AttemptCompleted:
    return ev.AttemptCompleted(reply.direction, reply.step, reply.attempt, reply.output)


def _succeed_in_undo(draft: Draft, reply: inputs.SuccessReceived, effort: Effort, attempt: Attempt) -> None:
    action = draft.state.step(reply.step).action
    # It was sent before anybody knew that the action completed, and may have arrived before it.
    came_first = (
        action.status is EffortStatus.DONE
        and attempt.started_at < (action.settled_at or 0)
        and _found_nothing(reply.output)
    )
    is_current = attempt.number == len(effort.attempts)
    if effort.status in {EffortStatus.DONE, EffortStatus.SKIPPED} or (came_first and not is_current):
        _observe(draft, reply, kind="superseded", reply_word="completed")
        return
    draft.record(_completed(reply))
    if came_first:
        draft.record(ev.CompensationPlanned((reply.step,)))


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
        plan_late_undo(draft, reply.step, effort.status)
    elif status is ProcessStatus.COMPENSATED and _needs_undo_after_all(draft, reply.step, effort.status):
        draft.record(_completed(reply))
        draft.record(ev.TurnedBack("late_completion", reply.step, ()))
        draft.record(ev.CompensationPlanned((reply.step,)))
    else:
        left_undone = status is not ProcessStatus.COMPENSATED or _is_left_undone(draft, reply.step)
        _observe(draft, reply, kind="late_completion", reply_word="completed", attention=left_undone)


def plan_late_undo(draft: Draft, step: str, before: EffortStatus) -> None:
    """Add a step to the frozen undo plan that turned out to have happened, before what it must go before.

    `before` is where its action stood until then.
    """
    if _needs_undo_after_all(draft, step, before):
        draft.record(ev.CompensationPlanned((step, *_overtaken_undos(draft, step))))


def _is_left_undone(draft: Draft, step: str) -> bool:
    """Say whether a person left out the undo of a step."""
    undo = draft.state.step(step).undo
    return undo is not None and undo.status is EffortStatus.SKIPPED


def _is_signal(draft: Draft, reply: inputs.SuccessReceived) -> bool:
    return draft.graph.node_of(reply.step).kind is StepKind.SIGNAL


def _happened_after_all(draft: Draft, step: str) -> bool:
    """Say whether a step that somebody skipped must be undone now that it turned out to have happened."""
    return draft.state.is_going_back and _needs_undo_after_all(draft, step, EffortStatus.SKIPPED)


def _answer_question(draft: Draft, reply: inputs.SuccessReceived, effort: Effort) -> None:
    """Take the participant's word that the step took effect, also where it comes late."""
    if effort.status.is_open:
        draft.record(_completed(reply))
    else:
        _observe(draft, reply, kind="superseded", reply_word="completed")
    action = draft.state.step(reply.step).action
    if action.status.is_open or action.status is EffortStatus.UNKNOWN:
        told = inputs.SuccessReceived(Direction.ACTION, reply.step, len(action.attempts), reply.output)
        _succeed_in_action(draft, told, action)


def _needs_undo_after_all(draft: Draft, step: str, before: EffortStatus) -> bool:
    """Say whether a step that turned out to have happened must be added to the frozen undo plan."""
    if draft.state.undo_plan is None:
        return False  # the plan is not frozen yet and will hold the step by itself
    undo = draft.state.step(step).undo
    if undo is None:
        return draft.graph.node_of(step).compensation is not None
    if undo.status is EffortStatus.SKIPPED:
        return before is EffortStatus.FAILED  # left out because a person said, wrongly, that it had no effect
    return undo.status is EffortStatus.DONE and _found_nothing(undo.output)


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


def _found_nothing(output: JsonText | None) -> bool:
    """Say whether a participant acknowledged an undo with the word that there was nothing to undo."""
    value = from_text(output or NULL)
    return isinstance(value, dict) and value.get("nothing_to_undo") is True


def fail(draft: Draft, reply: inputs.FailureReceived) -> None:
    """Close the attempt that is under way; anything else is only recorded."""
    effort, attempt = _answered(draft, reply)
    if "failed" in attempt.replies:
        return
    is_current = attempt.number == len(effort.attempts)
    is_ended = draft.state.status.is_ended
    # Of what is being asked about it is known already that its effect is open.
    is_asked = effort.status is EffortStatus.VERIFYING and not reply.effect_unknown
    is_awaited = is_current and (effort.status is EffortStatus.RUNNING or is_asked)
    if is_ended or not is_awaited:
        kind = "superseded" if effort.status.is_open and not is_ended else "late_failure"
        _observe(draft, reply, kind=kind, reply_word="failed")
    elif reply.direction is Direction.VERIFY:
        _fail_question(draft, reply)
    else:
        _fail_attempt(draft, reply, attempt)
    advance(draft)


def _fail_attempt(draft: Draft, reply: inputs.FailureReceived, attempt: Attempt) -> None:
    code = reply.code if reply.retryable else None
    if code is not None and attempt.cancelled:
        code = TIMEOUT  # a process that was told to end because its time was over
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
