"""Transitions, projections and definitions for the contract suites."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from saga.messages.command import Command
from saga.messages.json_text import JsonText
from saga.ports.definitions import StoredDefinition
from saga.ports.projections import Projection
from saga.process import events as ev
from saga.process.status import Direction, EffortStatus, ProcessStatus
from saga.process.transition import Cause, Transition

if TYPE_CHECKING:
    from collections.abc import Mapping

NASTY = "$set a.b {$ne: null} \x00 \u202e right to left \U0001f3bc ' \" \\ \u2028"

_EVERY_EVENT: tuple[ev.Event, ...] = (
    ev.Accepted(
        process_type="trip",
        definition_hash="abc",
        parameters=JsonText('{"$where":"1","a.b":{"":null}}'),
        labels={"$team": "a.b", "k=v": NASTY, "": ""},
        request_hash="def",
        principal="anna",
        callback_url=None,
        traceparent=None,
    ),
    ev.Started(),
    ev.AttemptStarted(Direction.ACTION, "hotel", 2**53 + 1, 2**47 + 1),
    ev.AttemptProgressed(Direction.ACTION, "hotel", 1, 1_700_000_000_000, 33.3, NASTY),
    ev.AttemptProgressed(Direction.ACTION, "hotel", 1, 1_700_000_000_000, None, None),
    ev.AttemptFailed(
        Direction.ACTION, "hotel", 1, EffortStatus.RETRYING, JsonText('{"code":"$inc"}'), effect_unknown=True
    ),
    ev.RetryScheduled(Direction.ACTION, "hotel", 2, 17),
    ev.AttemptTimedOut(Direction.ACTION, "hotel", 2, EffortStatus.UNKNOWN),
    ev.AttemptCompleted(Direction.COMPENSATION, "hotel", 1, JsonText("9007199254740993")),
    ev.Observed(Direction.ACTION, "hotel", 1, "late", "completed", JsonText("[]"), attention=True),
    ev.TurnedBack("step_failed", "hotel", (("car", EffortStatus.FAILED),)),
    ev.CompensationPlanned(("hotel", "car")),
    ev.Suspended("spent", None, NASTY),
    ev.Resumed("settled", ProcessStatus.COMPENSATING),
    ev.Completed(),
    ev.Compensated(),
)


def transition(
    process_id: str, first: int = 1, *, events: int = 1, mark: str = "mark", body: str = "{}"
) -> Transition:
    """Make a small transition of so many events."""
    return Transition(
        process_id=process_id,
        first=first,
        events=(ev.Started(),) * events,
        commands=(Command(f"{process_id}.hotel.a1", "step.hotel.book", body),),
        cause=Cause("identity", "start", body),
        at=1_700_000_000_000 + first,
        by="writer",
        mark=mark,
    )


def every_event(process_id: str) -> Transition:
    """Make a transition with one event of every kind, and hostile text wherever a user may put text."""
    return replace(
        transition(process_id),
        events=_EVERY_EVENT,
        commands=(Command("c", "step.hotel.book", NASTY), Command("d", "step.car.rent", "")),
        cause=Cause(NASTY, "reply", NASTY),
    )


def projection(  # noqa: PLR0913 - each is a column that some test varies
    process_id: str,
    version: int = 1,
    *,
    status: str = "started",
    process_type: str = "trip",
    labels: Mapping[str, str] | None = None,
    attention: bool = False,
    wake_at: int | None = None,
    started_at: int = 1_000,
    state: str = "{}",
    state_format: int = 1,
) -> Projection:
    """Make a projection; `updated_at` follows the version, so that versions differ in what is stored."""
    return Projection(
        process_id=process_id,
        process_type=process_type,
        definition_hash="abc",
        status=status,
        version=version,
        state=state,
        state_format=state_format,
        labels=labels or {},
        attention=attention,
        wake_at=wake_at,
        wake_for=None if wake_at is None else "timeout",
        started_at=started_at,
        updated_at=started_at + version,
        ended_at=None,
    )


def definition(process_type: str, text: str = "{}", *, registered_at: int = 1_000) -> StoredDefinition:
    """Make a definition whose hash follows from its type and text."""
    digest = hashlib.sha256(f"{process_type} {text}".encode()).hexdigest()
    return StoredDefinition(digest, process_type, text, registered_at)
