"""A step command as a participant sees it."""

import datetime as dt
import re
from dataclasses import dataclass

from saga.messages.command import REPLY_KEY
from saga.messages.json_text import Json, JsonObject

_COMMAND_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_REPLY_KEY_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,128}")


class UnanswerableCommand(ValueError):  # noqa: N818 - the name of what came in
    """Say why a message can't be answered: nobody could tell which command the reply belongs to."""


@dataclass(frozen=True, slots=True)
class CompensatedStep:
    """Name the effect that a compensation undoes; `output` is None where nobody knows its outcome."""

    step: str
    index: int | None
    idempotency_key: str
    output: Json


@dataclass(frozen=True, slots=True)
class VerifiedStep:
    """Name the attempt that a question is about.

    Answer with the output it gave, or raise `BusinessFailure("not_found")` where it had no effect. If the step
    declares `fences`, refuse that attempt and every earlier one of its key from then on.
    """

    step: str
    index: int | None
    idempotency_key: str
    command_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StepCommand:
    """Hold an order of the orchestrator.

    `idempotency_key` is the same over all attempts of one effect: remember it beside what you do, and a
    repeated command does nothing twice. `kind` is action, compensation or verify. `deadline` is advice.
    """

    command_id: str
    idempotency_key: str
    process_id: str
    process_type: str
    step: str
    service: str
    action: str
    kind: str
    attempt: int
    parameters: Json
    results: JsonObject
    reply_key: str
    index: int | None = None
    item: Json = None
    compensates: CompensatedStep | None = None
    verifies: VerifiedStep | None = None
    deadline: dt.datetime | None = None


def read_command(value: Json) -> StepCommand:
    """Read a decoded command. Raises UnanswerableCommand when it has no usable command id.

    Everything else may be missing, as in a command written by hand; unknown members are ignored.
    """
    if not isinstance(value, dict):
        raise UnanswerableCommand("it is not an object")
    command_id = value.get("command_id")
    if not isinstance(command_id, str) or _COMMAND_ID.fullmatch(command_id) is None:
        raise UnanswerableCommand("it has no command_id of 1 to 128 URL-safe characters")
    reply_key = _text(value, "reply_key")
    results = value.get("results")
    return StepCommand(
        command_id=command_id,
        idempotency_key=_text(value, "idempotency_key") or command_id,
        process_id=_text(value, "process_id"),
        process_type=_text(value, "process_type"),
        step=_text(value, "step"),
        service=_text(value, "service"),
        action=_text(value, "action"),
        kind=_text(value, "kind") or "action",
        attempt=_integer(value, "attempt") or 1,
        parameters=value.get("parameters"),
        results=results if isinstance(results, dict) else {},
        reply_key=reply_key if _REPLY_KEY_PATTERN.fullmatch(reply_key) else REPLY_KEY,
        index=_integer(value, "index"),
        item=value.get("item"),
        compensates=_compensated(value.get("compensates")),
        verifies=_verified(value.get("verifies")),
        deadline=_moment(_text(value, "deadline")),
    )


def _text(value: JsonObject, name: str) -> str:
    member = value.get(name)
    return member if isinstance(member, str) else ""


def _integer(value: JsonObject, name: str) -> int | None:
    member = value.get(name)
    return member if isinstance(member, int) and not isinstance(member, bool) else None


def _compensated(value: Json) -> CompensatedStep | None:
    if not isinstance(value, dict):
        return None
    return CompensatedStep(
        step=_text(value, "step"),
        index=_integer(value, "index"),
        idempotency_key=_text(value, "idempotency_key"),
        output=value.get("output"),
    )


def _verified(value: Json) -> VerifiedStep | None:
    if not isinstance(value, dict):
        return None
    return VerifiedStep(
        step=_text(value, "step"),
        index=_integer(value, "index"),
        idempotency_key=_text(value, "idempotency_key"),
        command_id=_text(value, "command_id"),
        attempt=_integer(value, "attempt") or 1,
    )


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
