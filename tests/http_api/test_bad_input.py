"""The table "bad input over HTTP": each row against the real application, and none has any effect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.http_api.service import BODY

if TYPE_CHECKING:
    import httpx

    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = json.dumps(BODY).encode()
JSON = {"content-type": "application/json"}


def _body(parameters: str = '{"document_id":"d"}', *, rest: str = "") -> bytes:
    return f'{{"process_type":"document_analysis","parameters":{parameters}{rest}}}'.encode()


def _deep(levels: int) -> str:
    return '{"document_id":"d","x":' + "[" * levels + "]" * levels + "}"


def _many(keys: int) -> str:
    return '{"document_id":"d",' + ",".join(f'"k{number}":0' for number in range(keys)) + "}"


def _is_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"/problems/{slug}"
    assert document["status"] == status
    return document


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, GOOD),
        ({"content-type": "text/plain"}, GOOD),
        ({"content-type": "application/x-www-form-urlencoded"}, b"process_type=document_analysis"),
        ({"content-type": "application/json; charset=utf-16"}, GOOD),
        ({**JSON, "content-encoding": "gzip"}, GOOD),
        ({**JSON, "content-encoding": "identity, br"}, GOOD),
    ],
)
async def test_a_body_of_another_type_or_coding_is_refused(
    service: Service, headers: dict[str, str], body: bytes
) -> None:
    """No or another content type and any content encoding are answered with 415."""
    before = await service.processes()
    answer = await service.http.post("/process", content=body, headers=headers)
    _is_problem(answer, 415, "unsupported-media-type")
    assert await service.processes() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        GOOD[:-1],
        GOOD + b" x",
        GOOD + GOOD,
        b'{"process_type": "\xff"}',
        GOOD.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + GOOD,
        _body('{"document_id": NaN}'),
        _body('{"document_id": -Infinity}'),
        _body('{"document_id":"a","document_id":"b"}'),
        _body('{"document_id":"d","x":[{"y":{"z":1,"z":2}}]}'),
        _body('{"document_id":"\\ud800"}'),
        _body('{"\\udfff":"x","document_id":"d"}'),
    ],
)
async def test_what_is_no_strict_json_is_malformed(service: Service, body: bytes) -> None:
    """Empty, truncated, trailing, not UTF-8, a mark, NaN, duplicate keys and lone surrogates are a 400."""
    before = await service.processes()
    answer = await service.http.post("/process", content=body, headers=JSON)
    _is_problem(answer, 400, "malformed-json")
    assert await service.processes() == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", ""),
        (b"null", ""),
        (b'"text"', ""),
        (b'{"parameters":{}}', "/process_type"),
        (b'{"process_type":"document_analysis"}', "/parameters"),
        (_body(rest=',"colour":"red"'), "/colour"),
        (b'{"process_type":7,"parameters":{}}', "/process_type"),
        (b'{"process_type":{"$ne":null},"parameters":{}}', "/process_type"),
        (b'{"process_type":"document_analysis","parameters":[]}', "/parameters"),
        (_body(rest=',"process_id":{"$ne":null}'), "/process_id"),
        (_body(rest=',"process_id":"not-a-uuid"'), "/process_id"),
        (_body(rest=',"process_id":12'), "/process_id"),
        (_body(rest=',"labels":{"a":1}'), "/labels/a"),
        (_body(rest=',"labels":[]'), "/labels"),
    ],
)
async def test_a_body_of_another_form_is_refused_with_pointers(
    service: Service, body: bytes, pointer: str
) -> None:
    """Not an object, and missing, unknown or wrongly typed members are a 422 that points to them."""
    before = await service.processes()
    answer = await service.http.post("/process", content=body, headers=JSON)
    problem = _is_problem(answer, 422, "invalid-body")
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert await service.processes() == before


async def test_parameters_are_judged_by_the_schema_with_pointers(service: Service) -> None:
    """Parameters that don't fit are a 422 with pointers into the body; no value is repeated."""
    secret = "hunter2-hunter2"
    body = json.dumps({"process_type": "document_analysis", "parameters": {"document_id": [secret]}})
    answer = await service.http.post("/process", content=body, headers=JSON)
    problem = _is_problem(answer, 422, "invalid-parameters")
    assert [error["pointer"] for error in problem["errors"]] == ["/parameters/document_id"]
    assert secret not in answer.text


