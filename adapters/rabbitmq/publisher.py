"""Publish with confirms: one channel, one confirm window, any number of callers at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from aiormq.exceptions import PublishError
from pamqp.commands import Basic

from adapters.rabbitmq.connection import EndSession, is_cancelled, transport
from adapters.rabbitmq.topology import Topology, declare, throwaway_channel
from saga.errors import BusUnavailable
from saga.ports.bus import PublishResult

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiormq
    from aio_pika.abc import AbstractConnection

_log = logging.getLogger(__name__)

_ANSWER_TIMEOUT_S = 3.0
_UNBLOCKED_WITHIN_S = 0.02
_DECLARE_AGAIN_EVERY_S = 5.0


class Publisher:
    """Hold the channel to publish on; while there is none, or the broker is in alarm, publishing fails.

    It is the session of a `Link`. `returned` is called when an alarm is over; after a lost connection the
    link says so itself.
    """

    def __init__(self, topology: Topology, *, deadline_s: float, returned: Callable[[], None]) -> None:
        self._topology = topology
        self._deadline_s = deadline_s
        self._returned = returned
        self._channel: aiormq.Channel | None = None
        self._is_blocked = False
        self._is_suspect = False
        self._declare_after: float | None = None
        self._declared_at = 0.0
        self._in_flight: dict[str, asyncio.Event | None] = {}

    async def publish(
        self, exchange: str, routing_key: str, body: bytes, properties: Basic.Properties, *, mandatory: bool
    ) -> PublishResult:
        """Publish and wait for the confirm, at most for the deadline. Raises BusUnavailable.

        The properties must have been checked: one that the broker refuses costs every message in flight.
        """
        message_id = cast("str", properties.message_id)
        while message_id in self._in_flight:
            await self._other_with(message_id)
        channel = self._channel
        if channel is None or self._is_blocked:
            raise BusUnavailable("the broker is away or in alarm; the message was not sent")
        self._in_flight[message_id] = None
        try:
            return await self._send(channel, exchange, routing_key, body, properties, mandatory=mandatory)
        finally:
            waiting = self._in_flight.pop(message_id)
            if waiting is not None:
                waiting.set()

    async def _send(
        self,
        channel: aiormq.Channel,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: Basic.Properties,
        *,
        mandatory: bool,
    ) -> PublishResult:
        try:
            # Without `wait`: the driver would hold the channel's lock until the socket is drained, and the
            # callers would go one by one. Its own deadline needs no task around the call.
            answer = await channel.basic_publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                properties=properties,
                mandatory=mandatory,
                timeout=self._deadline_s,
                wait=False,
            )
        except PublishError:
            self._declare_soon()
            return PublishResult.RETURNED
        except TimeoutError as error:
            self._is_suspect = True
            raise BusUnavailable(f"the broker did not confirm within {self._deadline_s} s") from error
        except asyncio.CancelledError:
            # A channel that is closed cancels its confirms: that isn't the cancellation of the caller.
            if is_cancelled():
                raise
            raise BusUnavailable("the channel was closed before the confirm came") from None
        except (TypeError, ValueError):
            raise  # a message that can't be written at all: nothing was sent, and trying again is useless
        except Exception as error:
            raise BusUnavailable(f"the message was not confirmed: {error!r}") from error
        if not isinstance(answer, Basic.Ack):
            raise BusUnavailable(f"the broker answered {type(answer).__name__} instead of a confirm")
        return PublishResult.CONFIRMED

    async def open(self, connection: AbstractConnection, end: EndSession) -> None:
        """Declare everything and open the channel."""
        await self._declare(connection)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        driver_channel = cast("aiormq.Channel", await channel.get_underlay_channel())
        driver_channel.closing.add_done_callback(lambda _: end("the channel was closed"))
        self._is_blocked = self._is_suspect = False
        self._channel = driver_channel

    async def check(self, connection: AbstractConnection) -> None:
        """Notice an alarm and its end; after a missing confirm, ask the broker whether it is there at all."""
        was_blocked, self._is_blocked = self._is_blocked, await _is_blocked(connection)
        if self._is_blocked:
            if not was_blocked:
                _log.warning("the broker is in alarm and takes no messages")
            return
        if was_blocked:
            _log.info("the broker takes messages again")
            self._returned()
        if self._is_suspect:
            self._is_suspect = False
            async with asyncio.timeout(_ANSWER_TIMEOUT_S), throwaway_channel(connection):
                pass
        if self._declare_after is not None and asyncio.get_running_loop().time() >= self._declare_after:
            await self._declare(connection)

    def lost(self) -> None:
        """Fail what comes now at once."""
        self._channel = None

    def _declare_soon(self) -> None:
        """Declare everything again at a check to come: the queue of a returned message may be gone."""
        if self._declare_after is None:
            self._declare_after = self._declared_at + _DECLARE_AGAIN_EVERY_S

    async def _declare(self, connection: AbstractConnection) -> None:
        self._declare_after = None
        self._declared_at = asyncio.get_running_loop().time()
        await declare(connection, self._topology)

    async def _other_with(self, message_id: str) -> None:
        """Wait for a message with the same id to be done.

        The driver finds a returned message by its id: of two at once, one would be taken as confirmed.
        """
        waiting = self._in_flight[message_id]
        if waiting is None:
            waiting = self._in_flight[message_id] = asyncio.Event()
        await waiting.wait()


async def _is_blocked(connection: AbstractConnection) -> bool:
    try:
        async with asyncio.timeout(_UNBLOCKED_WITHIN_S):
            await transport(connection).ready()
    except TimeoutError:
        return True
    return False
