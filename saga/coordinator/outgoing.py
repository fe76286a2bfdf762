"""What the coordinator publishes: step commands, the processes' life, wakes, and starts."""

import hashlib
from collections.abc import Iterator

from saga.messages.command import Command, CommandRef
from saga.messages.control import ControlCommand
from saga.messages.json_text import JsonObject, JsonText, to_text
from saga.messages.lock import HolderNews, LockNews
from saga.messages.migrate import MIGRATE, MigrateCommand
from saga.messages.start import StartCommand
from saga.messages.timestamps import rfc3339
from saga.messages.wake import WakeCommand
from saga.ports.bus import Exchange, OutgoingMessage
from saga.process import events as ev
from saga.process.codec import event_name
from saga.process.state import ProcessState, split_instance
from saga.process.transition import Transition
from saga.views.event import event_entry

# What an order to a participant is called, beside those to processes.
STEP_COMMAND = "step.command"

# What a change of a process is called in the routing key of its life event.
LIFE_WORDS = {
    ev.Started: "started",
    ev.TurnedBack: "compensating",
    ev.Suspended: "suspended",
    ev.Resumed: "resumed",
    ev.Paused: "paused",
    ev.Failed: "failed",
    ev.Completed: "completed",
    ev.Compensated: "compensated",
}


def command_message(state: ProcessState, command: Command, *, at: int) -> OutgoingMessage:
    """Wrap a stored command; its body is sent as it is stored.

    Each comes back where no queue takes it: nothing else brings back what processes tell each other.
    """
    return OutgoingMessage(
        exchange=Exchange.EVENTS if command.is_reply else Exchange.COMMANDS,
        routing_key=command.routing_key,
        body=command.body.encode(),
        message_id=command.command_id,
        correlation_id=state.process_id,
        kind=STEP_COMMAND if command.is_order else command.routing_key,
        timestamp=at,
        headers={"traceparent": traceparent(state, command.command_id)},
        mandatory=True,
    )


def life_messages(
    state: ProcessState, transition: Transition, *, with_steps: bool
) -> Iterator[OutgoingMessage]:
    """Tell of each change of a process's standing in a transition, in order; of its steps' too, if asked."""
    process_type = state.origin.process_type
    for number, event in enumerate(transition.events, start=transition.first):
        word = LIFE_WORDS.get(type(event))
        if word is not None:
            yield _life_message(state, transition, event, f"process.{process_type}.{word}", number)
        elif with_steps and isinstance(event, ev.AttemptEvent | ev.StepEvent):
            step_word = event_name(event).removeprefix("step_")
            kind = f"step.{process_type}.{split_instance(event.step)[0]}.{step_word}"
            yield _life_message(state, transition, event, kind, number)


def _life_message(
    state: ProcessState, transition: Transition, event: ev.Event, kind: str, number: int
) -> OutgoingMessage:
    message_id = f"{state.process_id}:{number}"
    entry = event_entry(number, event, transition)
    return OutgoingMessage(
        exchange=Exchange.EVENTS,
        routing_key=kind,
        body=to_text({**entry, "process_id": state.process_id}).encode(),
        message_id=message_id,
        correlation_id=state.process_id,
        kind=kind,
        timestamp=transition.at,
        headers={
            "traceparent": traceparent(state, message_id),
            "cloudEvents:specversion": "1.0",
            "cloudEvents:id": message_id,
            "cloudEvents:source": f"/process/{state.process_id}",
            "cloudEvents:type": kind,
            "cloudEvents:time": rfc3339(transition.at),
        },
    )


def wake_message(wake: WakeCommand, *, at: int) -> OutgoingMessage:
    """Send a timer that went off to whichever coordinator takes it."""
    return OutgoingMessage(
        exchange=Exchange.COMMANDS,
        routing_key="process.wake",
        body=wake.to_body().encode(),
        message_id=wake.identity,
        correlation_id=wake.process_id,
        kind="process.wake",
        timestamp=at,
        headers={"traceparent": _traceparent(_trace_id(wake.process_id), wake.identity)},
    )


def lock_message(news: LockNews, *, at: int) -> OutgoingMessage:
    """Send word of a business key to whichever coordinator takes it."""
    return _own_message("lock", news.process_id, news.identity, news.to_body(), at=at)


def holder_message(news: HolderNews, *, at: int) -> OutgoingMessage:
    """Send word of the end of a process to the one that joined it."""
    return _own_message("lock", news.process_id, news.identity, news.to_body(), at=at)


