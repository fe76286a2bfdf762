"""The port between a participant and the bus that brings it commands and takes its replies."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from saga.ports.bus import Consumption


@dataclass(frozen=True, slots=True)
class ReplyMessage:
    """Hold a participant's reply: the routing key it goes to, and its body."""

    routing_key: str
    body: bytes
    message_id: str
    correlation_id: str


CommandHandler = Callable[[bytes], Awaitable[ReplyMessage | None]]


class ParticipantTransport(Protocol):
    """Carry commands to a service and its replies back."""

    async def serve(self, service: str, handler: CommandHandler, *, concurrency: int) -> Consumption:
        """Hand each command of the service's queue to `handler`, at most `concurrency` at once.

        A command is acknowledged only after its reply was confirmed. Where the handler gives None it can't
        be answered: it is dead-lettered if the transport has a place for that, else acknowledged. The
        handler must not raise; one that does leaves the command unacknowledged.
        """
        ...

    async def close(self) -> None:
        """Take no more, finish what is in hand within a grace, then let go of the connections."""
        ...
