"""What follows from the state alone: which steps start, when a process turns back or stops, when it ends.

Runs after every input's own events until nothing more follows, so that a state in the log leaves nothing to
do but wait for a reply or a timer (or, after a slice of a large release, for the next slice).
"""

from collections.abc import Iterable, Iterator

from saga.definition.graph import StepNode, nodes_in
from saga.definition.model import ITEMS_MAX
from saga.process import events as ev
from saga.process.attempts import Start, conclude, refuse, start_attempt
from saga.process.draft import Draft
from saga.process.limits import (
    ENDS_BY_OPERATOR,
    EVENT_LIMIT,
    EVENTS_MAX,
    FORWARD_EVENTS_MAX,
    LOCK_KEY_MAX,
    ROOMY_EVENTS_MAX,
    SPARE_EVENTS,
)
from saga.process.mapping import MappingFailed, as_text, evaluate, evaluate_object
from saga.process.order import (
    events_there_and_back,
    is_gathered,
    is_left_out,
    startable,
    startable_items,
    to_undo,
    unasked,
    undoable,
)
from saga.process.state import Effort, ProcessState
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.survey import Survey
from saga.process.turning import turn_back


def advance(draft: Draft) -> None:
    """Record all that follows now."""
    while is_moving(draft.state) and _follow(draft):
        pass


def is_moving(state: ProcessState) -> bool:
    """Say whether anything follows now: not at the end, in a pause, or where only a person's word helps."""
    is_halted = state.status is ProcessStatus.PAUSED or state.suspended_for in ENDS_BY_OPERATOR
    return not (state.status.is_ended or is_halted)


def _follow(draft: Draft) -> bool:
    """Record what follows at once; True where that has consequences of its own."""
    state = draft.state
    if state.status is ProcessStatus.SUSPENDED and next(stuck_efforts(draft), None) is None:
        draft.record(ev.Resumed("settled", direction_status(state)))
    if not draft.state.is_going_back and _turns_back(draft):
        return True
    if draft.state.suspended_for in ENDS_BY_OPERATOR:
        return False
    if _ask(draft):
        return True
    return _go_back(draft) if draft.state.is_going_back else _go_forward(draft)


def _ask(draft: Draft) -> bool:
    """Ask what became of attempts that were not answered; True where one can't be asked about."""
    for name in unasked(draft.state, draft.seen):
        match start_attempt(draft, Direction.VERIFY, name):
            case Start.REFUSED:
                conclude(draft, name, had_no_effect=False)
                return True
            case Start.POSTPONED:
                return False
            case Start.STARTED:
                pass
    return False


def direction_status(state: ProcessState) -> ProcessStatus:
    """Give the status of a process that moves in its direction."""
    return ProcessStatus.COMPENSATING if state.is_going_back else ProcessStatus.STARTED


def stuck_efforts(draft: Draft) -> Iterator[tuple[Direction, str]]:
    """Find the efforts that spent their attempts where neither forward nor backward is left."""
    state = draft.state
    if not _has_trouble(draft.seen):
        return
    for name, step in state.steps.items():
        node = draft.graph.node_of(name)
        if step.undo is not None and step.undo.status is EffortStatus.FAILED:
            yield Direction.COMPENSATION, name
        elif not state.is_going_back and node.forward_only:
            is_unknown = step.action.status is EffortStatus.UNKNOWN
            if is_unknown or (node.behind_pivot and step.action.status is EffortStatus.FAILED):
                yield Direction.ACTION, name


def _has_trouble(seen: Survey) -> bool:
    return bool(seen.undo_stuck | seen.failed | seen.unknown)


# Forward


