"""What events do to the steps of a process: their efforts, attempts, instances. A part of `evolve`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias, assert_never, cast

from saga.messages.json_text import NULL, Json, JsonText, from_text, to_text
from saga.process import events as ev
from saga.process.state import Attempt, Effort, ProcessState, StepState, instance_name
from saga.process.status import AttemptOutcome, Direction, EffortStatus
from saga.values import with_changes

# What an event changes, by the name of the field of the state.
Changes: TypeAlias = dict[str, object]


def attempt_changes(state: ProcessState, event: ev.AttemptEvent, at: int) -> Changes:
    """Give what an event of an attempt changes in its effort."""
    effort = state.effort(event.direction, event.step)
    if effort is None:
        if event.direction is Direction.COMPENSATION:
            raise ValueError(f"{event.step} stands in no undo plan")
        effort = Effort()
    match event:
        case ev.AttemptStarted():
            changed = _opened(effort, event, at)
        case ev.AttemptCompleted():
            changed = _completed(effort, event, at)
        case ev.AttemptFailed():
            changed = _failed(effort, event, at)
        case ev.AttemptTimedOut():
            attempt = _attempt(effort, event.attempt)
            unanswered = _with_attempt(effort, with_changes(attempt, outcome=AttemptOutcome.UNANSWERED))
            changed = _settled(unanswered, event.becomes, at)
        case ev.AttemptProgressed():
            attempt = _attempt(effort, event.attempt)
            changed = _with_attempt(effort, with_changes(attempt, due_at=event.due_at, progressed_at=at))
        case ev.RetryScheduled():
            changed = with_changes(effort, status=EffortStatus.RETRYING, next_attempt_at=event.at)
        case _:
            assert_never(event)
    return {
        "steps": _steps_with(state, event.direction, event.step, changed, at=at),
        "payload_bytes": state.payload_bytes + _payload_bytes(event),
    }


def _payload_bytes(event: ev.AttemptEvent) -> int:
    match event:
        case ev.AttemptCompleted():
            return len(event.output)
        case ev.AttemptStarted():
            return len(event.input or "")
        case _:
            return 0


def _opened(effort: Effort, event: ev.AttemptStarted | ev.SignalAwaited, at: int) -> Effort:
    if event.attempt != len(effort.attempts) + 1:
        raise ValueError(f"attempt {event.attempt} of {event.step} follows {len(effort.attempts)}")
    mapped = event.input if isinstance(event, ev.AttemptStarted) else None
    goes_on = effort.status in {EffortStatus.PENDING, EffortStatus.RETRYING}
    return Effort(
        status=EffortStatus.RUNNING,
        attempts=(*effort.attempts, Attempt(event.attempt, at, event.due_at)),
        output=effort.output,
        error=effort.error,
        # What starts anew, because a person said so or another question is asked, has its whole budget again.
        granted=effort.granted if goes_on else len(effort.attempts),
        input=effort.input if mapped is None else mapped,
    )


def _completed(effort: Effort, event: ev.AttemptCompleted, at: int) -> Effort:
    attempt = _attempt(effort, event.attempt)
    answered = with_changes(
        attempt, outcome=AttemptOutcome.COMPLETED, replies=attempt.replies | {"completed"}
    )
    return with_changes(
        effort, status=EffortStatus.DONE, attempts=_attempts_with(effort, answered), output=event.output,
        error=None, next_attempt_at=None, settled_at=at,
    )  # fmt: skip


def _failed(effort: Effort, event: ev.AttemptFailed, at: int) -> Effort:
    if event.attempt == 0:
        return with_changes(_settled(effort, event.becomes, at), error=event.error)
    attempt = _attempt(effort, event.attempt)
    outcome = AttemptOutcome.UNANSWERED if event.effect_unknown else AttemptOutcome.FAILED
    answered = with_changes(attempt, outcome=outcome, replies=attempt.replies | {"failed"})
    return with_changes(_settled(_with_attempt(effort, answered), event.becomes, at), error=event.error)


def observed(state: ProcessState, event: ev.Observed) -> Changes:
    """Give what a reply changes that settles nothing."""
    effort = state.effort(event.direction, event.step) or Effort()
    attempt = _attempt(effort, event.attempt)
    outcome = attempt.outcome
    if event.reply == "completed" and effort.status is EffortStatus.SKIPPED:
        outcome = AttemptOutcome.COMPLETED  # it happened, whatever was said of it: turning back undoes it
    says_nothing_happened = event.reply == "failed" and not event.effect_unknown
    if says_nothing_happened and effort.status.is_open and outcome is AttemptOutcome.UNANSWERED:
        outcome = AttemptOutcome.FAILED  # the late word of the participant: this attempt had no effect
    answered = with_changes(attempt, replies=attempt.replies | {event.reply}, outcome=outcome)
    return {
        "observations": state.observations + 1,
        "attention": state.attention or event.attention,
        "steps": _steps_with(state, event.direction, event.step, _with_attempt(effort, answered)),
    }


def planned(state: ProcessState, event: ev.CompensationPlanned, at: int) -> Changes:
    """Put steps into the undo plan."""
    steps = dict(state.steps)
    for name in event.steps:
        before = state.step(name)
        undo = before.undo or Effort()
        # Planned again, it has its whole budget, as there is something new to undo or a person said so. Where it
        # only waits for another's turn, the attempts go on counting.
        if undo.status in {EffortStatus.DONE, EffortStatus.FAILED, EffortStatus.SKIPPED}:
            undo = with_changes(undo, granted=len(undo.attempts))
        undo = _settled(undo, EffortStatus.PENDING, at)
        steps[name] = with_changes(before, undo=undo)
    planned = (state.undo_plan or frozenset()) | frozenset(event.steps)
    return {"undo_plan": planned, "steps": MappingProxyType(steps)}


def closed(state: ProcessState, event: ev.TurnedBack, at: int) -> Mapping[str, StepState]:
    """Give the steps after those were closed that wait for nothing any more."""
    steps = dict(state.steps)
    for name, status in event.closes:
        before = state.step(name)
        action = _settled(before.action, status, at)
        current = action.current
        is_cut_off = current is not None and current.outcome is AttemptOutcome.RUNNING
        if current is not None and is_cut_off and status is EffortStatus.UNKNOWN:
            action = _with_attempt(action, with_changes(current, outcome=AttemptOutcome.UNANSWERED))
        steps[name] = _unasked(with_changes(before, action=action), at)
    return MappingProxyType(steps)


def step_changes(state: ProcessState, event: ev.StepEvent, at: int) -> Changes:
    """Give what an event of a step, beside its attempts, changes."""
    step = state.step(event.step)
    match event:
        case ev.ResultKept():
            return _kept(state, event, at)
        case ev.SignalAwaited():
            return _with_step(state, event.step, with_changes(step, action=_opened(step.action, event, at)))
        case ev.VerifyConcluded():
            attempt = _attempt(step.action, event.attempt)
            if event.had_no_effect:
                attempt = with_changes(attempt, outcome=AttemptOutcome.FAILED)
            action = _settled(_with_attempt(step.action, attempt), event.becomes, at)
            return _with_step(state, event.step, _unasked(with_changes(step, action=action), at))
        case ev.Skipped():
            return _skipped(state, event, at)
        case ev.Expanded():
            items = tuple(to_text(item) for item in cast("list[Json]", from_text(event.items)))
            action = with_changes(step.action, status=EffortStatus.RUNNING, error=None, settled_at=None)
            changes = _with_step(state, event.step, with_changes(step, action=action, items=items))
            return {**changes, "payload_bytes": state.payload_bytes + len(event.items)}
        case ev.Gathered():
            return _gathered(state, event, at)
        case ev.ChildCancelled():
            cancelled = with_changes(_attempt(step.action, event.attempt), cancelled=True)
            return _with_step(
                state, event.step, with_changes(step, action=_with_attempt(step.action, cancelled))
            )
        case _:
            assert_never(event)


def _kept(state: ProcessState, event: ev.ResultKept, at: int) -> Changes:
    if event.step in state.steps:
        raise ValueError(f"something happened to {event.step} before its result was kept")
    action = Effort(event.becomes, output=event.output, settled_at=at)
    changes = _with_step(state, event.step, StepState(action, is_kept=True))
    return {**changes, "payload_bytes": state.payload_bytes + len(event.output or "")}


def _skipped(state: ProcessState, event: ev.Skipped, at: int) -> Changes:
    effort = state.effort(event.direction, event.step)
    if effort is None:
        raise ValueError(f"{event.step} stands in no undo plan")
    skipped = with_changes(_settled(effort, EffortStatus.SKIPPED, at), output=event.output)
    return {
        "steps": _steps_with(state, event.direction, event.step, skipped),
        "payload_bytes": state.payload_bytes + len(event.output or ""),
    }


def _gathered(state: ProcessState, event: ev.Gathered, at: int) -> Changes:
    step = state.step(event.step)
    names = [instance_name(event.step, index) for index in range(len(step.items or ()))]
    output = JsonText("[" + ",".join(state.step(name).action.output or NULL for name in names) + "]")
    gathered = with_changes(_settled(step.action, EffortStatus.DONE, at), output=output)
    changes = _with_step(state, event.step, with_changes(step, action=gathered))
    return {**changes, "payload_bytes": state.payload_bytes + len(output)}


def _settled(effort: Effort, status: EffortStatus, at: int) -> Effort:
    is_settled = not status.is_open and status is not EffortStatus.PENDING
    return with_changes(effort, status=status, next_attempt_at=None, settled_at=at if is_settled else None)


def _attempt(effort: Effort, number: int) -> Attempt:
    attempt = effort.attempt(number)
    if attempt is None:
        raise ValueError(f"attempt {number} was never started")
    return attempt


def _with_attempt(effort: Effort, attempt: Attempt) -> Effort:
    return with_changes(effort, attempts=_attempts_with(effort, attempt))


def _attempts_with(effort: Effort, attempt: Attempt) -> tuple[Attempt, ...]:
    index = attempt.number - 1
    return (*effort.attempts[:index], attempt, *effort.attempts[index + 1 :])


def _with_step(state: ProcessState, name: str, step: StepState) -> Changes:
    return {"steps": MappingProxyType(state.steps | {name: step})}


def _unasked(step: StepState, at: int) -> StepState:
    """Close the question about an action that has its answer from elsewhere."""
    if step.verify is None or not step.verify.status.is_open or step.action.status is EffortStatus.VERIFYING:
        return step
    return with_changes(step, verify=_settled(step.verify, EffortStatus.SKIPPED, at))


def _steps_with(
    state: ProcessState, direction: Direction, name: str, effort: Effort, *, at: int | None = None
) -> Mapping[str, StepState]:
    before = state.step(name)
    match direction:
        case Direction.ACTION:
            after = with_changes(before, action=effort)
            after = after if at is None else _unasked(after, at)
        case Direction.COMPENSATION:
            after = with_changes(before, undo=effort)
        case Direction.VERIFY:
            after = with_changes(before, verify=effort)
        case _:
            assert_never(direction)
    return MappingProxyType(state.steps | {name: after})