async def test_an_unknown_process_type_lists_the_known_ones(service: Service) -> None:
    """The refusal of an unknown type says which there are, and does not repeat what was asked for."""
    answer = await service.http.post("/process", json={"process_type": "canary_type", "parameters": {}})
    problem = _is_problem(answer, 422, "unknown-process-type")
    assert problem["known"] == ["document_analysis"]
    assert "canary_type" not in answer.text


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (_body('{"document_id":"d","x":1e999}'), 0.05),
        (_body('{"document_id":"d","x":18446744073709551616}'), 0.05),
        (_body('{"document_id":"d","x":-9223372036854775809}'), 0.05),
        (_body('{"document_id":"d","x":' + "9" * 500_000 + "}"), 0.05),
        (_body('{"document_id":"d","x":1.' + "9" * 500_000 + "}"), 0.05),
        (_body('{"document_id":"d","\\u0000":1}'), 0.2),
        (_body(_deep(65)), 0.2),
        (_body(_deep(100_000)), 0.2),
        (_body(_many(100_001)), 0.2),
    ],
)
async def test_what_can_not_be_kept_exactly_is_refused_quickly(
    service: Service, body: bytes, seconds: float
) -> None:
    """Numbers out of range, NUL in a key, depth and too many keys are a 422 within a moment."""
    before = await service.processes()
    took = []
    for _ in range(3):  # the machine may be busy once
        began = time.perf_counter()
        answer = await service.http.post("/process", content=body, headers=JSON)
        took.append(time.perf_counter() - began)
        if len(body) > 1024 * 1024:
            _is_problem(answer, 413, "content-too-large")
        else:
            _is_problem(answer, 422, "unstorable-value")
    assert min(took) < seconds
    assert await service.processes() == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"document_id": "a\x00b"},
        {"document_id": "d", "$set": {"$ne": None}, "a.b": 1, "": 2},
        {"document_id": "\u202egnp.exe"},
        {"document_id": "d", "n": [9223372036854775807, -9223372036854775808, 0.1, 1e300, 5e-324, -0.0]},
        {"document_id": "d", "deep": json.loads("[" * 50 + "]" * 50)},
    ],
)
async def test_what_is_accepted_comes_back_equal(service: Service, parameters: dict[str, Any]) -> None:
    """NUL in a value, operators and odd names as keys, marks and extreme numbers come back as sent."""
    process_id = await service.start({"process_type": "document_analysis", "parameters": parameters})
    answer = await service.http.get(f"/process/{process_id}")
    assert json.dumps(answer.json()["parameters"]) == json.dumps(parameters)


async def test_a_body_that_is_too_large_is_refused_with_a_length(service: Service) -> None:
    """More than 1 MiB with a length is a 413."""
    answer = await service.http.post("/process", content=_body(rest=" " * 2**20), headers=JSON)
    _is_problem(answer, 413, "content-too-large")


@pytest.mark.parametrize("megabytes", [2, 30])
async def test_a_sender_that_reads_only_after_its_body_hears_the_refusal_too(
    service: Service, megabytes: int
) -> None:
    """Also without a length, and where the sender is in full flow, the refusal is not lost to a reset."""

    async def chunks() -> Any:
        for _ in range(16 * megabytes):
            yield b" " * 65_536

    answer = await service.http.post("/process", content=chunks(), headers=JSON)
    _is_problem(answer, 413, "content-too-large")


