"""`decide(graph, state, input, now) -> decision`: the rules for one input; what follows from it is `advance`'s.

No clock, no chance, no I/O: time is an argument in milliseconds of the store's clock, jitter is derived.
A ruling without events says that the input changes nothing; it is worth only as much as the state that it
was made on, so the caller makes it again on a state just read before it lets the message go.
"""

from typing import assert_never

from saga.definition.graph import StepGraph
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance
from saga.process.draft import Decision, Draft
from saga.process.locking import answer_lock, end_with_holder
from saga.process.migrating import migrate
from saga.process.operating import operate
from saga.process.replying import fail, progress, succeed
from saga.process.rerunning import note_fork
from saga.process.state import ProcessState
from saga.process.survey import Survey
from saga.process.waking import wake

# The reason of a process that waits from its start because its type is paused.
TYPE_PAUSED = "process type is paused"


def decide(
    graph: StepGraph, state: ProcessState, received: inputs.Input, now: int, seen: Survey | None = None
) -> Decision:
    """Give what an input causes in a process that exists; a decision without events changes nothing.

    `seen` is the survey of this very state, where the caller has it from the decision before: without it all
    steps are looked at once.
    """
    draft = Draft(graph, state, max(now, state.updated_at), seen)
    match received:
        case inputs.StartRequested():
            _begin(draft, received)
        case inputs.SuccessReceived():
            succeed(draft, received)
        case inputs.FailureReceived():
            fail(draft, received)
        case inputs.ProgressReceived():
            progress(draft, received)
        case inputs.WokenUp():
            wake(draft, received)
        case inputs.OperatorRequested():
            operate(draft, received)
        case inputs.ForkReported():
            note_fork(draft, received)
        case inputs.MigrationRequested():
            migrate(draft, received)
        case inputs.LockAnswered():
            answer_lock(draft, received)
        case inputs.HolderEnded():
            end_with_holder(draft, received)
        case _:
            assert_never(received)
    return draft.decision()


def knows(state: ProcessState, reply: inputs.ReplyReceived) -> bool:
    """Say whether the command that a reply names was ever sent."""
    effort = state.effort(reply.direction, reply.step)
    return effort is not None and effort.attempt(reply.attempt) is not None


def _begin(draft: Draft, request: inputs.StartRequested) -> None:
    if draft.state.is_taken:
        return
    draft.record(ev.Started())
    if request.is_paused:
        draft.record(ev.Paused(TYPE_PAUSED))
    advance(draft)
