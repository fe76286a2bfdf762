"""What a person can ask of a process, when it is allowed, and what it causes."""

from saga.definition.graph import StepGraph
from saga.messages.json_text import NULL
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import (
    advance,
    begin,
    direction_status,
    pivot_in_flight,
    pivot_was_sent,
    stuck_efforts,
)
from saga.process.attempts import start_attempt
from saga.process.draft import Draft
from saga.process.limits import (
    EVENT_LIMIT,
    EVENTS_MAX,
    FORWARD_EVENTS_MAX,
    PROCESS_BYTES_MAX,
    REJECTIONS_MAX,
    UNDECIDABLE,
)
from saga.process.replying import plan_late_undo
from saga.process.state import ProcessState
from saga.process.status import Direction, EffortStatus, OperatorAction, ProcessStatus
from saga.process.turning import turn_back

_RUNNING = frozenset({ProcessStatus.STARTED, ProcessStatus.COMPENSATING})
_HALTED = frozenset({ProcessStatus.SUSPENDED, ProcessStatus.PAUSED})


def allowed_actions(graph: StepGraph, state: ProcessState) -> tuple[OperatorAction, ...]:
    """Name what may be asked of a process now, whatever step it is asked for."""
    draft = Draft(graph, state, state.updated_at)
    return tuple(action for action in OperatorAction if _why_not(draft, action) is None)


def why_not_allowed(graph: StepGraph, state: ProcessState, action: OperatorAction) -> str | None:
    """Say why an action may not be asked of a process now; None where it may."""
    return _why_not(Draft(graph, state, state.updated_at), action)


def operate(draft: Draft, request: inputs.OperatorRequested) -> None:
    """Obey a request that is allowed now, or record why it is not; a repeated one changes nothing."""
    state = draft.state
    if request.request_id in state.requests:
        return
    why = _why_not(draft, request.action) or _why_not_this_step(draft, request)
    if request.reply_to is not None and _is_going_that_way(state):
        why = None  # the parent asks again: all that it needs is the answer at the end
    if why is not None:
        if state.rejections < REJECTIONS_MAX:
            draft.record(
                ev.OperatorRejected(
                    request.action, request.reason, request.actor, request.request_id, request.step, why
                )
            )
        return
    if not state.is_taken:
        draft.record(ev.Started())  # it came before the start: whoever comes first begins the process
    draft.record(
        ev.OperatorActed(
            request.action, request.reason, request.actor, request.request_id, request.step, request.output,
            request.outcome, request.reply_to,
        )
    )  # fmt: skip
    if request.reply_to is None or not _is_going_that_way(state):
        _act(draft, request)
    advance(draft)


def _act(draft: Draft, request: inputs.OperatorRequested) -> None:
    match request.action:
        case OperatorAction.CANCEL:
            _turn(draft, "cancelled")
        case OperatorAction.COMPENSATE:
            _turn(draft, "compensation_requested")
        case OperatorAction.PAUSE:
            draft.record(ev.Paused(request.reason))
        case OperatorAction.RESUME:
            draft.record(ev.Resumed("operator", direction_status(draft.state)))
        case OperatorAction.RETRY:
            _retry(draft, request.step)
        case OperatorAction.SKIP:
            _skip(draft, request)
        case OperatorAction.RESOLVE:
            _resolve(draft, request)
        case OperatorAction.FAIL:
            draft.record(ev.Failed(request.reason))


def _turn(draft: Draft, reason: str) -> None:
    if pivot_in_flight(draft):
        draft.record(ev.TurnNoted(reason))
    else:
        turn_back(draft, reason, None)


def _retry(draft: Draft, step: str | None) -> None:
    """Give what is stuck a whole new budget."""
    stuck = [found for found in stuck_efforts(draft) if step in {None, found[1]}]
    if draft.state.suspended_for == UNDECIDABLE:
        draft.record(ev.Resumed("operator", direction_status(draft.state)))
    undos = tuple(name for direction, name in stuck if direction is Direction.COMPENSATION)
    if undos:
        # Each has its turn: a later step may have joined the plan.
        draft.record(ev.CompensationPlanned(undos))
    for direction, name in stuck:
        node = draft.graph.by_name.get(name)
        if direction is Direction.ACTION and node is not None and not draft.state.step(name).action.attempts:
            begin(draft, node)  # it was never sent: its condition and its list are judged again
        elif direction is Direction.ACTION:
            start_attempt(draft, direction, name)


def _skip(draft: Draft, request: inputs.OperatorRequested) -> None:
    for direction, name in _chosen(draft, request.step):
        output = request.output or NULL if direction is Direction.ACTION else None
        draft.record(ev.Skipped(direction, name, "operator", output))


