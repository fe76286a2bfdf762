"""The coordinators' door, row by row of bad input over the broker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.admission import admit
from saga.coordinator.admitted import (
    AdmittedControl,
    AdmittedFork,
    AdmittedReply,
    AdmittedStart,
    AdmittedWake,
    Rejected,
    is_progress,
)
from saga.messages.json_text import JsonText
from saga.messages.start import id_for_key, id_for_message
from saga.ports.bus import APP_ID
from saga.process.inputs import FailureReceived, ForkReported, ProgressReceived, SuccessReceived, WokenUp
from saga.process.status import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saga.coordinator.admitted import Admitted
    from saga.messages.json_text import JsonObject

ID = "0199a1b2-0000-7000-8000-000000000001"
CANARY = "CANARY-7f3a"
START: JsonObject = {"process_type": "trip", "parameters": {}}
COMPLETED: JsonObject = {"command_id": f"{ID}.hotel.a1", "output": {"room": 5}}


@dataclass
class Handed:
    """A message as the broker hands it over."""

    routing_key: str
    body: bytes
    message_id: str | None = None
    app_id: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    exchange: str = "saga.events"
    tag: str | None = None

    async def acknowledge(self) -> None:
        """Do nothing."""


def admitted(routing_key: str, body: JsonObject | bytes, **properties: object) -> Admitted:
    """Bring a message through the door."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    handed = Handed(routing_key, raw, **properties)  # type: ignore[arg-type]  # words of a test
    return admit(handed, new_process_id=lambda: "drawn")


def reason(routing_key: str, body: JsonObject | bytes, **properties: object) -> str:
    """Give the reason that a message is refused with; its sentence repeats nothing of the body."""
    with pytest.raises(Rejected) as rejected:
        admitted(routing_key, body, **properties)
    assert rejected.value.detail
    assert CANARY not in rejected.value.detail
    return rejected.value.reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "malformed-json"),
        (f"{CANARY}".encode(), "malformed-json"),
        (b"\xff\xfe", "malformed-json"),
        (f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode(), "malformed-json"),
        (b'{"a": NaN}', "malformed-json"),
        (b"[" * 65 + b"]" * 65, "unstorable"),
        (b'"' + b"x" * 1024 * 1024 + b'"', "unstorable"),
        (b'{"a": 1e999}', "unstorable"),
    ],
)
@pytest.mark.parametrize("routing_key", ["process.start", "process.wake", "step.failed", "step.progress"])
def test_what_is_no_storable_json_is_refused(routing_key: str, body: bytes, expected: str) -> None:
    """Not JSON, over-deep, over-large, out of range: each with its reason."""
    assert reason(routing_key, body) == expected


@pytest.mark.parametrize(
    ("routing_key", "expected"),
    [("process.start", "invalid-start"), ("process.wake", "invalid-wake"), ("step.completed", "invalid-reply"),
     ("step.failed", "invalid-reply"), ("step.progress", "invalid-reply")],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"[]", b'"x"', b"5", b"null", b"{}"])
def test_what_is_no_object_or_names_nothing_is_refused(routing_key: str, body: bytes, expected: str) -> None:
    """Without a type, a process or a command nobody could act on it."""
    assert reason(routing_key, body) == expected


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "UTF-16", "base64"])
def test_an_encoded_body_is_refused(encoding: str) -> None:
    """Nothing is unpacked, so nothing can explode."""
    assert reason("step.completed", COMPLETED, content_encoding=encoding) == "encoded"


@pytest.mark.parametrize("encoding", [None, "", "identity", "utf-8"])
def test_a_plain_body_may_say_so(encoding: str | None) -> None:
    """Some clients always name one."""
    assert admitted("step.completed", COMPLETED, content_encoding=encoding).process_id == ID


def test_a_newer_schema_is_refused_to_be_requeued_after_the_upgrade() -> None:
    """Today's and a nonsensical one are read as today's."""
    assert reason("step.completed", COMPLETED, headers={"x-saga-schema": 2}) == "newer-schema"
    for value in (1, 0, "x", None, True):
        message = admitted("step.completed", COMPLETED, headers={"x-saga-schema": value})
        assert message.process_id == ID


@pytest.mark.parametrize("word", ["explode", "lock", "", "START", "x" * 300])
def test_an_unknown_order_is_refused(word: str) -> None:
    """A control message that this version can't carry out is kept for a person."""
    assert reason(f"process.{word}", {"process_id": ID}) == "unknown-command"


