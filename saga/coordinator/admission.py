"""The coordinators' door: from bytes to something to decide on, or the reason for the dead letters.

Nothing here reads the store or knows a process; trusted headers (`x-death` and the like) are never believed.
"""

import json
from collections.abc import Callable
from dataclasses import replace

from saga.coordinator.admitted import (
    Admitted,
    AdmittedControl,
    AdmittedFork,
    AdmittedLockNews,
    AdmittedMigration,
    AdmittedReply,
    AdmittedStart,
    AdmittedWake,
    Rejected,
)
from saga.messages.command import FORKED, CommandRef, parse_command_id
from saga.messages.control import ACTIONS, ControlCommand, InvalidControl, parse_control
from saga.messages.fork import parse_fork_news
from saga.messages.json_text import Json, to_text
from saga.messages.lock import LockNews, News, parse_news
from saga.messages.migrate import MIGRATE, MigrateCommand, parse_migrate
from saga.messages.reply import (
    CompletedReply,
    FailedReply,
    InvalidReply,
    ProgressReply,
    Reply,
    parse_reply,
)
from saga.messages.start import (
    InvalidStart,
    id_for_key,
    id_for_message,
    parse_lineage,
    parse_start,
)
from saga.messages.strict_json import MalformedJson, UnstorableJson, decode
from saga.messages.wake import parse_wake
from saga.ports.bus import APP_ID, Delivery
from saga.process.inputs import (
    FailureReceived,
    ForkReported,
    HolderEnded,
    LockAnswer,
    LockAnswered,
    LockReceived,
    OperatorRequested,
    ProgressReceived,
    ReplyReceived,
    SuccessReceived,
    WokenUp,
)
from saga.process.status import Direction, OperatorAction

SCHEMA = 1
# A reply above the door's limit is still read this far, to close its attempt; beyond, it is only parked.
_LENIENT_BYTES_MAX = 8 * 1024 * 1024
_NO_ENCODING = frozenset({None, "", "identity", "utf-8"})


def admit(delivery: Delivery, *, new_process_id: Callable[[], str]) -> Admitted:
    """Read a message of the coordinators' queue. Raises Rejected."""
    if delivery.content_encoding not in _NO_ENCODING:
        raise Rejected("encoded", "the body has a content encoding; send it plain")
    schema = delivery.headers.get("x-saga-schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise Rejected(
            "newer-schema", f"x-saga-schema {schema} is newer than {SCHEMA}; upgrade, then requeue"
        )
    family, _, word = delivery.routing_key.rpartition(".")
    if family == "process":
        return _process_message(delivery, word, new_process_id)
    return _reply(delivery, word)


def _process_message(delivery: Delivery, word: str, new_process_id: Callable[[], str]) -> Admitted:
    body = _strict(delivery.body)
    if word == "start":
        return _start(delivery, body, new_process_id)
    if word == "wake":
        try:
            wake = parse_wake(body)
        except ValueError as error:
            raise Rejected("invalid-wake", str(error)) from None
        received = WokenUp(wake.version, wake.due_at)
        return AdmittedWake(wake.process_id, wake.identity, received, _text(delivery.body))
    if word in ACTIONS:
        return _control(delivery, word, body, new_process_id)
    if word == MIGRATE:
        return _migration(delivery, body, new_process_id)
    if word == "lock" and delivery.app_id == APP_ID:
        try:
            news = parse_news(body)
        except ValueError as error:
            raise Rejected("invalid-lock", str(error)) from None
        return AdmittedLockNews(news.process_id, news.identity, _lock_input(news), _text(delivery.body))
    if delivery.routing_key == FORKED and delivery.app_id == APP_ID:
        return _fork(delivery, body)
    raise Rejected("unknown-command", f"process.{word[:40]} is no command that this version knows")


def _control(delivery: Delivery, word: str, body: Json, new_request_id: Callable[[], str]) -> AdmittedControl:
    try:
        command: ControlCommand = parse_control(word, body)
    except InvalidControl as error:
        raise Rejected("invalid-control", str(error)) from None
    is_ours = delivery.app_id == APP_ID
    request_id = _request_id(delivery, command, new_request_id)
    received = OperatorRequested(
        action=OperatorAction(word),
        reason=command.reason,
        actor=_actor(delivery, command),
        request_id=request_id,
        step=command.step,
        output=command.output,
        outcome=command.outcome,
        reply_to=command.reply_to if is_ours else None,
    )
    return AdmittedControl(command.process_id, received, _text(delivery.body))


def _fork(delivery: Delivery, body: Json) -> AdmittedFork:
    try:
        news = parse_fork_news(body)
    except ValueError as error:
        raise Rejected("invalid-control", str(error)) from None
    received = ForkReported(news.fork, news.step, news.reason, news.actor or "anybody", news.request_id)
    return AdmittedFork(news.process_id, received, _text(delivery.body))


