"""What an answer over HTTP means for a command: pure, from a status, headers and bytes to a verdict.

docs/how-to/participants-over-http.md has the same as a table.
"""

import datetime as dt
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from saga.messages import strict_json
from saga.messages.json_text import Json, JsonObject
from saga.messages.reply import RETRY_AFTER_MAX_S
from saga.participant.replies import Failure
from saga.ports.calls import CallAnswer, NoAnswer

UNAVAILABLE = "unavailable"
TIMEOUT = "timeout"
NOT_FOUND = "not_found"
_LOST = "connection_lost"
_UNUSABLE = "unusable_output"
_REDIRECTED = "redirected"

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_OUTPUT_LIMITS = strict_json.JsonLimits(bytes_max=1024 * 1024 - 1024, depth_max=62)
_ERROR_LIMITS = strict_json.JsonLimits(bytes_max=64 * 1024, depth_max=16, keys_max=1_000)
_NOTHING_HAPPENED = {425: "too_early", 429: "too_many_requests", 503: UNAVAILABLE}
_CODES = {408: TIMEOUT, 504: TIMEOUT}
# The others of the 300s are also what a server answers when it has done its work.
_ONLY_MOVED = frozenset({301, 307, 308})
_GONE = frozenset({404, 410})
_BUSY = frozenset({425, 429})


class Health(Enum):
    """Say what a call tells about the address that was called."""

    WELL = "well"
    BUSY = "busy"  # it works, and asks for a pause
    FAILING = "failing"
    SILENT = "silent"  # it did not answer in time


@dataclass(frozen=True, slots=True)
class Completed:
    """The action took effect."""

    output: Json


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The service took the command on, and answers later by POST /step/{command_id}/…."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The command failed. `is_refusal` says that it never began, so that another address may be asked."""

    failure: Failure
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold what a call means for its command, and what it tells about the address."""

    outcome: Completed | Elsewhere | Failed
    health: Health
    rest_s: float | None = None


def judge(answer: CallAnswer, *, kind: str, now: dt.datetime) -> Verdict:
    """Judge an answer to a command of this kind."""
    status = answer.status
    retry_after = _retry_after(answer.headers.get("retry-after"), now)
    if status == 202:  # noqa: PLR2004 - the number is the protocol's word
        return Verdict(Elsewhere(), Health.WELL)
    if 200 <= status < 300:  # noqa: PLR2004
        return Verdict(_completed(answer), Health.WELL)
    if status in _NOTHING_HAPPENED:
        failure = Failure(
            _NOTHING_HAPPENED[status], _message(answer), retryable=True, retry_after=retry_after
        )
        health = Health.BUSY if status in _BUSY else Health.FAILING
        return Verdict(Failed(failure, is_refusal=True), health, retry_after)
    if 300 <= status < 400:  # noqa: PLR2004
        return Verdict(_redirected(status), Health.WELL)
    if 400 <= status < 500 and status not in _CODES:  # noqa: PLR2004
        return Verdict(Failed(_refused(answer, kind)), Health.WELL)
    code = _CODES.get(status, f"http_{status}")
    failure = Failure(code, _message(answer), retryable=True, retry_after=retry_after, effect_unknown=True)
    return Verdict(Failed(failure), Health.FAILING)


def judge_silence(silence: NoAnswer, *, kind: str, now: dt.datetime) -> Verdict:
    """Judge a call that has no answer, or one that can't be read: then its status is all there is to go by."""
    if not silence.was_sent:
        failure = Failure(UNAVAILABLE, f"not reached: {silence.reason}", retryable=True)
        health = Health.SILENT if silence.timed_out else Health.FAILING
        return Verdict(Failed(failure, is_refusal=True), health)
    if silence.status is not None:
        if 200 <= silence.status < 300 and silence.status != 202:  # noqa: PLR2004
            return Verdict(Failed(unusable(silence.reason)), Health.WELL)
        return judge(CallAnswer(silence.status, {}, b""), kind=kind, now=now)
    code = TIMEOUT if silence.timed_out else _LOST
    failure = Failure(code, silence.reason, retryable=True, effect_unknown=True)
    return Verdict(Failed(failure), Health.SILENT if silence.timed_out else Health.FAILING)


def _completed(answer: CallAnswer) -> Completed | Failed:
    if not answer.body.strip():
        return Completed({})
    try:
        return Completed(strict_json.decode(answer.body, _OUTPUT_LIMITS))
    except (strict_json.MalformedJson, strict_json.UnstorableJson) as error:
        return Failed(unusable(f"the answer can't be kept as JSON: {error}"))


def unusable(reason: str) -> Failure:
    """Say that something happened of which the output is lost."""
    # Another attempt would bring the same again; the effect may be there, so the step is undone.
    return Failure(_UNUSABLE, reason, retryable=False, effect_unknown=True)


def _redirected(status: int) -> Failed:
    message = f"the service redirects ({status}); that is not followed: set the right address"
    return Failed(Failure(_REDIRECTED, message, retryable=False, effect_unknown=status not in _ONLY_MOVED))


def _refused(answer: CallAnswer, kind: str) -> Failure:
    """Say for good that it failed, in the service's own words where it has any."""
    if kind == "verify" and answer.status in _GONE:
        return Failure(NOT_FOUND, _message(answer), retryable=False)
    code = _told_code(_told(answer)) or f"http_{answer.status}"
    if kind == "verify" and code == NOT_FOUND:
        code = f"http_{answer.status}"  # only 404 and 410 are the word that it never will take effect
    return Failure(code, _message(answer), retryable=False)


def _told(answer: CallAnswer) -> JsonObject:
    """Read the error that an answer holds: ours (`error` with code and message), or a problem document."""
    try:
        body = strict_json.decode(answer.body, _ERROR_LIMITS)
    except (strict_json.MalformedJson, strict_json.UnstorableJson):
        return {}
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    return error if isinstance(error, dict) else body


def _told_code(told: JsonObject) -> str | None:
    code = told.get("code")
    if isinstance(code, str) and _CODE.fullmatch(code):
        return code
    kind = told.get("type")
    last = kind.rstrip("/").rpartition("/")[2] if isinstance(kind, str) else ""
    return last if _CODE.fullmatch(last) else None


def _message(answer: CallAnswer) -> str:
    told = _told(answer)
    for name in ("message", "detail", "title", "error"):
        text = told.get(name)
        if isinstance(text, str) and text:
            return f"{answer.status}: {text}"
    return f"the service answered {answer.status}"


def _retry_after(text: str | None, now: dt.datetime) -> float | None:
    """Read seconds or a date; what is neither says nothing."""
    if text is None:
        return None
    if _SECONDS.fullmatch(text.strip()):
        return min(float(text), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(text)
        left_s = (at.replace(tzinfo=at.tzinfo or dt.UTC) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(left_s, 0.0), RETRY_AFTER_MAX_S)
