"""One connection that is kept up, and what lives on it.

This is a loop of our own around a plain connection instead of aio-pika's robust one, for three reasons: there
is one way back from every kind of loss (connection, channel, cancelled consumer, deleted queue), a publish
fails at once while the broker is away, and it is known when the bus is usable again.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Protocol

import aio_pika
import yarl
from aio_pika.abc import AbstractConnection, UnderlayConnection

from adapters.rabbitmq import tolerant_decoding
from saga.errors import BusUnavailable

_log = logging.getLogger(__name__)

# A dead peer is noticed after three of these; the library's default of 60 would take three minutes.
_HEARTBEAT_S = 10
_CONNECT_TIMEOUT_S = 5.0
_OPEN_TIMEOUT_S = 20.0
_CHECK_TIMEOUT_S = 10.0
_CANCEL_AGAIN_S = 4.0
_PAUSE_MIN_S = 0.05
_PAUSE_MAX_S = 3.0
_STEADY_AFTER_S = 5.0


EndSession = Callable[[str], None]


class Session(Protocol):
    """What lives on a connection: made anew on every new one."""

    async def open(self, connection: AbstractConnection, end: EndSession) -> None:
        """Set everything up; whatever it raises means that this connection is of no use.

        `end` is for later: it says why the session can't go on, and a new connection is made.
        """
        ...

    async def check(self, connection: AbstractConnection) -> None:
        """Look whether all is well, once per tick; whatever it raises ends the session."""
        ...

    def lost(self) -> None:
        """Forget the connection; nothing on it works any more."""
        ...


class Link:
    """Keep one connection to the broker up for as long as it isn't closed."""

    def __init__(
        self,
        url: str,
        session: Session,
        *,
        name: str,
        tick_s: float,
        returned: Callable[[], None] = lambda: None,
    ) -> None:
        tolerant_decoding.install()
        self._url = with_heartbeat(url)
        self._session = session
        self._name = name
        self._tick_s = tick_s
        self._returned = returned
        self._was_up = False
        self._pause_s = _PAUSE_MIN_S
        self._connection: AbstractConnection | None = None
        self._is_closed = False
        self._up = asyncio.Event()
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=f"rabbitmq {name}")

    @property
    def connection(self) -> AbstractConnection:
        """Give the connection that is up now. Raises BusUnavailable while there is none."""
        if self._connection is None:
            raise BusUnavailable("there is no connection to the broker now")
        return self._connection

    async def wait_until_up(self, timeout_s: float) -> bool:
        """Wait until the session stands; False when it didn't in time (it is still tried)."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Disconnect for good."""
        self._is_closed = True
        self._ended.set()
        # More than once, and with a flag beside it: the driver swallows a cancellation now and then.
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CANCEL_AGAIN_S)

    async def _keep(self) -> None:
        while not self._is_closed:
            began = asyncio.get_running_loop().time()
            try:
                await self._live_once()
            except asyncio.CancelledError:
                # The driver cancels what waits on a channel that is closed: that doesn't end this task.
                if self._is_closed or is_cancelled():
                    raise
            except Exception as error:  # noqa: BLE001 - whatever it was, this loop is the only way back
                _log.warning("rabbitmq %s: %s", self._name, str(error) or type(error).__name__)
            steady = asyncio.get_running_loop().time() - began > _STEADY_AFTER_S
            self._pause_s = _PAUSE_MIN_S if steady else min(self._pause_s * 2, _PAUSE_MAX_S)
            # Jitter: all coordinators lose the broker at the same moment.
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _live_once(self) -> None:
        connection = await aio_pika.connect(self._url, timeout=_CONNECT_TIMEOUT_S)
        # Of this session alone: a late word about an old channel must not end the next one.
        self._ended = ended = asyncio.Event()

        def end(reason: str) -> None:
            if not ended.is_set():
                _log.warning("rabbitmq %s: %s; connecting again", self._name, reason)
                ended.set()

        transport(connection).connection.closing.add_done_callback(lambda _: ended.set())
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await self._session.open(connection, end)
            self._stand(connection)
            await self._watch(connection, ended)
        finally:
            ended.set()  # what is heard of this connection from now on is no news
            self._connection = None
            self._up.clear()
            self._session.lost()
            await close_quietly(connection.close())

    def _stand(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._up.set()
        if self._was_up:
            _log.info("rabbitmq %s: connected again", self._name)
            self._returned()
        self._was_up = True

    async def _watch(self, connection: AbstractConnection, ended: asyncio.Event) -> None:
        while not self._is_closed:
            try:
                async with asyncio.timeout(self._tick_s):
                    await ended.wait()
            except TimeoutError:
                async with asyncio.timeout(_CHECK_TIMEOUT_S):
                    await self._session.check(connection)
            else:
                return


def transport(connection: AbstractConnection) -> UnderlayConnection:
    """Give the driver's connection. Raises BusUnavailable when it is gone."""
    if connection.transport is None:
        raise BusUnavailable("the connection to the broker is closed")
    return connection.transport


def is_cancelled() -> bool:
    """Tell whether the running task is asked to end, or a CancelledError only came out of the driver."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def close_quietly(closing: Coroutine[object, object, object], *, timeout_s: float = 3.0) -> None:
    """Close something of the driver's that may be dead already; never raises and never waits longer.

    In a task of its own: the driver's close, when it is cancelled, goes on waiting for what won't come.
    """
    task = asyncio.create_task(closing)
    _closing.add(task)
    task.add_done_callback(_closed)
    done, _ = await asyncio.wait({task}, timeout=timeout_s)
    if not done:
        task.cancel()


_closing: set[asyncio.Task[object]] = set()


def _closed(task: asyncio.Task[object]) -> None:
    _closing.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.debug("closing: %r", task.exception())


def with_heartbeat(url: str) -> str:
    """Put our heartbeat into the address where it names none, and warn where it switches verification off."""
    address = yarl.URL(url)
    if address.query.get("no_verify_ssl", "0") != "0":
        _log.warning("the AMQP address switches the verification of the broker's certificate off")
    if "heartbeat" in address.query:
        return url
    return str(address.update_query(heartbeat=_HEARTBEAT_S))
