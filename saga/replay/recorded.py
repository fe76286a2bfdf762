"""From the cause that stands in the log back to the message, admitted by the same door as when it came. Pure.

Of a message the log keeps the body. What its properties said stands in the events that it caused.
"""

from collections.abc import Mapping
from dataclasses import field

from saga.coordinator.admission import admit, unusable_reply
from saga.coordinator.admitted import Admitted, Rejected
from saga.messages.command import FORKED
from saga.messages.json_text import JsonObject, from_text
from saga.ports.bus import APP_ID
from saga.process.events import Accepted, MigrationEvent, OperatorActed, OperatorRejected
from saga.process.transition import Transition
from saga.values import value

# The kind of the API's own first event, which no message caused.
CLIENT = "client"


@value
class Redelivery:
    """A delivery as it must have been; nobody acknowledges it again."""

    routing_key: str
    body: bytes
    app_id: str | None = APP_ID
    message_id: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    exchange: str = ""
    content_encoding: str | None = None
    tag: str | None = None

    async def acknowledge(self) -> None:
        """Do nothing."""


def readmit(transition: Transition) -> Admitted:
    """Admit the message that caused a transition. Raises Rejected where today's door would not take it."""
    message = _admitted(transition)
    if (message.process_id, message.identity) != (transition.process_id, transition.cause.identity):
        raise Rejected("other-message", f"its body is that of {message.identity} of {message.process_id}")
    return message


def _admitted(transition: Transition) -> Admitted:
    cause = transition.cause
    body = cause.body.encode()
    match cause.kind:
        case "start":
            return admit(_start(transition, body), new_process_id=lambda: transition.process_id)
        case "reply":
            return _reply(cause.identity, cause.body)
        case "wake":
            return admit(Redelivery("process.wake", body), new_process_id=_none)
        case "lock":
            return admit(Redelivery("process.lock", body), new_process_id=_none)
        case "control":
            return admit(_control(transition, body), new_process_id=_none)
        case "fork":
            return admit(Redelivery(FORKED, body), new_process_id=_none)
        case "migrate":
            return admit(_migration(transition, body), new_process_id=_none)
        case kind:
            raise Rejected("unknown-cause", f"this version knows no message of the kind {kind!r}")


def _start(transition: Transition, body: bytes) -> Redelivery:
    first = transition.events[0] if transition.events else None
    if not isinstance(first, Accepted):
        return Redelivery("process.start", body)
    headers = {} if first.traceparent is None else {"traceparent": first.traceparent}
    return Redelivery("process.start", body, app_id=first.principal or None, headers=headers)


def _reply(identity: str, body: str) -> Admitted:
    word = identity.rpartition(":")[2]
    if word == "completed" and '"unusable":' in body:
        document = _object(body)
        if document.keys() == {"command_id", "unusable"}:
            # It could not be kept as it came: this is what was written down in its place.
            return unusable_reply(str(document["command_id"]), str(document["unusable"]))
    return admit(Redelivery(f"step.{word}", body.encode()), new_process_id=_none)


def _control(transition: Transition, body: bytes) -> Redelivery:
    request = next(
        (event for event in transition.events if isinstance(event, OperatorActed | OperatorRejected)), None
    )
    if request is None:
        raise Rejected("unknown-cause", "no event says what was asked for")
    document = _object(transition.cause.body)
    is_ours = (document.get("actor") or "anybody") == request.actor and (
        isinstance(request, OperatorRejected) or document.get("reply_to") == request.reply_to
    )
    foreign = None if request.actor == "anybody" else request.actor
    return Redelivery(
        f"process.{request.action}",
        body,
        app_id=APP_ID if is_ours else foreign,
        message_id=request.request_id,
    )


def _migration(transition: Transition, body: bytes) -> Redelivery:
    request = next((event for event in transition.events if isinstance(event, MigrationEvent)), None)
    if request is None:
        raise Rejected("unknown-cause", "no event says what was asked for")
    is_ours = (_object(transition.cause.body).get("actor") or "anybody") == request.actor
    foreign = None if request.actor == "anybody" else request.actor
    return Redelivery(
        "process.migrate", body, app_id=APP_ID if is_ours else foreign, message_id=request.request_id
    )


def _object(text: str) -> JsonObject:
    try:
        document = from_text(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _none() -> str:
    return ""
