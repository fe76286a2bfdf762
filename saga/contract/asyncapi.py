"""The AsyncAPI 3 document of the messages: who publishes what where, for the definitions that are loaded.

It is written from Batuta's point of view, as the format asks: `send` is what Batuta publishes, `receive` what
it takes. The schemas of the messages stand in it whole, so that nothing has to be fetched.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from saga.contract.inputs import ancestors, is_portable, mapped_schema, moved
from saga.contract.schemas import PROCESS_EVENTS, SCHEMAS, STEP_EVENTS
from saga.coordinator.outgoing import LIFE_WORDS
from saga.definition.model import SagaDefinition, StepDefinition
from saga.definition.paths import predecessors
from saga.messages.control import ACTIONS
from saga.messages.json_text import Json, JsonObject
from saga.messages.migrate import MIGRATE

VERSION = "3.0.0"
_BINDING_VERSION = "0.3.0"
_DESCRIPTION = (
    "The messages between Batuta and those who start processes, carry out their steps, or watch them. "
    "Queues are durable, with the arguments x-queue-type: quorum, x-dead-letter-exchange: {prefix}.dead and "
    "x-delivery-limit: 1000. Unknown members of a body are ignored, on both sides."
)
_REPLY_WORDS = ("completed", "failed", "progress")


@dataclass(frozen=True, slots=True)
class Server:
    """Name the broker and nothing secret: `host`, with a port where there is one; `protocol` amqp or amqps."""

    host: str
    protocol: str


@dataclass(slots=True)
class _Parts:
    """Collect the channels, operations, messages and schemas of one document."""

    prefix: str
    channels: JsonObject = field(default_factory=dict)
    operations: JsonObject = field(default_factory=dict)
    messages: JsonObject = field(default_factory=dict)
    schemas: JsonObject = field(default_factory=dict)

    def message(self, name: str, payload: JsonObject, *, title: str, headers: str | None = None) -> None:
        """Add a message."""
        body: JsonObject = {"name": name, "title": title, "contentType": "application/json"}
        if headers is not None:
            body["headers"] = _reference("schemas", headers)
        self.messages[name] = {**body, "payload": payload}

    def channel(self, name: str, members: JsonObject, messages: Iterable[str]) -> None:
        """Add a channel with messages that are there already."""
        references: JsonObject = {each: _reference("messages", each) for each in messages}
        self.channels[name] = {**members, "messages": references}

    def operation(self, name: str, action: str, channel: str, summary: str, **members: Json) -> None:
        """Add what is done with all messages of a channel."""
        there: JsonObject = {"$ref": f"#/channels/{channel}"}
        self.operations[name] = {"action": action, "channel": there, "summary": summary, **members}

    def routed(self, exchange: str) -> JsonObject:
        """Describe a channel that is a routing key at an exchange."""
        name = f"{self.prefix}.{exchange}"
        named: Json = {"name": name, "type": "topic", "durable": True, "autoDelete": False, "vhost": "/"}
        return {"bindings": _bindings({"is": "routingKey", "exchange": named})}

    def queue(self, name: str) -> JsonObject:
        """Describe a channel that is a queue."""
        named: Json = {"name": name, "durable": True, "exclusive": False, "autoDelete": False, "vhost": "/"}
        return {"address": name, "bindings": _bindings({"is": "queue", "queue": named})}


def asyncapi_document(
    definitions: Sequence[SagaDefinition], *, prefix: str, version: str, server: Server | None = None
) -> JsonObject:
    """Write the document for these definitions; without a `server` it names none."""
    parts = _Parts(prefix)
    for name, schema in SCHEMAS.items():
        parts.schemas[name] = moved(schema, f"#/components/schemas/{name}")
    _replies(parts)
    _doors(parts, definitions)
    _orders(parts, definitions)
    _life(parts)
    _dead_letters(parts)
    document: JsonObject = {
        "asyncapi": VERSION,
        "id": "urn:batuta",
        "info": {
            "title": "Batuta",
            "version": version,
            "description": _DESCRIPTION.format(prefix=prefix),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"messages": parts.messages, "schemas": parts.schemas},
    }
    if server is not None:
        document["servers"] = {"broker": {"host": server.host, "protocol": server.protocol}}
    return document


def _replies(parts: _Parts) -> None:
    titles = ("A command took effect", "A command failed", "A command is still being worked on")
    for word, title in zip(_REPLY_WORDS, titles, strict=True):
        parts.message(f"{word}_reply", _reference("schemas", f"{word}_reply"), title=title)
    members: JsonObject = {
        "address": "{reply_key}.{word}",
        "title": "Replies",
        "description": "Published persistent and confirmed, before the command is acknowledged.",
        "parameters": {
            "reply_key": {
                "description": "The command's `reply_key`; `step` always works.",
                "default": "step",
            },
            "word": {"description": "Which reply it is.", "enum": list[Json](_REPLY_WORDS)},
        },
        **parts.routed("events"),
    }
    parts.channel("replies", members, (f"{word}_reply" for word in _REPLY_WORDS))
    parts.operation("take_replies", "receive", "replies", "Take what participants answer")


def _doors(parts: _Parts, definitions: Sequence[SagaDefinition]) -> None:
    parts.message("process_start", _reference("schemas", "process_start"), title="Start a process")
    names = ["process_start"]
    for definition in definitions:
        name = f"{definition.process_type}.start"
        of_type: JsonObject = {
            "properties": {
                "process_type": {"const": definition.process_type},
                "parameters": _parameters(parts, definition),
            }
        }
        payload: JsonObject = {"allOf": [_reference("schemas", "process_start"), of_type]}
        parts.message(name, payload, title=f"Start {definition.process_type}")
        names.append(name)
    start: JsonObject = {"address": "process.start", "title": "Starts", **parts.routed("commands")}
    parts.channel("starts", start, names)
    parts.operation("take_starts", "receive", "starts", "Take requests for new processes")
    parts.message(
        "process_request", _reference("schemas", "process_request"), title="Ask a process for something"
    )
    parts.message(
        "process_migrate", _reference("schemas", "process_migrate"), title="Move a process to a version"
    )
    words: list[Json] = [*sorted(ACTIONS), MIGRATE]
    members: JsonObject = {
        "address": "process.{action}",
        "title": "Requests to processes",
        "parameters": {"action": {"description": "What is asked for.", "enum": words}},
        **parts.routed("commands"),
    }
    parts.channel("requests", members, ("process_request", "process_migrate"))
    parts.operation("take_requests", "receive", "requests", "Take what people ask of processes")


def _orders(parts: _Parts, definitions: Sequence[SagaDefinition]) -> None:
    """Describe the queue of each service, with every command that may stand in it."""
    by_service: dict[str, list[str]] = {}
    for definition in definitions:
        for step in definition.steps:
            if step.service is not None:
                by_service.setdefault(step.service, []).extend(_commands(parts, definition, step))
    for service, names in sorted(by_service.items()):
        queue = f"{parts.prefix}.step.{service}"
        members: JsonObject = {
            "title": f"Commands to {service}",
            "description": f"Bound to `{parts.prefix}.commands` with `step.{service}.*`.",
            **parts.queue(queue),
        }
        parts.channel(queue, members, names)
        reply: JsonObject = {"channel": {"$ref": "#/channels/replies"}}
        parts.operation(
            f"order_{service}", "send", queue, f"Order {service} to carry out a step", reply=reply
        )


def _commands(parts: _Parts, definition: SagaDefinition, step: StepDefinition) -> Iterator[str]:
    """Add the messages of one step: its action, and what undoes it or asks about it."""
    before = ancestors(definition, step, predecessors(definition))
    known = (mapped_schema(definition, step.input), None) if step.input else (None, before)
    undo_input = step.undo.input if step.undo is not None else None
    undo_known = (mapped_schema(definition, undo_input), None) if undo_input else known
    each: list[tuple[str, str | None, tuple[JsonObject | None, list[str] | None]]] = [
        ("action", step.action, known),
        ("compensation", step.undo.action if step.undo else None, undo_known),
        ("verify", step.verify.action if step.verify else None, known),
    ]
    for kind, action, (mapped, results) in each:
        if action is not None:
            yield _command(parts, definition, step, kind, action, mapped, results)


def _command(
    parts: _Parts,
    definition: SagaDefinition,
    step: StepDefinition,
    kind: str,
    action: str,
    mapped: JsonObject | None,
    results: list[str] | None,
) -> str:
    properties: JsonObject = {
        "process_type": {"const": definition.process_type},
        "step": {"const": step.name},
        "action": {"const": action},
        "parameters": _parameters(parts, definition) if mapped is None else mapped,
    }
    if results is not None:
        properties["results"] = {"type": "object", "properties": {name: {} for name in results}}
    payload: JsonObject = {
        "allOf": [_reference("schemas", f"{kind}_command"), {"properties": properties}],
    }
    name = f"{definition.process_type}.{step.name}.{kind}"
    parts.message(name, payload, title=f"{action} ({kind})", headers="sent_headers")
    return name


def _parameters(parts: _Parts, definition: SagaDefinition) -> JsonObject:
    name = f"{definition.process_type}.parameters"
    schema = cast("JsonObject", dict(definition.parameters))
    if not is_portable(schema):
        return {"type": "object", "description": f"See GET /process-type/{definition.process_type}."}
    if name not in parts.schemas:
        parts.schemas[name] = moved(schema, f"#/components/schemas/{name}")
    return _reference("schemas", name)


def _life(parts: _Parts) -> None:
    parts.message(
        "process_event",
        _reference("schemas", PROCESS_EVENTS),
        title="A process changed",
        headers="life_headers",
    )
    parts.message(
        "step_event", _reference("schemas", STEP_EVENTS), title="A step changed", headers="life_headers"
    )
    words: list[Json] = [*sorted(set(LIFE_WORDS.values()))]
    of_process: JsonObject = {
        "address": "process.{process_type}.{event}",
        "title": "Life of the processes",
        "parameters": {
            "process_type": {"description": "The type of the process."},
            "event": {"description": "What became of it.", "enum": words},
        },
        **parts.routed("events"),
    }
    of_step: JsonObject = {
        "address": "step.{process_type}.{step}.{event}",
        "title": "Life of the steps",
        "description": "Only with SAGA_STEP_EVENTS=on.",
        "parameters": {
            "process_type": {"description": "The type of the process."},
            "step": {"description": "The step."},
            "event": {"description": "What became of it, such as completed or compensation_failed."},
        },
        **parts.routed("events"),
    }
    parts.channel("process_life", of_process, ("process_event",))
    parts.channel("step_life", of_step, ("step_event",))
    parts.operation("tell_of_processes", "send", "process_life", "Tell of each change of a process, once")
    parts.operation("tell_of_steps", "send", "step_life", "Tell of each change of a step")


def _dead_letters(parts: _Parts) -> None:
    anything: JsonObject = {"description": "The body as it came, of any kind."}
    parts.message("dead_letter", anything, title="What could not be processed", headers="dead_letter_headers")
    queue = f"{parts.prefix}.dead-letter"
    parts.channel("dead_letters", {"title": "Dead letters", **parts.queue(queue)}, ("dead_letter",))
    parts.operation("park_dead_letters", "send", "dead_letters", "Park what can never be processed")


def _reference(kind: str, name: str) -> JsonObject:
    return {"$ref": f"#/components/{kind}/{name}"}


def _bindings(amqp: JsonObject) -> JsonObject:
    return {"amqp": {**amqp, "bindingVersion": _BINDING_VERSION}}
