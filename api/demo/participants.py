"""Participants that pretend: each takes a moment, remembers nothing, and refuses where `fail_at` names it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypedDict

from saga.participant import BusinessFailure, Participant, StepCommand

_WORK_S = 0.2

# Per service: the action and its undo; the payment has none.
_SERVICES: tuple[tuple[str, str, str | None], ...] = (
    ("ingestion", "ingest", "discard"),
    ("analysis", "analyze", "forget"),
    ("indexing", "index", "remove"),
    ("hotel", "book", "cancel"),
    ("car", "rent", "return"),
    ("flight", "book", "cancel"),
    ("payment", "charge", None),
)


class Receipt(TypedDict):
    """Hold what a pretended action gives back."""

    reference: str


def demo_participants() -> tuple[Participant, ...]:
    """Make one participant per service of the example sagas."""
    return tuple(_pretender(*service) for service in _SERVICES)


def _pretender(service: str, action: str, undo: str | None) -> Participant:
    participant = Participant(service)
    participant.handles(action)(_action(service))
    if undo is not None:
        participant.handles(undo)(_undo)
    return participant


def _action(service: str) -> Callable[[dict[str, object], StepCommand], Awaitable[Receipt]]:
    async def act(parameters: dict[str, object], command: StepCommand) -> Receipt:
        await asyncio.sleep(_WORK_S)
        if parameters.get("fail_at") == service:
            raise BusinessFailure("refused", f"{service} was asked to refuse")
        return {"reference": f"{service}-{command.process_id[-8:]}"}

    return act


async def _undo(parameters: dict[str, object]) -> None:
    del parameters
    await asyncio.sleep(_WORK_S)
