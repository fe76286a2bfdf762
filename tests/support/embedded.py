"""What the tests of the embedded store need: transitions and messages of a made-up process of two steps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from adapters.embedded.folder import FILE_NAME
from saga.messages.command import Command, CommandRef
from saga.ports.bus import Exchange, OutgoingMessage
from saga.ports.projections import Projection
from saga.process.events import Completed, Started
from saga.process.transition import Cause, Transition

if TYPE_CHECKING:
    from pathlib import Path

    from saga.ports.bus import Delivery

SERVICE = "work"


def first_transition(
    process_id: str, *, tag: str | None = None, service: str = SERVICE, mark: str = "m1"
) -> Transition:
    """Make event 1 of a process, with one command, in answer to the delivery of that tag."""
    return Transition(
        process_id=process_id,
        first=1,
        events=(Started(),),
        commands=(command(process_id, service=service),),
        cause=Cause(process_id, "start", "{}", delivery=tag),
        at=1_000,
        by="test",
        mark=mark,
    )


def last_transition(process_id: str, *, tag: str | None = None, mark: str = "m2") -> Transition:
    """Make event 2, the last one, without a command."""
    cause = Cause(f"{process_id}:completed", "reply", "{}", delivery=tag)
    return Transition(process_id, 2, (Completed(),), (), cause, at=2_000, by="test", mark=mark)


def command(process_id: str, *, service: str = SERVICE) -> Command:
    """Make the one command of a process."""
    command_id = CommandRef(process_id, "only", "action", 1).command_id
    return Command(command_id, f"step.{service}.do", f'{{"command_id":"{command_id}"}}')


def start_message(process_id: str, *, body: bytes | None = None) -> OutgoingMessage:
    """Make the message that starts a process."""
    return OutgoingMessage(
        exchange=Exchange.COMMANDS,
        routing_key="process.start",
        body=process_id.encode() if body is None else body,
        message_id=process_id,
        correlation_id=process_id,
        kind="start",
        timestamp=1_000,
        mandatory=True,
    )


def command_message(sent: Command, process_id: str) -> OutgoingMessage:
    """Make the message that a coordinator publishes for an appended command."""
    return OutgoingMessage(
        exchange=Exchange.COMMANDS,
        routing_key=sent.routing_key,
        body=sent.body.encode(),
        message_id=sent.command_id,
        correlation_id=process_id,
        kind="command",
        timestamp=1_000,
        mandatory=True,
    )


def projection(process_id: str, version: int, *, wake_at: int | None = None) -> Projection:
    """Make the projection of a process at a version."""
    return Projection(
        process_id=process_id,
        process_type="made_up",
        definition_hash="h",
        status="started" if version == 1 else "completed",
        version=version,
        state="{}",
        state_format=1,
        labels={},
        attention=False,
        wake_at=wake_at,
        wake_for=None if wake_at is None else "timeout",
        started_at=1_000,
        updated_at=1_000,
        ended_at=None if version == 1 else 2_000,
    )


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Read from the file beside the store, as any SQLite shell would."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return connection.execute(query).fetchall()


class Inbox:
    """Be a handler that keeps what it gets and acknowledges nothing by itself."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    async def __call__(self, delivery: Delivery) -> None:
        """Take one."""
        self.deliveries.append(delivery)

    @property
    def bodies(self) -> list[bytes]:
        """Give the bodies in the order in which they came."""
        return [delivery.body for delivery in self.deliveries]

    def has(self, count: int) -> bool:
        """Tell whether at least so many came."""
        return len(self.deliveries) >= count
