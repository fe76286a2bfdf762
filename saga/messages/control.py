"""Control messages: what a person, or a parent, asks of a process; the same over the broker and HTTP."""

import re

from saga.messages.command import NAME_PATTERN
from saga.messages.json_text import Json, JsonObject, JsonText, to_text
from saga.values import value

ACTIONS = frozenset({"cancel", "pause", "resume", "retry", "skip", "resolve", "compensate", "fail"})
REASON_MAX = 1_000
REQUEST_ID_MAX = 200
_PROCESS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STEP = re.compile(rf"{NAME_PATTERN}(?:\[(?:0|[1-9][0-9]{{0,5}})\])?", re.ASCII)
_OUTCOMES = frozenset({"completed", "failed"})


class InvalidControl(ValueError):  # noqa: N818 - the name of what came in
    """Say which member of a control message is wrong: `member` names it."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(f"{member} {problem}")
        self.member = member
        self.problem = problem


@value
class ControlCommand:
    """Hold a well-formed request; whether it is allowed now is judged when it arrives.

    `step` is a step's name or an instance's, `step[index]`. `actor` and `reply_to` are believed only of Batuta.
    """

    action: str
    process_id: str
    reason: str
    request_id: str | None = None
    step: str | None = None
    output: JsonText | None = None
    outcome: str | None = None
    actor: str | None = None
    reply_to: str | None = None

    def to_body(self) -> JsonText:
        """Write the message, without what was left out."""
        body: JsonObject = {"process_id": self.process_id, "reason": self.reason}
        for name in ("request_id", "step", "outcome", "actor", "reply_to"):
            value = getattr(self, name)
            if value is not None:
                body[name] = value
        text = to_text(body)
        return text if self.output is None else JsonText(f'{text[:-1]},"output":{self.output}}}')


def parse_control(action: str, body: Json) -> ControlCommand:
    """Read a control message by the last word of its routing key; unknown members are ignored.

    Raises InvalidControl.
    """
    if not isinstance(body, dict):
        raise InvalidControl("body", "is a JSON object")
    process_id = body.get("process_id")
    if process_id is None:
        raise InvalidControl("process_id", "is missing")
    if not isinstance(process_id, str) or not _PROCESS_ID.fullmatch(process_id):
        raise InvalidControl("process_id", "is the id of a process")
    return ControlCommand(
        action=action,
        process_id=process_id,
        reason=(_text(body, "reason", REASON_MAX) or ""),
        request_id=_text(body, "request_id", REQUEST_ID_MAX),
        step=parse_step(body.get("step")),
        output=to_text(body["output"]) if "output" in body else None,
        outcome=parse_outcome(body.get("outcome")),
        actor=_text(body, "actor", REQUEST_ID_MAX),
        reply_to=_text(body, "reply_to", REQUEST_ID_MAX),
    )


def parse_step(value: Json) -> str | None:
    """Read the name of a step, or of one of its instances, `step[index]`. Raises InvalidControl."""
    if value is None:
        return None
    if not isinstance(value, str) or not _STEP.fullmatch(value):
        raise InvalidControl("step", "is the name of a step, or of one of its items: name[3]")
    return value


def parse_outcome(value: Json) -> str | None:
    """Read what became of a step. Raises InvalidControl."""
    if value is None:
        return None
    if not isinstance(value, str) or value not in _OUTCOMES:
        raise InvalidControl("outcome", "is completed or failed")
    return value


def _text(body: JsonObject, member: str, length_max: int) -> str | None:
    value = body.get(member)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > length_max:
        raise InvalidControl(member, f"is a text of at most {length_max} characters")
    return value
