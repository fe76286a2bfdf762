"""A state as text: what a projection keeps beside the columns that queries use.

The log is the truth; a snapshot in another format, or none, only means that the whole log is folded. So does one
that another hand changed: it has a checksum, because a decision on a wrong state would spoil the log.
"""

from types import MappingProxyType
from typing import TypeAlias, cast
from zlib import crc32

from saga.messages.json_text import Json, JsonText, from_text, to_text
from saga.process.state import Attempt, Effort, Lock, Origin, ProcessState, StepState
from saga.process.status import AttemptOutcome, EffortStatus, ProcessStatus

SNAPSHOT_FORMAT = 4

_AttemptRow: TypeAlias = tuple[int, int, str, list[str], int | None, bool]
_EffortRow: TypeAlias = tuple[
    str, list[_AttemptRow], int | None, str | None, str | None, int | None, int, str | None
]
_StepRow: TypeAlias = tuple[_EffortRow, _EffortRow | None, _EffortRow | None, list[str] | None, bool]

_ORIGIN_FIELDS = (
    "process_id", "process_type", "definition_hash", "parameters", "request_hash", "principal",
    "callback_url", "traceparent", "accepted_at", "parent", "root_id", "forked_from",
    "from_step", "fork_reason",
)  # fmt: skip
_PLAIN_FIELDS = (
    "updated_at", "version", "is_taken", "is_going_back", "reason", "suspended_for", "attention",
    "observations", "payload_bytes", "ended_at", "noted", "deadline_passed", "stopped_at",
    "stood_still_ms", "result", "reply_to", "rejections", "joined_to",
)  # fmt: skip


def to_snapshot(state: ProcessState) -> JsonText:
    """Write a state; equal states give equal text."""
    origin = state.origin
    document: dict[str, object] = {field: getattr(origin, field) for field in _ORIGIN_FIELDS}
    document["labels"] = dict(origin.labels)
    document["children"] = dict(origin.children)
    for field in _PLAIN_FIELDS:
        document[field] = getattr(state, field)
    document["status"] = state.status
    document["undo_plan"] = None if state.undo_plan is None else sorted(state.undo_plan)
    document["requests"] = sorted(state.requests)
    document["locks"] = (
        None if state.locks is None else [[lock.key, lock.holder, lock.is_held] for lock in state.locks]
    )
    document["steps"] = {name: _step_row(step) for name, step in state.steps.items()}
    text = to_text(cast("Json", document))
    return JsonText(_seal(text) + text[1:])


def from_snapshot(text: str) -> ProcessState:
    """Read a state back. Raises ValueError for all that is not as `to_snapshot` wrote it."""
    if not text.startswith(_seal("{" + text[_SEAL_LENGTH:])):
        raise ValueError("it is not as it was written")
    return unsealed(text)


def unsealed(text: str) -> ProcessState:
    """Read a state that may have been changed, to say in what. Raises ValueError where it is none at all."""
    try:
        return _state(cast("dict[str, object]", from_text(text)))
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _seal(text: str) -> str:
    """Write the beginning of a snapshot: the checksum over the object that the rest of it is."""
    return f'{{"sum":"{crc32(text.encode("utf-8", "surrogatepass")):08x}",'


_SEAL_LENGTH = len(_seal("{}"))


def _state(document: dict[str, object]) -> ProcessState:
    plan = cast("list[str] | None", document["undo_plan"])
    steps = cast("dict[str, _StepRow]", document["steps"])
    locks = cast("list[tuple[str, str | None, bool]] | None", document["locks"])
    labels = MappingProxyType(cast("dict[str, str]", document["labels"]))
    children = MappingProxyType(cast("dict[str, str]", document["children"]))
    origin = {field: document[field] for field in _ORIGIN_FIELDS}
    plain = {field: document[field] for field in _PLAIN_FIELDS}
    return ProcessState(
        origin=Origin(**origin, labels=labels, children=children),  # type: ignore[arg-type]  # the types that to_snapshot wrote
        **plain,  # type: ignore[arg-type]  # likewise
        status=ProcessStatus(cast("str", document["status"])),
        undo_plan=None if plan is None else frozenset(plan),
        locks=None if locks is None else tuple(Lock(*lock) for lock in locks),
        requests=frozenset(cast("list[str]", document["requests"])),
        steps=MappingProxyType({name: _step(*rows) for name, rows in steps.items()}),
    )


def _step_row(step: StepState) -> list[object]:
    others = [None if effort is None else _effort_row(effort) for effort in (step.undo, step.verify)]
    items = None if step.items is None else list(step.items)
    return [_effort_row(step.action), *others, items, step.is_kept]


def _effort_row(effort: Effort) -> list[object]:
    attempts = [
        [
            attempt.started_at,
            attempt.due_at,
            attempt.outcome,
            sorted(attempt.replies),
            attempt.progressed_at,
            attempt.cancelled,
        ]
        for attempt in effort.attempts
    ]
    return [
        effort.status, attempts, effort.next_attempt_at, effort.output, effort.error, effort.settled_at,
        effort.granted, effort.input,
    ]  # fmt: skip


def _step(
    action: _EffortRow,
    undo: _EffortRow | None,
    verify: _EffortRow | None,
    items: list[str] | None,
    is_kept: bool,  # noqa: FBT001 - one column of a row
) -> StepState:
    return StepState(
        action=_effort(action),
        undo=None if undo is None else _effort(undo),
        verify=None if verify is None else _effort(verify),
        items=None if items is None else tuple(JsonText(item) for item in items),
        is_kept=is_kept,
    )


def _effort(row: _EffortRow) -> Effort:
    status, attempts, next_attempt_at, output, error, settled_at, granted, given = row
    return Effort(
        status=EffortStatus(status),
        attempts=tuple(_attempt(number, *values) for number, values in enumerate(attempts, start=1)),
        next_attempt_at=next_attempt_at,
        output=None if output is None else JsonText(output),
        error=None if error is None else JsonText(error),
        settled_at=settled_at,
        granted=granted,
        input=None if given is None else JsonText(given),
    )


def _attempt(
    number: int,
    started_at: int,
    due_at: int,
    outcome: str,
    replies: list[str],
    progressed_at: int | None,
    cancelled: bool,  # noqa: FBT001 - one column of a row
) -> Attempt:
    return Attempt(
        number, started_at, due_at, AttemptOutcome(outcome), frozenset(replies), progressed_at, cancelled
    )