@pytest.mark.parametrize("command_id", [CANARY, f"{ID}.hotel", f"{ID}.hotel.x1", "a" * 300, f"{ID}.hotel.a0"])
@pytest.mark.parametrize("word", ["completed", "failed", "progress"])
def test_a_reply_to_what_was_never_a_command_is_refused(word: str, command_id: str) -> None:
    """Its id says that it is none of ours."""
    assert reason(f"step.{word}", {"command_id": command_id}) == "unknown-command"


def test_a_message_sent_straight_to_the_queue_is_refused() -> None:
    """Its routing key is the name of the queue and says nothing."""
    assert reason("saga.coordinator", COMPLETED) == "invalid-reply"


def test_the_brokers_word_on_a_message_is_not_believed() -> None:
    """Anybody can write `x-death` and our own reasons into a header."""
    headers = {"x-death": [{"count": 99}], "x-saga-reject-reason": "poison", "x-delivery-count": 10**6}
    assert admitted("step.completed", COMPLETED, headers=headers) == admitted("step.completed", COMPLETED)


@pytest.mark.parametrize("key", ["step.completed", "partition7.completed", "a.b.c.completed"])
def test_a_completion_is_a_success_of_its_attempt(key: str) -> None:
    """The last word of the key decides, whatever the reply key before it."""
    message = admitted(key, COMPLETED)

    assert isinstance(message, AdmittedReply)
    assert message.received == SuccessReceived(Direction.ACTION, "hotel", 1, JsonText('{"room":5}'))
    assert message.identity == f"{ID}.hotel.a1:completed"
    assert (message.process_id, message.unusable) == (ID, None)


def test_a_failure_and_progress_are_read_too() -> None:
    """With the identity of their own kind."""
    failed = admitted(
        "step.failed", {"command_id": f"{ID}.hotel.c2", "error": {"code": "x", "retryable": False}}
    )
    progress = admitted("step.progress", {"command_id": f"{ID}.hotel.a1", "percent": 5})

    assert isinstance(failed, AdmittedReply)
    assert isinstance(failed.received, FailureReceived)
    assert (failed.received.direction, failed.received.attempt) == (Direction.COMPENSATION, 2)
    assert not failed.received.retryable
    assert isinstance(progress, AdmittedReply)
    assert progress.received == ProgressReceived(Direction.ACTION, "hotel", 1, 5.0, None)
    assert is_progress(progress)
    assert not is_progress(failed)
    assert failed.identity != admitted("step.completed", {"command_id": f"{ID}.hotel.c2"}).identity


@pytest.mark.parametrize(
    "output",
    [b"1e999", b"9" * 30, b"NaN", b'{"a": 1, "a": 2}', b'"\\ud800"', b'{"\\u0000": 1}', b"[" * 70 + b"]" * 70,
     b'"' + b"x" * 1024 * 1024 + b'"'],
)  # fmt: skip
def test_an_output_that_can_not_be_kept_closes_its_attempt_as_unknown(output: bytes) -> None:
    """The participant did something: its step must not hang until its time-out, nor count as failed."""
    message = admitted(
        "step.completed", b'{"command_id": "%s.hotel.a1", "output": %s}' % (ID.encode(), output)
    )

    assert isinstance(message, AdmittedReply)
    assert message.unusable
    assert isinstance(message.received, FailureReceived)
    assert message.received.code == "unusable_output"
    assert message.received.effect_unknown
    assert json.loads(message.body) == {"command_id": f"{ID}.hotel.a1", "unusable": message.unusable}


@pytest.mark.parametrize(
    "body",
    [b'{"command_id": 5, "output": 1e999}', b'{"output": 1e999}', b"[1e999]",
     b'{"command_id": "x", "output": NaN}',
     b'{"command_id": "' + ID.encode() + b'.hotel.a1", "output": "' + b"x" * 9 * 1024 * 1024 + b'"}'],
)  # fmt: skip
def test_an_unusable_output_of_nobody_is_only_refused(body: bytes) -> None:
    """Where the command can't be read, or above eight mebibytes, nothing is closed."""
    assert reason("step.completed", body) in {"unstorable", "malformed-json", "unknown-command"}


def test_a_start_is_named_by_its_id_then_its_key_then_its_message() -> None:
    """With none of them the id is drawn: at least once."""
    everything = START | {"process_id": ID, "idempotency_key": "k"}
    ids = [
        admitted("process.start", body, app_id="shop", message_id=message_id).process_id
        for body, message_id in (
            (everything, "m"), (START | {"idempotency_key": "k"}, "m"), (START, "m"), (START, None), (START, ""),
        )
    ]  # fmt: skip
    assert ids == [ID, id_for_key("shop", "k"), id_for_message("shop", "m"), "drawn", "drawn"]


