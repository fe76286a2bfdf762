"""The start command: what asks for a process, over the broker and inside the API alike."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from saga.messages.json_text import Json, JsonObject, JsonText, to_canonical_text, to_text
from saga.values import value

LABELS_MAX = 32
LABEL_KEY_MAX = 64
LABEL_VALUE_MAX = 256
KEY_MAX = 128
CALLBACK_URL_MAX = 2_048

# Namespaces of our own, so that a key and a message id that happen to be equal stay apart.
_KEYS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:batuta:idempotency-key")
_CHILDREN = uuid.uuid5(uuid.NAMESPACE_URL, "urn:batuta:child-process")
_RERUNS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:batuta:rerun")
_MESSAGES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:batuta:message-id")


class InvalidStart(ValueError):  # noqa: N818 - the name of what came in
    """Say which member of a start command is wrong."""


@value
class Lineage:
    """Hold what a process that carries out another's step is told: whose, and with which definitions.

    `parent` is the command of the step, `root_id` the process at the top, `definition` and `children` the hashes
    that the process at the top pinned.
    """

    parent: str
    root_id: str
    definition: str
    children: Mapping[str, str]
    traceparent: str | None


@value
class StartCommand:
    """Hold a well-formed start; whether the type exists and the parameters suit it is judged later."""

    process_type: str
    parameters: JsonObject
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    process_id: str | None = None
    idempotency_key: str | None = None
    lineage: Lineage | None = None
    callback_url: str | None = None

    @property
    def request_hash(self) -> str:
        """Give what two requests must share to be the same request."""
        request: JsonObject = {
            "process_type": self.process_type,
            "parameters": self.parameters,
            "labels": dict(self.labels),
        }
        if self.callback_url is not None:  # requests that were stored without one keep their hash
            request["callback_url"] = self.callback_url
        return hashlib.sha256(to_canonical_text(request).encode()).hexdigest()

    def to_body(self, process_id: str) -> JsonText:
        """Write the command as it goes to the broker, under the id that the process has by now."""
        body: JsonObject = {
            "process_type": self.process_type,
            "parameters": self.parameters,
            "labels": dict(self.labels),
            "process_id": process_id,
        }
        if self.callback_url is not None:
            body["callback_url"] = self.callback_url
        return to_text(body)


def parse_start(body: Json) -> StartCommand:
    """Read a start command; unknown members are ignored. Raises InvalidStart."""
    if not isinstance(body, dict):
        raise InvalidStart("a start command is a JSON object")
    process_type = body.get("process_type")
    parameters = body.get("parameters")
    if not isinstance(process_type, str) or not process_type:
        raise InvalidStart("process_type is missing")
    if not isinstance(parameters, dict):
        raise InvalidStart("parameters is missing, or is not an object")
    return StartCommand(
        process_type=process_type,
        parameters=parameters,
        labels=parse_labels(body.get("labels")),
        process_id=parse_process_id(body.get("process_id")),
        idempotency_key=parse_key(body.get("idempotency_key")),
        callback_url=parse_callback_url(body.get("callback_url")),
    )


def parse_lineage(body: Json) -> Lineage | None:
    """Read what the orchestrator itself put into a start; to be believed of nobody else. Raises InvalidStart."""
    if not isinstance(body, dict) or body.get("parent") is None:
        return None
    parent, root_id, definition, children, traceparent = (
        body.get(name) for name in ("parent", "root_id", "definition", "children", "traceparent")
    )
    if not (isinstance(parent, str) and isinstance(root_id, str) and isinstance(definition, str)):
        raise InvalidStart("parent, root_id and definition stand together")
    if not isinstance(children, dict):
        raise InvalidStart("children is an object of hashes by process type")
    pinned = {name: text for name, text in children.items() if isinstance(text, str)}
    given = traceparent if isinstance(traceparent, str) else None
    return Lineage(parent, root_id, definition, MappingProxyType(pinned), given)


def parse_labels(value: Json) -> Mapping[str, str]:
    """Read labels: an object of short strings. Raises InvalidStart."""
    if value is None:
        return MappingProxyType({})
    if not isinstance(value, dict) or len(value) > LABELS_MAX:
        raise InvalidStart(f"labels is an object of at most {LABELS_MAX} strings")
    labels: dict[str, str] = {}
    for key, text in value.items():
        if not isinstance(text, str) or len(text) > LABEL_VALUE_MAX or not 0 < len(key) <= LABEL_KEY_MAX:
            raise InvalidStart(
                f"labels: a key has 1 to {LABEL_KEY_MAX} characters, a value is a string of at most "
                f"{LABEL_VALUE_MAX}"
            )
        labels[key] = text
    return MappingProxyType(labels)


def parse_callback_url(value: Json) -> str | None:
    """Read a callback address; whether it may be called is judged later. Raises InvalidStart."""
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= CALLBACK_URL_MAX:
        raise InvalidStart(f"callback_url is a string of 1 to {CALLBACK_URL_MAX} characters")
    return value


def parse_process_id(value: Json) -> str | None:
    """Read a process id chosen by the caller: a UUID. Raises InvalidStart."""
    if value is None:
        return None
    try:
        # The canonical spelling only by value: braces and urn: prefixes name the same UUID.
        return str(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError:
        raise InvalidStart("process_id is not a UUID") from None


def parse_key(value: Json) -> str | None:
    """Read an idempotency key: 1 to 128 printable ASCII characters. Raises InvalidStart."""
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= KEY_MAX:
        raise InvalidStart(f"idempotency_key is a string of 1 to {KEY_MAX} characters")
    if not value.isascii() or not value.isprintable():
        raise InvalidStart("idempotency_key holds characters other than printable ASCII")
    return value


def id_for_key(principal: str, key: str) -> str:
    """Derive the process id of an idempotency key; each principal has a namespace of its own."""
    return str(uuid.uuid5(_KEYS, f"{principal}\n{key}"))


def id_for_message(app_id: str, message_id: str) -> str:
    """Derive the process id of a start message that names neither a process id nor a key."""
    return str(uuid.uuid5(_MESSAGES, f"{app_id}\n{message_id}"))


def id_for_rerun(principal: str, process_id: str, request: str) -> str:
    """Derive the id of the process that a request begins from another one."""
    return str(uuid.uuid5(_RERUNS, f"{principal}\n{process_id}\n{request}"))


def id_for_child(command_id: str) -> str:
    """Derive the id of the process that one attempt of another process's step starts."""
    return str(uuid.uuid5(_CHILDREN, command_id))