async def test_a_body_that_never_ends_is_refused_while_it_is_sent(service: Service) -> None:
    """The refusal comes soon after 1 MiB, and the connection is closed though the sender goes on."""
    reader, writer = await service.connect()
    writer.write(b"POST /process HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
    writer.write(b"transfer-encoding: chunked\r\n\r\n")

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
                await writer.drain()

    sending = asyncio.create_task(send())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    assert head.startswith(b"HTTP/1.1 413 ")
    await asyncio.wait_for(sending, 5)
    writer.close()


@pytest.mark.parametrize(
    "path",
    [
        "/process?colour=red",
        "/process?limit=0",
        "/process?limit=1000000000",
        "/process?limit=-1",
        "/process?limit=" + "9" * 4000,
        "/process?limit=5&limit=6",
        "/process?limit=%D9%A5",
        "/process?cursor=forged",
        "/process?cursor=",
        "/process?cursor=MTc5NTUyOTAxMzg0MDp4OjAwMDAwMDAwMDAwMDAwMDA",
        "/process?status=sleeping",
        "/process?status[$ne]=x",
        "/process?label=nocolon",
        "/process?attention=maybe",
        "/process?started_after=yesterday",
        "/process?started_after=2026-11-24T12:00:00",
        "/process/counts?by=day",
        "/process-type?x=1",
        "/healthz?x=1",
    ],
)
async def test_a_bad_query_is_refused(service: Service, path: str) -> None:
    """Unknown parameters, forged cursors and numbers out of range are a 400, never a stock 422."""
    _is_problem(await service.http.get(path), 400, "bad-query")


@pytest.mark.parametrize("key", ["", "with space", "x" * 129, "caf\u00e9"])
async def test_a_bad_idempotency_key_is_refused(service: Service, key: str) -> None:
    """A key is 1 to 128 visible ASCII characters."""
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key.encode("latin-1"))]
    answer = await service.http.post("/process", content=GOOD, headers=headers)
    _is_problem(answer, 400, "bad-header")


async def test_two_idempotency_keys_are_refused(service: Service) -> None:
    """A key that is given twice names no process."""
    headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    _is_problem(await service.http.post("/process", content=GOOD, headers=headers), 400, "bad-header")


@pytest.mark.parametrize("wait", ["wait=soon", "wait=-1", "wait=", "wait=1.5", "wait=" + "9" * 5000])
async def test_a_wait_that_is_no_number_is_refused(service: Service, wait: str) -> None:
    """`Prefer: wait` takes whole seconds."""
    answer = await service.http.post("/process", content=GOOD, headers={**JSON, "prefer": wait})
    _is_problem(answer, 400, "bad-header")


@pytest.mark.parametrize(
    "process_id",
    [
        "a%00b",
        "a%0d%0aset-cookie:x",
        "..",
        "%2e%2e",
        "%2e%2e%2fetc",
        "a.b",
        "x" * 300,
        "%7B%22$ne%22:null%7D",
        "%20",
    ],
)
@pytest.mark.parametrize("rest", ["", "/events", "/events/stream"])
async def test_a_bad_id_in_the_path_is_not_found(service: Service, process_id: str, rest: str) -> None:
    """NUL, line breaks, dots, operators and 300 characters are no process: 404."""
    request = f"GET /process/{process_id}{rest} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    answer = await service.raw(request.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["type"] == "/problems/not-found"
    assert b"set-cookie" not in head.lower()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "https://example.org/",
    ],
)
async def test_a_callback_is_refused_by_name(service: Service, address: str) -> None:
    """Where nobody may be called: refused, never taken and forgotten."""
    before = await service.processes()
    answer = await service.http.post("/process", json={**BODY, "callback_url": address})
    problem = _is_problem(answer, 422, "callback-refused")
    assert problem["errors"][0]["pointer"] == "/callback_url"
    assert address not in answer.text
    assert await service.processes() == before


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /process HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /process HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_document_too(service: Service, request_bytes: bytes) -> None:
    """Bytes that are no request are a 400 in the form of all other refusals, and the connection is closed."""
    head, _, body = (await service.raw(request_bytes)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["type"] == "/problems/bad-request"


@pytest.mark.parametrize(
    "header", [b"x: " + b"y" * 100_000, b"\r\n".join(b"h%d: %s" % (n, b"y" * 900) for n in range(100))]
)
async def test_headers_without_measure_are_refused(service: Service, header: bytes) -> None:
    """All headers together are at most 64 KiB."""
    answer = await service.raw(b"GET / HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_unknown_addresses_and_methods_are_problem_documents(service: Service) -> None:
    """404 and 405 come from the framework and look like all others; Allow lists every method."""
    _is_problem(await service.http.get("/nowhere"), 404, "not-found")
    answer = await service.http.delete("/process")
    _is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"
