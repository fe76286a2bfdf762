"""A call over HTTP is bounded in time and size, and says whether the other side may have seen it."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest

from adapters.http.client import Request, call, open_client
from saga.ports.calls import CallAnswer, NoAnswer
from tests.support.raw_http import answer, drip, hang, hang_up, raw_server
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.raw_http import Respond


async def _call(respond: Respond, *, deadline_s: float = 5, bytes_max: int = 1000) -> CallAnswer:
    async with raw_server(respond) as server, open_client(connections_max=2) as client:
        request = Request(f"{server.url}/book", {"X-One": "1"}, b"{}")
        return await call(client, request, deadline_s=deadline_s, bytes_max=bytes_max)


async def _failure(respond: Respond, *, deadline_s: float = 5, bytes_max: int = 1000) -> NoAnswer:
    with pytest.raises(NoAnswer) as caught:
        await _call(respond, deadline_s=deadline_s, bytes_max=bytes_max)
    return caught.value


async def test_the_answer_comes_as_it_is() -> None:
    """Status, headers and bytes are given; the body is not interpreted."""
    given = await _call(answer(201, b'{"a": 1}', Retry_After="3"))

    assert (given.status, given.body, given.headers["retry-after"]) == (201, b'{"a": 1}', "3")


async def test_a_body_that_drips_ends_at_the_deadline() -> None:
    """The deadline is for the whole call, not for each byte."""
    failure = await _failure(drip, deadline_s=0.2)

    assert failure.was_sent
    assert "within 0.2 s" in failure.reason


@pytest.mark.parametrize("respond", [hang, hang_up])
async def test_a_request_without_an_answer_may_have_been_seen(respond: Respond) -> None:
    """Once the request is on its way, nobody knows what the other side did."""
    assert (await _failure(respond, deadline_s=0.3)).was_sent


async def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    """Where nobody listens, nothing can have happened."""
    async with raw_server(hang) as server:
        url = server.url
    async with open_client(connections_max=1) as client:
        with pytest.raises(NoAnswer) as caught:
            await call(client, Request(url, {}, b""), deadline_s=2, bytes_max=10)

    assert not caught.value.was_sent


async def test_waiting_for_a_connection_sends_nothing() -> None:
    """A call that spends its deadline in line was never sent."""
    async with raw_server(hang) as server, open_client(connections_max=1) as client:
        request = Request(server.url, {}, b"")
        first = asyncio.create_task(call(client, request, deadline_s=1, bytes_max=10))
        await eventually(lambda: server.requests)
        with pytest.raises(NoAnswer) as caught:
            await call(client, request, deadline_s=0.1, bytes_max=10)
        assert not caught.value.was_sent
        with pytest.raises(NoAnswer):
            await first


async def test_an_answer_without_an_end_is_cut_off() -> None:
    """The size is counted while it comes; the status of such an answer is known all the same."""
    failure = await _failure(answer(200, b"x" * 2000))

    assert failure.status == 200
    assert "longer than 1000 bytes" in failure.reason


async def test_a_compressed_answer_is_no_answer() -> None:
    """It could unpack to anything; none was asked for."""
    failure = await _failure(answer(200, gzip.compress(b"{}"), Content_Encoding="gzip"))

    assert failure.status == 200


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """Where a request goes is decided here, never by whom it was sent to."""
    async with raw_server(answer()) as other:
        given = await _call(answer(307, b"", Location=other.url))

    assert given.status == 307
    assert not other.requests


async def test_nothing_is_kept_or_taken_from_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables are not obeyed, and cookies of one answer don't travel with the next request."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with (
        raw_server(answer(Set_Cookie="a=b; Path=/")) as server,
        open_client(connections_max=1) as client,
    ):
        for _ in range(2):
            await call(client, Request(server.url, {}, b""), deadline_s=5, bytes_max=10)

    assert all("cookie" not in request.headers for request in server.requests)
    assert server.connections == 1
