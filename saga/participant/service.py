"""Run participants as a service of their own: find the transport, serve until told to stop."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import entry_points
from typing import cast
from urllib.parse import urlsplit

from saga.errors import NotReady
from saga.participant.participant import Participant
from saga.ports.participants import ParticipantTransport
from saga.secret_files import UnusableSecret, secret

_log = logging.getLogger(__name__)

TRANSPORTS = "batuta.participant_transports"
_TRANSPORT_OF_SCHEME = {"amqp": "rabbitmq", "amqps": "rabbitmq"}
_DEFAULT_PREFIX = "saga"
DEFAULT_CONCURRENCY = 10

Connect = Callable[[str, str], Awaitable[ParticipantTransport]]


def run(
    *participants: Participant,
    url: str | None = None,
    prefix: str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> None:
    """Serve until SIGTERM or SIGINT; returns when what was in hand is finished, within the grace.

    The address is `url`, SAGA_AMQP_URL or what is in the file SAGA_AMQP_URL_FILE; the prefix of all names is
    `prefix` or SAGA_AMQP_PREFIX. At most `concurrency` commands of each participant are in hand at once.
    Exits with a sentence when there is no address, or none that a transport is installed for.
    """
    try:
        asyncio.run(_serve_until_told(participants, url=url, prefix=prefix, concurrency=concurrency))
    except NotReady as error:
        raise SystemExit(str(error)) from None


async def serve(
    *participants: Participant, transport: ParticipantTransport, concurrency: int = DEFAULT_CONCURRENCY
) -> None:
    """Begin to serve on a transport, one queue per participant; closing the transport ends it."""
    for participant in participants:
        answer = partial(participant.answer, report=transport.report)
        await transport.serve(participant.service, answer, concurrency=concurrency)


async def _serve_until_told(
    participants: tuple[Participant, ...], *, url: str | None, prefix: str | None, concurrency: int
) -> None:
    try:
        address = url or secret(os.environ, "SAGA_AMQP_URL")
    except UnusableSecret as error:
        raise NotReady(str(error)) from None
    if not address:
        raise NotReady("no broker is named: set SAGA_AMQP_URL, such as amqp://user:password@host/vhost")
    connect = find_transport(address)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    transport = await connect(address, prefix or os.environ.get("SAGA_AMQP_PREFIX") or _DEFAULT_PREFIX)
    try:
        for participant in participants:
            if not participant.remembers:
                _log.warning(
                    "%s remembers nothing: a command that comes twice is carried out twice. Give it a barrier, "
                    "or say is_idempotent=True where its handlers see to it",
                    participant.service,
                )
        await serve(*participants, transport=transport, concurrency=concurrency)
        await told.wait()
    finally:
        await transport.close()
        for participant in participants:
            await participant.close()


def find_transport(address: str) -> Connect:
    """Find what connects to an address among the installed transports. Raises NotReady with the reason."""
    scheme = urlsplit(address).scheme
    name = _TRANSPORT_OF_SCHEME.get(scheme)
    if name is None:
        raise NotReady(f"SAGA_AMQP_URL begins with {scheme or 'no scheme'!r}: it must be amqp or amqps")
    for entry in entry_points(group=TRANSPORTS, name=name):
        return cast("Connect", entry.load())
    raise NotReady(f"no transport named {name!r} is installed: install the package batuta with its adapters")