def _go_forward(draft: Draft) -> bool:
    if not _holds_its_locks(draft):
        return draft.state.is_going_back
    seen = draft.seen
    for node in nodes_in(draft.graph, seen.expanded):
        if is_gathered(node, seen):
            draft.record(ev.Gathered(node.name))
            return True
    if seen.done == seen.everything:
        _complete(draft)
        return False
    if _is_near_limit(draft):
        return _stop_at_limit(draft)
    for node in nodes_in(draft.graph, seen.expanded):
        if _release(draft, Direction.ACTION, startable_items(draft.state, node, seen)) is Start.REFUSED:
            return True
    for node in startable(draft.graph, seen):
        if draft.is_full:
            break
        if _settles_at_once(draft, node, seen):
            return True
    if _has_trouble(seen):
        _suspend_if_stuck(draft)
    return False


def _is_near_limit(draft: Draft) -> bool:
    """Say whether the log has no room for more forward work, or none for all of it and its way back."""
    version = draft.state.version
    if version >= FORWARD_EVENTS_MAX:
        return True
    is_list_new = bool(draft.events) and isinstance(draft.events[-1], ev.Expanded)
    if pivot_was_sent(draft) or not (is_list_new or version >= ROOMY_EVENTS_MAX):
        return False
    return version + events_there_and_back(draft.graph, draft.state) > EVENTS_MAX - SPARE_EVENTS


def _stop_at_limit(draft: Draft) -> bool:
    """Turn back where the log is near its limit, or stop where that can't be; True where it turned back."""
    if draft.state.status is ProcessStatus.SUSPENDED:
        return False
    if pivot_was_sent(draft):
        draft.record(ev.Suspended(EVENT_LIMIT, None, f"the log holds {FORWARD_EVENTS_MAX} events"))
        return False
    turn_back(draft, EVENT_LIMIT, None)
    return True


def _settles_at_once(draft: Draft, node: StepNode, seen: Survey) -> bool:
    """Leave a step out whose turn it is, or begin it; True where something follows from that at once."""
    if is_left_out(node, seen):
        draft.record(ev.Skipped(Direction.ACTION, node.name, "join"))
        return True
    return begin(draft, node)


def begin(draft: Draft, node: StepNode) -> bool:
    """Judge the condition and the list of a step, and start it; True where something follows from that."""
    try:
        if node.when is not None and not _holds(evaluate(node.when, draft.scope(node.ancestors))):
            draft.record(ev.Skipped(Direction.ACTION, node.name, "condition"))
            return True
        if node.for_each is not None:
            items = evaluate(node.for_each, draft.scope(node.ancestors))
            if not isinstance(items, list) or len(items) > ITEMS_MAX:
                raise MappingFailed(f"for_each must give a list of at most {ITEMS_MAX} items")  # noqa: TRY301
            draft.record(ev.Expanded(node.name, as_text(items)))
            return True
    except MappingFailed as failure:
        refuse(draft, Direction.ACTION, node.name, failure.code, str(failure))
        return True
    return _release(draft, Direction.ACTION, (node.name,)) is Start.REFUSED


def _holds(condition: object) -> bool:
    if condition is None or isinstance(condition, bool):
        return condition is True
    raise MappingFailed("when must give true, false or null")


def _complete(draft: Draft) -> None:
    plan = draft.graph.result
    if plan is None:
        draft.record(ev.Completed())
        return
    everything = (1 << len(draft.graph.nodes)) - 1
    try:
        draft.record(ev.Completed(evaluate_object(plan, draft.scope(everything))))
    except MappingFailed as failure:
        draft.record(ev.Completed(None, str(failure)))


def _holds_its_locks(draft: Draft) -> bool:
    """Say whether the first step may start; records which keys are wanted once that is known."""
    if not draft.graph.locks:
        return True
    if draft.state.locks is None:
        try:
            keys = lock_keys(draft)
        except MappingFailed as failure:
            turn_back(draft, failure.code, None)
            return False
        draft.record(ev.LocksWanted(keys))
    return draft.state.joined_to is None and all(lock.is_held for lock in draft.state.locks or ())


def lock_keys(draft: Draft) -> tuple[str, ...]:
    """Give the business keys that the definition asks for, in the order in which they are taken.

    Raises MappingFailed.
    """
    return tuple(sorted({_key(evaluate(one, draft.scope(0))) for one in draft.graph.locks}))


