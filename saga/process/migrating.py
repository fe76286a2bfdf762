"""Move a process to another version of its definition, where that fits it; else say why not."""

from saga.definition.graph import StepGraph
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance
from saga.process.draft import Draft
from saga.process.fitting import Misfit, misfits
from saga.process.limits import FORWARD_EVENTS_MAX, REJECTIONS_MAX
from saga.process.state import ProcessState


def migrate(draft: Draft, request: inputs.MigrationRequested) -> None:
    """Go on by the version that is asked for, or record why not; a repeated request changes nothing."""
    state = draft.state
    if request.request_id in state.requests:
        return
    problems = why_not_migrated(draft.graph, state, request, draft.now)
    if problems or request.graph is None:
        if state.rejections < REJECTIONS_MAX:
            why = "; ".join(map(str, problems))
            draft.record(
                ev.MigrationRejected(
                    request.definition_hash, request.reason, request.actor, request.request_id, why
                )
            )
        return
    _go_over(draft, request, request.graph)


def why_not_migrated(
    graph: StepGraph, state: ProcessState, request: inputs.MigrationRequested, now: int
) -> tuple[Misfit, ...]:
    """Say why a process can't go on by another version; nothing where it can.

    What follows at once is tried: an expression of the version may fail with the data of this process.
    """
    if request.problems or request.graph is None:
        return tuple(Misfit(None, problem) for problem in request.problems)
    if state.status.is_ended:
        return (Misfit(None, f"it is {state.status}"),)
    if state.origin.definition_hash == request.definition_hash:
        return (Misfit(None, "it has this version already"),)
    if state.version >= FORWARD_EVENTS_MAX:
        return (Misfit(None, "its log is near its limit"),)
    return misfits(graph, request.graph, state) or _tried(graph, state, request, request.graph, now)


def _tried(
    graph: StepGraph, state: ProcessState, request: inputs.MigrationRequested, after: StepGraph, now: int
) -> tuple[Misfit, ...]:
    draft = Draft(graph, state, max(now, state.updated_at))
    _go_over(draft, request, after)
    return tuple(
        Misfit(event.step, f"can't begin by the version: {event.error}")
        for event in draft.events
        if isinstance(event, ev.AttemptFailed) and event.attempt == 0
    )


def _go_over(draft: Draft, request: inputs.MigrationRequested, after: StepGraph) -> None:
    origin = draft.state.origin
    if not draft.state.is_taken:
        draft.record(ev.Started())  # it came before the start: whoever comes first begins the process
    new = {name: hash_ for name, hash_ in request.children.items() if name not in origin.children}
    draft.record(
        ev.Migrated(
            origin.definition_hash, request.definition_hash, request.reason, request.actor, request.request_id,
            new,
        )
    )  # fmt: skip
    draft.go_on_by(after)
    advance(draft)
