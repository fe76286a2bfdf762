"""What each answer over HTTP means for its command, as docs/how-to/participants-over-http.md says it."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from saga.calling.verdict import Completed, Elsewhere, Failed, Health, Verdict, judge, judge_silence
from saga.ports.calls import CallAnswer, NoAnswer

NOW = dt.datetime(2026, 11, 28, 12, 0, 0, tzinfo=dt.UTC)


def _judge(status: int, body: bytes = b"", *, kind: str = "action", **headers: str) -> Verdict:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judge(CallAnswer(status, named, body), kind=kind, now=NOW)


def _failed(verdict: Verdict) -> Failed:
    assert isinstance(verdict.outcome, Failed)
    return verdict.outcome


@pytest.mark.parametrize(
    ("status", "body", "output"),
    [
        (200, b'{"booking": "B-1"}', {"booking": "B-1"}),
        (201, b' [1, "two"]\n', [1, "two"]),
        (200, b"null", None),
        (200, b"", {}),
        (204, b"", {}),
    ],
)
def test_a_success_with_json_completes(status: int, body: bytes, output: object) -> None:
    """Whatever JSON it is becomes the output; an empty answer is an empty output."""
    assert _judge(status, body) == Verdict(Completed(output), Health.WELL)  # type: ignore[arg-type]  # any JSON


@pytest.mark.parametrize(
    "body", [b"OK", b"<html></html>", b'{"a": NaN}', b'{"a": 1', b'{"a": 1e999}', b"\xff"]
)
def test_a_success_that_can_not_be_kept_leaves_the_step_to_be_undone(body: bytes) -> None:
    """It says that something happened, and another attempt would bring the same: no retry, effect unknown."""
    verdict = _judge(200, body)
    failure = _failed(verdict).failure

    assert (failure.code, failure.retryable, failure.effect_unknown) == ("unusable_output", False, True)
    assert verdict.health is Health.WELL


def test_accepted_means_that_the_answer_comes_elsewhere() -> None:
    """202 ends the call and not the step, whatever its body."""
    assert _judge(202, b"<html>") == Verdict(Elsewhere(), Health.WELL)


@pytest.mark.parametrize(
    ("status", "code", "health"),
    [
        (425, "too_early", Health.BUSY),
        (429, "too_many_requests", Health.BUSY),
        (503, "unavailable", Health.FAILING),
    ],
)
def test_some_answers_say_that_nothing_happened(status: int, code: str, health: Health) -> None:
    """Another address may be asked at once; if none is left, the step may be tried again."""
    verdict = _judge(status, retry_after="7")
    failed = _failed(verdict)

    assert failed.is_refusal
    assert (failed.failure.code, failed.failure.retryable, failed.failure.retry_after) == (code, True, 7)
    assert not failed.failure.effect_unknown
    assert (verdict.health, verdict.rest_s) == (health, 7)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "timeout"),
        (500, "http_500"),
        (501, "http_501"),
        (502, "http_502"),
        (504, "timeout"),
        (599, "http_599"),
    ],
)
def test_other_trouble_leaves_open_what_happened(status: int, code: str) -> None:
    """No other address is asked: the first one may have done it. The next attempt carries the same key."""
    verdict = _judge(status, b'{"code": "not_found"}', kind="verify", retry_after="3")
    failed = _failed(verdict)

    assert not failed.is_refusal
    assert (failed.failure.code, failed.failure.retryable, failed.failure.effect_unknown) == (
        code,
        True,
        True,
    )
    assert failed.failure.retry_after == 3
    assert verdict.health is Health.FAILING


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            {"type": "https://x/problems/card-declined", "title": "Declined", "detail": "no funds"},
            "card-declined",
            "409: no funds",
        ),
        ({"type": "about:blank", "title": "Conflict"}, "http_409", "409: Conflict"),
        ({"error": {"code": "sold_out", "message": "none left"}}, "sold_out", "409: none left"),
        ({"code": "sold_out", "type": "/problems/other"}, "sold_out", "the service answered 409"),
        ({"code": "sold out!\r\n", "detail": ["x"]}, "http_409", "the service answered 409"),
        ({"error": "sold out"}, "http_409", "409: sold out"),
        (["sold_out"], "http_409", "the service answered 409"),
    ],
)
def test_a_refusal_for_good_is_told_in_the_services_words(body: object, code: str, message: str) -> None:
    """Problem documents, our own form of an error, and the usual members are understood."""
    failed = _failed(_judge(409, json.dumps(body).encode()))

    assert (failed.failure.code, failed.failure.message) == (code, message)
    assert not failed.failure.retryable
    assert not failed.failure.effect_unknown
    assert not failed.is_refusal


@pytest.mark.parametrize("status", [404, 410])
def test_a_question_is_answered_by_not_found(status: int) -> None:
    """To verify, 404 and 410 say that the action had no effect and never will; to an action they refuse it."""
    assert _failed(_judge(status, kind="verify")).failure.code == "not_found"
    assert _failed(_judge(status)).failure.code == f"http_{status}"


def test_only_these_two_say_not_found() -> None:
    """A server that refuses a question for another reason, whatever it calls it, has not answered it."""
    assert _failed(_judge(403, b'{"code": "not_found"}', kind="verify")).failure.code == "http_403"


@pytest.mark.parametrize(("status", "effect_unknown"), [(301, False), (302, True), (303, True), (307, False)])
def test_a_redirect_is_a_wrong_address(status: int, effect_unknown: bool) -> None:  # noqa: FBT001 - a case
    """It is not followed. Where the status is also what a server says when it is done, nobody knows."""
    failure = _failed(_judge(status, location="http://elsewhere")).failure

    assert (failure.code, failure.retryable) == ("redirected", False)
    assert failure.effect_unknown is effect_unknown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2.0),
        ("1.5", 1.5),
        ("Sat, 28 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 28 Nov 2026 11:00:00 GMT", 0.0),
        ("999999999", 604_800.0),
        ("-3", None),
        ("soon", None),
        ("NaN", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_the_pause_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """It is bounded by a week; what is neither says nothing."""
    assert _judge(503, retry_after=text).rest_s == seconds


@pytest.mark.parametrize(
    ("silence", "code", "is_refusal", "health"),
    [
        (NoAnswer("refused", was_sent=False), "unavailable", True, Health.FAILING),
        (NoAnswer("no connection", was_sent=False, timed_out=True), "unavailable", True, Health.SILENT),
        (NoAnswer("reset", was_sent=True), "connection_lost", False, Health.FAILING),
        (NoAnswer("no answer", was_sent=True, timed_out=True), "timeout", False, Health.SILENT),
        (NoAnswer("too long", was_sent=True, status=200), "unusable_output", False, Health.WELL),
        (NoAnswer("too long", was_sent=True, status=500), "http_500", False, Health.FAILING),
        (NoAnswer("too long", was_sent=True, status=404), "not_found", False, Health.WELL),
    ],
)
def test_silence_is_judged_by_whether_the_request_was_sent(
    silence: NoAnswer,
    code: str,
    is_refusal: bool,  # noqa: FBT001 - a case
    health: Health,
) -> None:
    """Not sent: nothing happened. Sent: unknown, unless a status came whose body can't be read."""
    verdict = judge_silence(silence, kind="verify", now=NOW)
    failed = _failed(verdict)

    assert (failed.failure.code, failed.is_refusal, verdict.health) == (code, is_refusal, health)
    assert failed.failure.effect_unknown is (silence.was_sent and code != "not_found")