def _resolve(draft: Draft, request: inputs.OperatorRequested) -> None:
    """Take a person's word for what became of a step that nobody else can tell of."""
    name = _unknown_step(draft, request.step)
    if name is None:
        return
    attempt = len(draft.state.step(name).action.attempts)
    if request.outcome == "completed":
        draft.record(ev.AttemptCompleted(Direction.ACTION, name, attempt, request.output or NULL))
        plan_late_undo(draft, name, EffortStatus.UNKNOWN)
        return
    draft.record(ev.VerifyConcluded(name, attempt, had_no_effect=True, becomes=EffortStatus.FAILED))
    undo = draft.state.step(name).undo
    if undo is not None and undo.status is not EffortStatus.DONE:
        draft.record(ev.Skipped(Direction.COMPENSATION, name, "operator"))


def _chosen(draft: Draft, step: str | None) -> list[tuple[Direction, str]]:
    stuck = list(stuck_efforts(draft))
    if step is None:
        return stuck[:1]
    return [found for found in stuck if found[1] == step][:1]


def _unknown_step(draft: Draft, step: str | None) -> str | None:
    unknown = [
        name
        for name, found in draft.state.steps.items()
        if found.action.status is EffortStatus.UNKNOWN and step in {None, name}
    ]
    return unknown[0] if unknown else None


def _is_going_that_way(state: ProcessState) -> bool:
    """Say whether a process that its parent wants undone is on its way back, or at the end of it."""
    return state.is_going_back or state.status in {ProcessStatus.COMPENSATED, ProcessStatus.FAILED}


def _why_not(draft: Draft, action: OperatorAction) -> str | None:
    """Say why an action is not allowed now; None where it is."""
    status = draft.state.status
    match action:
        case OperatorAction.CANCEL:
            return _why_no_turn(draft, _RUNNING | _HALTED)
        case OperatorAction.COMPENSATE:
            return _why_no_turn(draft, _RUNNING | _HALTED | {ProcessStatus.COMPLETED})
        case OperatorAction.PAUSE:
            if draft.state.version >= FORWARD_EVENTS_MAX:
                return "its log is near its limit"
            return None if status in _RUNNING else f"a process that is {status} can't be paused"
        case OperatorAction.RESUME:
            return None if status is ProcessStatus.PAUSED else f"it is {status}, not paused"
        case OperatorAction.FAIL:
            return None if status in _HALTED else f"it is {status}: only what stands still can be given up"
        case OperatorAction.RETRY:
            if draft.state.version >= EVENTS_MAX:
                return "its log is full"
            if status is ProcessStatus.SUSPENDED and draft.state.suspended_for != EVENT_LIMIT:
                return None
            return f"nothing of it is stuck: it is {status}"
        case OperatorAction.SKIP:
            is_stuck = status is ProcessStatus.SUSPENDED and next(stuck_efforts(draft), None) is not None
            return None if is_stuck else f"nothing of it is stuck: it is {status}"
        case OperatorAction.RESOLVE:
            is_unknown = not status.is_ended and _unknown_step(draft, None) is not None
            return None if is_unknown else "no step of it is unknown"


def _why_no_turn(draft: Draft, allowed: frozenset[ProcessStatus]) -> str | None:
    state = draft.state
    if state.status not in allowed:
        return f"it is {state.status}"
    if state.is_going_back:
        return "it has turned back already"
    if state.noted is not None:
        return "it was asked already, and waits for the pivot"
    if pivot_was_sent(draft) and not pivot_in_flight(draft):
        return "its pivot has passed: from there on it only goes forward"
    return None


def _why_not_this_step(draft: Draft, request: inputs.OperatorRequested) -> str | None:
    """Say why the step that is named can't be meant; None where it can, or none is needed."""
    match request.action:
        case OperatorAction.RETRY | OperatorAction.SKIP:
            if draft.state.suspended_for == UNDECIDABLE and request.action is OperatorAction.RETRY:
                return None
            if request.step is not None and not _chosen(draft, request.step):
                return f"step {request.step} is not stuck"
            return _why_too_large(draft, request)
        case OperatorAction.RESOLVE:
            if request.outcome not in {"completed", "failed"}:
                return "outcome must be completed or failed"
            if _unknown_step(draft, request.step) is None:
                return f"step {request.step} is not unknown"
            return _why_too_large(draft, request)
        case _:
            return None


def _why_too_large(draft: Draft, request: inputs.OperatorRequested) -> str | None:
    if request.output and draft.state.payload_bytes + len(request.output) > PROCESS_BYTES_MAX:
        return f"the outputs of this process would exceed {PROCESS_BYTES_MAX} bytes"
    return None
