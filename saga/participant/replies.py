"""The replies of a participant, as bytes that the orchestrator can keep."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pydantic_core

from saga.messages import strict_json
from saga.messages.json_text import Json, JsonObject, JsonText, splice, to_text
from saga.participant.command import StepCommand
from saga.participant.failure import BusinessFailure
from saga.ports.participants import ReplyMessage

_MESSAGE_LENGTH_MAX = 2000
_CODE_LENGTH_MAX = 128
_CORRELATION_LENGTH_MAX = 128
_ERRORS_MAX = 20
# The reply wraps the output, and the whole must pass the orchestrator's door.
_OUTPUT_LIMITS = strict_json.JsonLimits(bytes_max=1024 * 1024 - 1024, depth_max=62)


class UnusableOutput(ValueError):  # noqa: N818 - the name of what came out
    """Say why what a handler returned can't be kept as JSON."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Hold the error of a failed reply; `effect_unknown` says that something may have happened."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None = None
    effect_unknown: bool = False
    errors: Sequence[JsonObject] = ()


def completed(command: StepCommand, output: object) -> ReplyMessage:
    """Write a completed reply; None is an empty output. Raises UnusableOutput."""
    return completed_text(command, output_text(output))


def completed_text(command: StepCommand, output: JsonText) -> ReplyMessage:
    """Write a completed reply around an output that is text already."""
    body = splice({"command_id": to_text(command.command_id), "output": output})
    return _reply(command, "completed", body)


def repeated(command: StepCommand, body: JsonText) -> ReplyMessage:
    """Write a failed reply that was written before."""
    return _reply(command, "failed", body)


def progress(command: StepCommand, number: int, percent: float | None, message: str | None) -> ReplyMessage:
    """Write the `number`th report on a command that is still worked on."""
    body: JsonObject = {"command_id": command.command_id}
    if percent is not None:
        body["percent"] = percent
    if message is not None:
        body["message"] = _clean(message, _MESSAGE_LENGTH_MAX)
    reply = _reply(command, "progress", to_text(body))
    return replace(reply, message_id=f"{reply.message_id}.{number}")


def failed(command: StepCommand, failure: Failure) -> ReplyMessage:
    """Write a failed reply."""
    error: JsonObject = {
        "code": _clean(failure.code, _CODE_LENGTH_MAX),
        "message": _clean(failure.message, _MESSAGE_LENGTH_MAX),
        "retryable": failure.retryable,
    }
    if failure.retry_after is not None:
        error["retry_after"] = failure.retry_after
    if failure.effect_unknown:
        error["effect_unknown"] = True
    if failure.errors:
        error["errors"] = list(failure.errors[:_ERRORS_MAX])
    return _reply(command, "failed", to_text({"command_id": command.command_id, "error": error}))


def business_failure(failure: BusinessFailure) -> Failure:
    """Say what a handler said about its own failure."""
    return Failure(
        failure.code, failure.message, retryable=failure.retryable, retry_after=failure.retry_after
    )


def invalid_input(locations: Sequence[tuple[tuple[int | str, ...], str]]) -> Failure:
    """Say where an input is wrong and in which way, but never what stood there."""
    errors: list[JsonObject] = [
        {"pointer": _clean(strict_json.pointer_to(path), 256), "type": _clean(kind, 64)}
        for path, kind in locations
    ]
    first = f" at {errors[0]['pointer'] or 'the top'} ({errors[0]['type']})" if errors else ""
    return Failure("invalid_input", f"the input is not valid{first}", retryable=False, errors=errors)


def _reply(command: StepCommand, status: str, body: JsonText) -> ReplyMessage:
    return ReplyMessage(
        routing_key=f"{command.reply_key}.{status}",
        body=body.encode(),
        message_id=f"{command.command_id}.{status}",
        correlation_id=_clean(command.process_id, _CORRELATION_LENGTH_MAX),
    )


def output_text(output: object) -> JsonText:
    """Write an output the way pydantic does (models, dates, enums), and read it as the orchestrator will.

    None is an empty output. Raises UnusableOutput.
    """
    try:
        body = pydantic_core.to_json(
            {} if output is None else output, inf_nan_mode="constants", by_alias=True
        )
        value: Json = strict_json.decode(body, _OUTPUT_LIMITS)
    except (ValueError, TypeError, RecursionError) as error:
        raise UnusableOutput(str(error)) from error
    return to_text(value)


def _clean(text: str, length_max: int) -> str:
    """Cut to a length, without characters that can't be sent or that would forge a line of a log."""
    printable = "".join(character if character.isprintable() else " " for character in text[:length_max])
    return printable.encode("utf-8", "replace").decode()