def _migration(delivery: Delivery, body: Json, new_request_id: Callable[[], str]) -> AdmittedMigration:
    try:
        command = parse_migrate(body)
    except InvalidControl as error:
        raise Rejected("invalid-control", str(error)) from None
    request_id = _request_id(delivery, command, new_request_id)
    return AdmittedMigration(
        command.process_id, command, request_id, _actor(delivery, command), _text(delivery.body)
    )


def _request_id(
    delivery: Delivery, command: ControlCommand | MigrateCommand, new_request_id: Callable[[], str]
) -> str:
    # With neither an id of its own nor one of the message, a second delivery can't be told from a second wish.
    return command.request_id or delivery.message_id or new_request_id()


def _actor(delivery: Delivery, command: ControlCommand | MigrateCommand) -> str:
    return (command.actor if delivery.app_id == APP_ID else delivery.app_id) or "anybody"


def _lock_input(news: News) -> LockReceived:
    if isinstance(news, LockNews):
        return LockAnswered(news.key, LockAnswer(news.answer), news.holder)
    return HolderEnded(news.holder, news.status, news.result)


def _start(delivery: Delivery, body: Json, new_process_id: Callable[[], str]) -> AdmittedStart:
    app_id = delivery.app_id or ""
    try:
        command = parse_start(body)
        if app_id == APP_ID:
            command = replace(command, lineage=parse_lineage(body))
    except InvalidStart as error:
        raise Rejected("invalid-start", str(error)) from None
    if command.process_id is not None:
        process_id = command.process_id
    elif command.idempotency_key is not None:
        process_id = id_for_key(app_id, command.idempotency_key)
    elif delivery.message_id:
        process_id = id_for_message(app_id, delivery.message_id)
    else:
        process_id = new_process_id()
    traceparent = delivery.headers.get("traceparent")
    if command.lineage is not None:
        traceparent = command.lineage.traceparent or traceparent
    return AdmittedStart(
        process_id,
        command,
        app_id,
        traceparent if isinstance(traceparent, str) else None,
        _text(delivery.body),
    )


def _reply(delivery: Delivery, word: str) -> AdmittedReply:
    try:
        reply = parse_reply(word, _strict(delivery.body))
    except InvalidReply as error:
        raise Rejected("invalid-reply", str(error)) from None
    except Rejected as rejected:
        return _unusable(delivery, word, rejected)
    ref = _command_ref(reply.command_id)
    return AdmittedReply(ref.process_id, reply.command_id, word, _received(ref, reply), _text(delivery.body))


def _unusable(delivery: Delivery, word: str, rejected: Rejected) -> AdmittedReply:
    """Close the attempt of a reply whose output can't be kept, if the reply says whose it is."""
    command_id = _readable_command_id(delivery.body)
    if word != "completed" or command_id is None:
        raise rejected
    return unusable_reply(command_id, rejected.detail)


def unusable_reply(command_id: str, detail: str) -> AdmittedReply:
    """Admit a success whose output can't be kept: what it did is unknown. Raises Rejected."""
    ref = _command_ref(command_id)
    error = to_text({"code": "unusable_output", "message": detail})
    received = FailureReceived(
        Direction(ref.kind), ref.step, ref.attempt, "unusable_output", error, effect_unknown=True
    )
    body = to_text({"command_id": command_id, "unusable": detail})
    return AdmittedReply(ref.process_id, command_id, "completed", received, body, unusable=detail)


def _readable_command_id(body: bytes) -> str | None:
    if len(body) > _LENIENT_BYTES_MAX:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    command_id = value.get("command_id") if isinstance(value, dict) else None
    return command_id if isinstance(command_id, str) else None


def _received(ref: CommandRef, reply: Reply) -> ReplyReceived:
    direction = Direction(ref.kind)
    match reply:
        case CompletedReply():
            return SuccessReceived(direction, ref.step, ref.attempt, reply.output)
        case FailedReply():
            return FailureReceived(
                direction, ref.step, ref.attempt, reply.code, reply.error,
                reply.retryable, reply.retry_after_ms, reply.effect_unknown,
            )  # fmt: skip
        case ProgressReply():
            return ProgressReceived(direction, ref.step, ref.attempt, reply.percent, reply.message)


def _command_ref(command_id: str) -> CommandRef:
    ref = parse_command_id(command_id)
    if ref is None:
        raise Rejected("unknown-command", "command_id is none that was ever sent")
    return ref


def _strict(body: bytes) -> Json:
    try:
        return decode(body)
    except MalformedJson as error:
        raise Rejected("malformed-json", str(error)) from None
    except UnstorableJson as error:
        raise Rejected("unstorable", str(error)) from None


def _text(body: bytes) -> str:
    return body.decode("utf-8")  # decoded strictly before
