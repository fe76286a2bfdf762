"""The port between a participant and the bus that brings it commands and takes its replies."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import Enum
from typing import Protocol

from saga.ports.bus import Consumption
from saga.values import value


@value
class ReplyMessage:
    """Hold a participant's reply or report: the routing key it goes to, and its body."""

    routing_key: str
    body: bytes
    message_id: str
    correlation_id: str


class NoReply(Enum):
    """Say why a command that is done with has no reply of its own here."""

    UNANSWERABLE = "unanswerable"  # nobody could tell which command a reply would belong to
    ELSEWHERE = "elsewhere"  # the participant took it on, and answers by another way


@value
class Carriage:
    """Say how a command came, beside its bytes.

    `may_have_come_before` where it was delivered to somebody who did not bring it to its end.
    """

    traceparent: str | None = None
    may_have_come_before: bool = False


# Set by the transport around each call of a handler.
CARRIAGE: ContextVar[Carriage] = ContextVar("batuta_carriage", default=Carriage())  # noqa: B039 - it is frozen

CommandHandler = Callable[[bytes], Awaitable[ReplyMessage | NoReply]]


class ParticipantTransport(Protocol):
    """Carry commands to a service and its replies back."""

    async def serve(self, service: str, handler: CommandHandler, *, concurrency: int) -> Consumption:
        """Hand each command of the service's queue to `handler`, at most `concurrency` at once.

        A command is acknowledged only after its reply was confirmed. An unanswerable one goes to the dead
        letters, one that is answered elsewhere is acknowledged. The handler must not raise; one that does
        leaves the command unacknowledged.
        """
        ...

    async def report(self, message: ReplyMessage) -> None:
        """Publish a progress report, once; confirmed on return. Raises BusUnavailable.

        A report that is lost costs nothing but its news, so nobody waits for the bus to come back.
        """
        ...

    async def close(self) -> None:
        """Take no more, finish what is in hand within a grace, then let go of the connections."""
        ...
