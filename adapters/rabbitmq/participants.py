"""Carry commands to participants and their replies back over RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Self

import aiormq

from adapters.rabbitmq.connection import Link
from adapters.rabbitmq.edge import Edge, Subscription
from adapters.rabbitmq.properties import check_short
from adapters.rabbitmq.topology import Names, Topology
from saga.errors import BusUnavailable
from saga.ports.participants import CARRIAGE, Carriage, NoReply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faststream.rabbit.annotations import RabbitMessage

    from saga.ports.bus import Consumption
    from saga.ports.participants import CommandHandler, ParticipantTransport, ReplyMessage

_log = logging.getLogger(__name__)

_FIRST_CONNECT_S = 5.0
_TICK_S = 2.0
_REPLY_PAUSE_MIN_S = 0.1
_REPLY_PAUSE_MAX_S = 3.0
_GRACE_S = 8.0
_CANCELLED_WITHIN_S = 1.0


async def connect(url: str, prefix: str) -> ParticipantTransport:
    """Connect a service of its own; returns soon also while the broker is away, and goes on trying."""
    return await RabbitParticipants.open(url, prefix=prefix)


class RabbitParticipants:
    """Implement `saga.ports.participants.ParticipantTransport`; make it with `open`."""

    def __init__(self, url: str, names: Names, *, grace_s: float) -> None:
        self._names = names
        self._grace_s = grace_s
        self._edge = Edge(url, Topology(names, is_orchestrator=False))
        self._in_hand: set[asyncio.Task[None]] = set()
        self._served: set[str] = set()
        self.acks_lost = 0
        self._link = Link(url, self._edge, name="participants", tick_s=_TICK_S)

    @classmethod
    async def open(cls, url: str, *, prefix: str = "saga", grace_s: float = _GRACE_S) -> Self:
        """Connect, and return after five seconds at the latest, also while the broker is away.

        Raises ValueError for a prefix that can't be one.
        """
        transport = cls(url, Names(prefix), grace_s=grace_s)
        await transport._link.wait_until_up(_FIRST_CONNECT_S)
        return transport

    async def serve(self, service: str, handler: CommandHandler, *, concurrency: int) -> Consumption:
        """Hand each command of the service's queue to `handler`; begins as soon as the broker is there.

        A command that can't be answered is rejected: the broker moves it to the dead letters. Raises
        ValueError for an impossible name, or for a service that is served here already.
        """
        queue = self._names.step_queue(service)
        take = partial(self._take, handler)
        await self._edge.subscribe(Subscription(service, queue, take, concurrency))
        self._served.add(service)
        return _Serving(partial(self._stop, service))

    async def report(self, message: ReplyMessage) -> None:
        """Publish a progress report, once. Raises BusUnavailable, ValueError for what can't be sent."""
        _check(message)
        await self._edge.publish(message)

    async def close(self) -> None:
        """Take no more, finish what is in hand within the grace, and let go of the connections."""
        for service in list(self._served):
            await self._stop(service)
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=self._grace_s)
        for task in self._in_hand:
            task.cancel()  # its command stays unacknowledged and is delivered again
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=_CANCELLED_WITHIN_S)
        await self._link.close()
        await self._edge.wait_until_retired()

    async def _stop(self, service: str) -> None:
        self._served.discard(service)
        await self._edge.unsubscribe(service)

    def _take(self, handler: CommandHandler, message: RabbitMessage) -> None:
        # A task of our own: the driver cancels its own ones when a connection is lost, and a handler that
        # is in the middle of its work must come to its end.
        task = asyncio.create_task(self._carry_out(handler, message))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _carry_out(self, handler: CommandHandler, message: RabbitMessage) -> None:
        traceparent = message.headers.get("traceparent")
        CARRIAGE.set(
            Carriage(
                traceparent if isinstance(traceparent, str) else None,
                may_have_come_before=bool(message.raw_message.redelivered),
            )
        )
        try:
            reply = await handler(message.body)
        except Exception:  # noqa: BLE001 - it must not raise, and this says that it did
            _log.exception("a handler raised; its command stays unacknowledged")
            return
        if isinstance(reply, NoReply):
            await self._settle(message.ack if reply is NoReply.ELSEWHERE else message.reject)
            return
        try:
            _check(reply)
        except ValueError as error:
            _log.error("a reply can't be sent: %s", error)
            await self._settle(message.reject)
            return
        await self._publish(reply)
        await self._settle(message.ack)

    async def _publish(self, reply: ReplyMessage) -> None:
        """Publish until it is confirmed: the work is done, and only its reply saves it from a repetition."""
        pause_s = _REPLY_PAUSE_MIN_S
        while True:
            await self._edge.is_up.wait()
            try:
                await self._edge.publish(reply)
            except BusUnavailable as error:
                _log.warning("the reply %s waits: %s", reply.message_id, error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _REPLY_PAUSE_MAX_S)
            else:
                return

    async def _settle(self, settle: Callable[[], Awaitable[None]]) -> None:
        try:
            await settle()
        except (aiormq.AMQPError, aiormq.ChannelInvalidStateError, OSError):
            self.acks_lost += 1  # the command is delivered again, and answered again with the same id


def _check(reply: ReplyMessage) -> None:
    """Refuse what the protocol can't carry: it would cost the channel. Raises ValueError."""
    check_short("routing key", reply.routing_key)
    check_short("message id", reply.message_id)
    check_short("correlation id", reply.correlation_id)


class _Serving:
    """A service that is served; implements `saga.ports.bus.Consumption`."""

    def __init__(self, stop: Callable[[], Awaitable[None]]) -> None:
        self._stop = stop

    async def stop(self) -> None:
        """Take no more commands; those in hand are still answered."""
        await self._stop()
