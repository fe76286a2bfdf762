"""Call addresses that users gave: only where they may lead, however they are written, and no further.

A name is looked up at each call, every address that it stands for is checked, and the connection goes to an
address that was checked: nobody looks the name up a second time. TLS is verified by the name.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from adapters.http.client import Request, call, open_client
from saga.ports.calls import NoAnswer
from saga.ports.deliveries import CallOutcome
from saga.webhooks.addresses import may_be_called

DEADLINE_S = 15.0
# An address that swallows packets leaves time for the next one.
CONNECT_WITHIN_S = 4.0
ADDRESSES_MAX = 3
# Read so that the other side can finish writing it; nothing of it is kept.
ANSWER_BYTES_MAX = 64 * 1024
# Names that hang wait in line behind each other, and never take a thread from anything else.
RESOLVERS = 4

Resolve = Callable[[str, int], Sequence[str]]


class HttpWebhookCaller:
    """Call over HTTP; implements `saga.ports.deliveries.WebhookCaller`."""

    def __init__(
        self,
        *,
        may_be_private: bool,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`resolve` and `tls` are by default the machine's; SSL_CERT_FILE names other authorities."""
        # No connection is kept: one that was verified for a name must not carry the call to another one.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        inner = httpx.AsyncHTTPTransport(
            verify=tls or httpx.create_ssl_context(), limits=limits, trust_env=False
        )
        self._transport = _CheckedTransport(
            inner, resolve or _resolve, may_be_private=may_be_private, deadline_s=deadline_s
        )
        self._client = open_client(connections_max=1, transport=self._transport)
        self._deadline_s = deadline_s

    async def call(self, url: str, headers: Mapping[str, str], body: bytes) -> CallOutcome:
        """POST within the deadline; a redirect is an answer like any other. Never raises."""
        request = Request(url, {**headers, "connection": "close"}, body)
        try:
            answer = await call(
                self._client, request, deadline_s=self._deadline_s, bytes_max=ANSWER_BYTES_MAX
            )
        except NoAnswer as failed:
            if failed.status is not None:
                return CallOutcome(status=failed.status)
            return CallOutcome(error=_reason(failed))
        return CallOutcome(answer.status, retry_after=answer.headers.get("retry-after"))

    async def close(self) -> None:
        """Let go of what is open."""
        await self._client.aclose()


class _CheckedTransport(httpx.AsyncBaseTransport):
    """Look the name up, check what it stands for, and connect to that."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, resolve: Resolve, *, may_be_private: bool, deadline_s: float
    ) -> None:
        self._inner = inner
        self._resolve = resolve
        self._may_be_private = may_be_private
        self._connect_s = min(CONNECT_WITHIN_S, deadline_s)
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="saga-webhook-names")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        addresses = await self._checked(
            host, request.url.port or (443 if request.url.scheme == "https" else 80)
        )
        # The header Host is in the request by now, and names the host.
        extensions = {
            **request.extensions,
            "sni_hostname": host.removesuffix("."),
            "timeout": {"connect": self._connect_s},
        }
        for address in addresses[:-1]:
            try:
                return await self._inner.handle_async_request(_to(address, request, extensions))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent
        return await self._inner.handle_async_request(_to(addresses[-1], request, extensions))

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._inner.aclose()

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._resolve, host, port)
        except (OSError, UnicodeError):
            raise httpx.ConnectError("the name of the host is not known") from None
        if not found:
            raise httpx.ConnectError("the name of the host is not known")
        # One that is not public among several: no accident, or one that would be picked by chance.
        if not all(may_be_called(address, may_be_private=self._may_be_private) for address in found):
            raise httpx.ConnectError("the host stands for an address that is not public")
        return list(dict.fromkeys(found))[:ADDRESSES_MAX]


def _to(address: str, request: httpx.Request, extensions: Mapping[str, object]) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=dict(extensions),
    )


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _reason(failed: NoAnswer) -> str:
    """Say why there is no answer, without a byte of what the other side said."""
    match failed.__cause__:
        case httpx.ConnectTimeout():
            return f"no connection within {CONNECT_WITHIN_S:g} s"
        case httpx.RemoteProtocolError() | httpx.LocalProtocolError():
            return "the answer is no HTTP, or was cut off"
        case httpx.ConnectError() as error:
            return str(error) or "no connection"
        case httpx.HTTPError() as error:
            return f"the connection failed ({type(error).__name__})"
        case _:
            return failed.reason
