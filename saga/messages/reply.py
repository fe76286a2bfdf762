"""Replies of participants: completed, failed, progress; read from a decoded body, unknown members ignored."""

from typing import TypeAlias

from saga.messages.json_text import Json, JsonObject, JsonText, to_text
from saga.values import value

CODE_MAX = 200
MESSAGE_MAX = 4_000
RETRY_AFTER_MAX_S = 7 * 86_400


class InvalidReply(ValueError):  # noqa: N818 - the name of what came in
    """Say what a reply lacks."""


@value
class CompletedReply:
    """The command took effect."""

    command_id: str
    output: JsonText


@value
class FailedReply:
    """The command had no effect, or, where `effect_unknown`, nobody can tell."""

    command_id: str
    code: str
    error: JsonText
    retryable: bool
    retry_after_ms: int
    effect_unknown: bool


@value
class ProgressReply:
    """The participant is still at work."""

    command_id: str
    percent: float | None
    message: str | None


Reply: TypeAlias = CompletedReply | FailedReply | ProgressReply


def parse_reply(word: str, body: Json) -> Reply:
    """Read a reply by the last word of its routing key. Raises InvalidReply that says what is wrong."""
    if not isinstance(body, dict):
        raise InvalidReply("a reply is a JSON object")
    command_id = body.get("command_id")
    if not isinstance(command_id, str) or not command_id:
        raise InvalidReply("command_id is missing")
    match word:
        case "completed":
            return CompletedReply(command_id, to_text(body.get("output")))
        case "failed":
            return _failed(command_id, body.get("error"))
        case "progress":
            return _progress(command_id, body)
        case _:
            raise InvalidReply("a reply is completed, failed or progress")


def _failed(command_id: str, error: Json) -> FailedReply:
    if error is None:
        error = {}
    if not isinstance(error, dict):
        raise InvalidReply("error is an object with code and message")
    kept: JsonObject = dict(error)
    code = error.get("code")
    kept["code"] = code = code[:CODE_MAX] if isinstance(code, str) and code else "failed"
    message = error.get("message")
    kept["message"] = message[:MESSAGE_MAX] if isinstance(message, str) else ""
    return FailedReply(
        command_id=command_id,
        code=code,
        error=to_text(kept),
        retryable=error.get("retryable") is not False,
        retry_after_ms=_milliseconds(error.get("retry_after")),
        effect_unknown=error.get("effect_unknown") is True,
    )


def _milliseconds(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return 0
    return round(min(value, RETRY_AFTER_MAX_S) * 1000)


def _progress(command_id: str, body: JsonObject) -> ProgressReply:
    percent = body.get("percent")
    message = body.get("message")
    is_number = isinstance(percent, int | float) and not isinstance(percent, bool)
    return ProgressReply(
        command_id,
        min(max(float(percent), 0.0), 100.0) if is_number and isinstance(percent, int | float) else None,
        message[:MESSAGE_MAX] if isinstance(message, str) else None,
    )