def _key(value: object) -> str:
    """Write what a lock's expression gave as a key: a text as it is, a number as JSON."""
    if isinstance(value, str) and 0 < len(value) <= LOCK_KEY_MAX:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise MappingFailed(f"a lock's key must be a text of 1 to {LOCK_KEY_MAX} characters, or a whole number")


# Backward


def _go_back(draft: Draft) -> bool:
    seen = draft.seen
    if seen.open:
        return False  # what is in flight is awaited: its outcome says whether it must be undone
    if draft.state.undo_plan is None:
        draft.record(ev.CompensationPlanned(to_undo(draft.graph, draft.state)))
    if not seen.not_undone:
        draft.record(ev.Compensated())
        return False
    if draft.state.version >= EVENTS_MAX:
        if draft.state.status is not ProcessStatus.SUSPENDED:
            draft.record(ev.Suspended(EVENT_LIMIT, None, f"the log holds {EVENTS_MAX} events"))
        return False
    names = tuple(undoable(draft.graph, draft.state, seen))
    if _release(draft, Direction.COMPENSATION, names) is Start.REFUSED:
        return True
    if _has_trouble(seen):
        _suspend_if_stuck(draft)
    return False


# Both ways


def _release(draft: Draft, direction: Direction, names: Iterable[str]) -> Start:
    """Start what may start, as far as the commands fit one transition and one process."""
    for name in names:
        outcome = start_attempt(draft, direction, name)
        if outcome is not Start.STARTED:
            return outcome
    return Start.STARTED


def _turns_back(draft: Draft) -> bool:
    """Turn back where something failed that makes it, or where the pivot that a turn waits for had no effect."""
    state = draft.state
    if _has_trouble(draft.seen):
        for name, step in state.steps.items():
            node = draft.graph.node_of(name)
            is_failed = step.action.status is EffortStatus.FAILED
            if not (is_failed or step.action.status is EffortStatus.UNKNOWN):
                continue
            # Through a join a step behind the pivot may come before it, and then it turns the process back.
            is_past = node.behind_pivot and pivot_was_sent(draft)
            if is_past or (node.pivot and not is_failed):
                continue  # nothing turns back from here on: the process stops for a person
            turn_back(draft, state.noted or ("step_failed" if is_failed else "step_unknown"), name)
            return True
    if state.noted is not None and not pivot_was_sent(draft):
        turn_back(draft, state.noted, None)  # it is in backoff, and all its attempts are answered by now
        return True
    return False


def pivot_was_sent(draft: Draft) -> bool:
    """Say whether the pivot was tried, so that nothing but its failure turns the process back."""
    pivot = draft.graph.pivot
    if pivot is None:
        return False
    action = draft.state.step(pivot.name).action
    if action.status is EffortStatus.SKIPPED or pivot_in_flight(draft):
        return True
    return action.status in {EffortStatus.DONE, EffortStatus.UNKNOWN}


def pivot_in_flight(draft: Draft) -> bool:
    """Say whether a pivot was sent of which nothing is known yet; what would turn back waits for that.

    In backoff after failures that say that nothing happened, it is not.
    """
    pivot = draft.graph.pivot
    if pivot is None:
        return False
    action = draft.state.step(pivot.name).action
    if action.status is EffortStatus.RETRYING:
        return action.is_unanswered
    return action.status.is_open


def _suspend_if_stuck(draft: Draft) -> None:
    state = draft.state
    stuck = next(stuck_efforts(draft), None)
    if stuck is None or state.status is ProcessStatus.SUSPENDED:
        return
    direction, name = stuck
    effort = state.effort(direction, name) or Effort()
    detail = f"the {direction} of step {name} is {effort.status} after {len(effort.attempts)} attempts"
    draft.record(ev.Suspended(f"{direction}_{effort.status}", name, detail))
