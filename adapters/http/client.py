"""The one place that makes an HTTP client, and the one way it is used: each call is bounded in time and size."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx

from saga.ports.calls import CallAnswer, NoAnswer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_SENDING = ".send_request_headers.started"
# Shorter than the five seconds after which common servers close an idle connection: a request that meets the end
# of its connection may have been seen, and nobody could tell.
_IDLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Request:
    """Hold what is sent: always a POST of these bytes."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def open_client(
    *, connections_max: int, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """Make a client that obeys no proxy variables, follows no redirects and keeps no cookies.

    Without a `transport` it keeps its own connections, at most `connections_max`. `call` minds the time.
    """
    limits = httpx.Limits(
        max_connections=connections_max,
        max_keepalive_connections=connections_max,
        keepalive_expiry=_IDLE_S,
    )
    return httpx.AsyncClient(
        transport=transport or httpx.AsyncHTTPTransport(verify=_trust(), limits=limits, trust_env=False),
        timeout=None,  # noqa: S113 - `call` puts one deadline around the whole
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


@cache
def _trust() -> ssl.SSLContext:
    """Trust what this machine trusts (SSL_CERT_FILE names other authorities), and the well-known authorities."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


async def call(
    client: httpx.AsyncClient,
    request: Request,
    *,
    deadline_s: float,
    bytes_max: int,
    connect_s: float | None = None,
) -> CallAnswer:
    """Send a request and read the whole answer within a deadline. Raises NoAnswer.

    The deadline counts from here to the last byte: a body that drips does not prolong it; `connect_s` is for
    the connection alone. No compression is asked for, and a compressed or longer answer than `bytes_max` is
    no answer.
    """
    was_sent = False

    async def trace(event: str, _: Mapping[str, object]) -> None:
        nonlocal was_sent
        was_sent = was_sent or event.endswith(_SENDING)

    headers = {**request.headers, "Accept-Encoding": "identity"}
    built = client.build_request(
        "POST",
        request.url,
        headers=headers,
        content=request.body,
        timeout=httpx.Timeout(None, connect=connect_s),
        extensions={"trace": trace},
    )
    try:
        async with asyncio.timeout(deadline_s):
            response = await client.send(built, stream=True)
            try:
                return await _read(response, bytes_max)
            finally:
                await response.aclose()
    except TimeoutError:
        raise NoAnswer(f"no answer within {deadline_s:g} s", was_sent=was_sent, timed_out=True) from None
    except httpx.HTTPError as error:
        timed_out = isinstance(error, httpx.TimeoutException)
        raise NoAnswer(f"{type(error).__name__}: {error}", was_sent=was_sent, timed_out=timed_out) from error


async def _read(response: httpx.Response, bytes_max: int) -> CallAnswer:
    if response.headers.get("content-encoding", "identity") != "identity":
        reason = "the answer is compressed, which was not asked for"
        raise NoAnswer(reason, was_sent=True, status=response.status_code)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > bytes_max:
            reason = f"the answer is longer than {bytes_max} bytes"
            raise NoAnswer(reason, was_sent=True, status=response.status_code)
    return CallAnswer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body))
