"""What the keeper of the locks says of a business key, and of the process that one joined."""

from saga.messages.json_text import JsonText
from saga.process import events as ev
from saga.process import inputs
from saga.process.advance import advance, is_moving
from saga.process.draft import Draft
from saga.process.inputs import LockAnswer
from saga.process.status import ProcessStatus
from saga.process.turning import turn_back


def answer_lock(draft: Draft, answer: inputs.LockAnswered) -> None:
    """Record whose a business key is; the first step waits for the last of them."""
    state = draft.state
    lock = next((lock for lock in state.locks or () if lock.key == answer.key and not lock.is_held), None)
    if lock is None or state.is_going_back or state.status.is_ended or state.joined_to is not None:
        return  # an answer that comes late changes nothing: what the process holds is released at its end
    match answer.answer:
        case LockAnswer.HELD:
            draft.record(ev.LockAcquired(answer.key))
        case LockAnswer.WAITING:
            if lock.holder == answer.holder:
                return
            draft.record(ev.LockAwaited(answer.key, answer.holder))
        case LockAnswer.JOINED:
            draft.record(ev.LockJoined(answer.key, answer.holder))
        case LockAnswer.REFUSED | LockAnswer.DEADLOCK if not is_moving(state):
            return  # the key is asked for again when the process goes on
        case LockAnswer.REFUSED:
            turn_back(draft, "locked", None)
        case LockAnswer.DEADLOCK:
            turn_back(draft, "lock_deadlock", None)
    advance(draft)


def end_with_holder(draft: Draft, ended: inputs.HolderEnded) -> None:
    """End as the process did that this one joined: completed with its result, or turned back."""
    state = draft.state
    if state.joined_to != ended.holder or state.is_going_back or state.status is not ProcessStatus.STARTED:
        return
    if ended.status == ProcessStatus.COMPLETED:
        draft.record(ev.Completed(None if ended.result is None else JsonText(ended.result)))
    else:
        turn_back(draft, f"joined_process_{ended.status}", None)
        advance(draft)