def test_a_start_keeps_its_sender_and_its_trace() -> None:
    """A header of another type is left out."""
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    message = admitted("process.start", START, app_id="shop", headers={"traceparent": trace})
    other = admitted("process.start", START, headers={"traceparent": 5})

    assert isinstance(message, AdmittedStart)
    assert (message.principal, message.traceparent) == ("shop", trace)
    assert isinstance(other, AdmittedStart)
    assert (other.principal, other.traceparent) == ("", None)
    assert other.identity == "start:drawn"


def test_a_wake_is_read() -> None:
    """It names the timer."""
    message = admitted("process.wake", {"process_id": ID, "version": 3, "due_at": 1_000})

    assert isinstance(message, AdmittedWake)
    assert message.received == WokenUp(3, 1_000)
    assert message.identity == f"wake:{ID}:3:1000"


def test_what_somebody_asks_of_a_process_is_read() -> None:
    """The reason and the rest as they were given; who asked is whoever sent it."""
    body: JsonObject = {"process_id": ID, "reason": "why", "request_id": "r1"}
    body |= {"step": "hotel[3]", "output": {"a": 1}}
    message = admitted("process.skip", body, app_id="console")
    assert isinstance(message, AdmittedControl)
    assert message.identity == "control:r1"
    asked = message.received
    assert (asked.action, asked.reason, asked.step, asked.output) == ("skip", "why", "hotel[3]", '{"a":1}')
    assert asked.actor == "console"


def test_the_word_of_a_rerun_is_believed_of_batuta_only() -> None:
    """It names the new process; the same word again is a duplicate."""
    body: JsonObject = {"process_id": ID, "fork": "p2", "step": "hotel", "reason": "why", "actor": "ada"}
    message = admitted("process.forked", body, app_id=APP_ID)
    assert isinstance(message, AdmittedFork)
    assert message.received == ForkReported("p2", "hotel", "why", "ada", "rerun:p2")
    assert (message.process_id, message.identity, message.kind) == (ID, "fork:p2", "fork")
    with pytest.raises(Rejected, match="unknown-command"):
        admitted("process.forked", body, app_id="console")
    with pytest.raises(Rejected, match="invalid-control"):
        admitted("process.forked", {"process_id": ID}, app_id=APP_ID)


def test_an_actor_and_a_parent_are_believed_of_batuta_only() -> None:
    """Anybody can write these members; only what the orchestrator itself sent is taken at its word."""
    body: JsonObject = {"process_id": ID, "reason": "why", "actor": "root", "reply_to": f"{ID}.a.c1"}
    foreign = admitted("process.compensate", body, app_id="console")
    ours = admitted("process.compensate", body, app_id=APP_ID)
    assert isinstance(foreign, AdmittedControl)
    assert isinstance(ours, AdmittedControl)
    assert (foreign.received.actor, foreign.received.reply_to) == ("console", None)
    assert (ours.received.actor, ours.received.reply_to) == ("root", f"{ID}.a.c1")


def test_a_request_without_an_id_has_that_of_its_message() -> None:
    """So a second delivery is known; with no id at all each delivery is a wish of its own."""
    body: JsonObject = {"process_id": ID, "reason": "why"}
    assert admitted("process.pause", body, message_id="m1").identity == "control:m1"
    assert admitted("process.pause", body, message_id=None).identity == "control:drawn"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"reason": "why"},
        {"process_id": ID, "reason": 1},
        {"process_id": ID, "step": "No Step"},
        {"process_id": ID, "step": "hotel[03]"},
        {"process_id": ID, "outcome": "maybe"},
        {"process_id": ID, "reason": "x" * 1_001},
    ],
)
def test_a_request_that_is_not_well_formed_is_refused(body: JsonObject) -> None:
    """It is kept for a person, with the member that is wrong."""
    assert reason("process.resolve", json.dumps(body).encode()) == "invalid-control"


def test_a_parent_is_believed_of_batuta_only() -> None:
    """A start from outside that claims to be a child is a start like any other."""
    body: JsonObject = {
        "process_type": "trip", "parameters": {}, "process_id": ID,
        "parent": f"{ID}.a.a1", "root_id": ID, "definition": "h", "children": {"x": "y"},
    }  # fmt: skip
    foreign, ours = admitted("process.start", body), admitted("process.start", body, app_id=APP_ID)
    assert isinstance(foreign, AdmittedStart)
    assert isinstance(ours, AdmittedStart)
    assert foreign.command.lineage is None
    assert ours.command.lineage is not None
    assert dict(ours.command.lineage.children) == {"x": "y"}