def control_message(command: ControlCommand, *, request_id: str, at: int) -> OutgoingMessage:
    """Send what somebody asks of a process to whichever coordinator takes it."""
    return _own_message(command.action, command.process_id, request_id, command.to_body(), at=at)


def migrate_message(command: MigrateCommand, *, request_id: str, at: int) -> OutgoingMessage:
    """Send the request for another version to whichever coordinator takes it."""
    return _own_message(MIGRATE, command.process_id, request_id, command.to_body(), at=at)


def _own_message(word: str, process_id: str, identity: str, body: JsonText, *, at: int) -> OutgoingMessage:
    # A business key of any length and spelling may stand in the identity: what names a message is short.
    message_id = f"{word}:{hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()}"
    return OutgoingMessage(
        exchange=Exchange.COMMANDS,
        routing_key=f"process.{word}",
        body=body.encode(),
        message_id=message_id,
        correlation_id=process_id,
        kind=f"process.{word}",
        timestamp=at,
        headers={"traceparent": _traceparent(_trace_id(process_id), identity)},
    )


def start_message(command: StartCommand, state: ProcessState, *, at: int) -> OutgoingMessage:
    """Send an accepted start to whichever coordinator takes it."""
    identity = f"start:{state.process_id}"
    return OutgoingMessage(
        exchange=Exchange.COMMANDS,
        routing_key="process.start",
        body=command.to_body(state.process_id).encode(),
        message_id=identity,
        correlation_id=state.process_id,
        kind="process.start",
        timestamp=at,
        headers={"traceparent": traceparent(state, identity)},
    )


def reply_message(
    state: ProcessState, ref: CommandRef, word: str, body: JsonObject, *, at: int
) -> OutgoingMessage:
    """Send a reply in the place of a participant that can't reach the broker, or a person's signal."""
    return OutgoingMessage(
        exchange=Exchange.EVENTS,
        routing_key=f"step.{word}",
        body=to_text({**body, "command_id": ref.command_id}).encode(),
        message_id=f"{ref.command_id}.{word}",
        correlation_id=state.process_id,
        kind=f"step.{word}",
        timestamp=at,
        headers={"traceparent": traceparent(state, ref.command_id)},
    )


def refused_child_message(parent: str, code: str, detail: str, *, at: int) -> OutgoingMessage:
    """Answer the step whose process can't even start: nothing happened, and trying again would not help."""
    error: JsonObject = {"code": code.replace("-", "_"), "message": detail, "retryable": False}
    process_id = parent.partition(".")[0]
    return OutgoingMessage(
        exchange=Exchange.EVENTS,
        routing_key="step.failed",
        body=to_text({"command_id": parent, "error": error}).encode(),
        message_id=f"{parent}.refused",
        correlation_id=process_id,
        kind="step.failed",
        timestamp=at,
        headers={"traceparent": _traceparent(_trace_id(process_id), parent)},
    )


def unroutable_message(
    state: ProcessState, command: Command, *, at: int, effect_unknown: bool
) -> OutgoingMessage:
    """Answer, in the participant's place, a command that no queue took: one more reply, on the same road.

    Where another copy of the command may have arrived before, its effect is unknown.
    """
    error: JsonObject = {
        "code": "unroutable",
        "message": f"no queue takes messages with the routing key {command.routing_key}",
        "retryable": True,
        "effect_unknown": effect_unknown,
    }
    return OutgoingMessage(
        exchange=Exchange.EVENTS,
        routing_key="step.failed",
        body=to_text({"command_id": command.command_id, "error": error}).encode(),
        message_id=f"{command.command_id}.unroutable",
        correlation_id=state.process_id,
        kind="step.failed",
        timestamp=at,
        headers={"traceparent": traceparent(state, command.command_id)},
    )


def traceparent(state: ProcessState, span_of: str) -> str:
    """Give the W3C trace context: the caller's trace where the start brought one; span ids are derived."""
    given = (state.origin.traceparent or "").split("-")
    is_given = len(given) == 4 and len(given[1]) == 32 and given[1] != "0" * 32  # noqa: PLR2004 - the standard's form
    return _traceparent(given[1] if is_given else _trace_id(state.process_id), span_of)


def _traceparent(trace_id: str, span_of: str) -> str:
    return f"00-{trace_id}-{hashlib.blake2b(span_of.encode(), digest_size=8).hexdigest()}-01"


def _trace_id(process_id: str) -> str:
    return hashlib.blake2b(process_id.encode(), digest_size=16).hexdigest()
