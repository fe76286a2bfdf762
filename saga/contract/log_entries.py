"""The JSON Schemas of the log's entries, read from the events themselves; a life event is one of them."""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import cast, get_type_hints

from pydantic import TypeAdapter

from saga.messages.json_text import Json, JsonObject
from saga.process import codec
from saga.process.status import EffortStatus

_TIME: JsonObject = {"type": "string", "format": "date-time"}
_ANYTHING: JsonObject = {}
# What the log keeps as JSON text or as milliseconds is read as JSON and as RFC 3339.
_READ_AS: Mapping[str, JsonObject] = {
    "parameters": {"type": "object"},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "output": _ANYTHING,
    "children": {"type": "object", "additionalProperties": {"type": "string"}},
    "input": {"type": "object"},
    "items": {"type": "array"},
    "result": _ANYTHING,
    "error": {"type": "object", "required": ["code", "message"]},
    "content": _ANYTHING,
    "due_at": _TIME,
    "at": _TIME,
}
# What stands beside the data of an entry.
APART = frozenset({"step", "attempt"})


def events_schema() -> JsonObject:
    """Give the JSON Schema of an entry of the log, as GET /process/{id}/events answers it."""
    definitions: JsonObject = {name: entry_schema(name) for name in codec.EVENT_NAMES}
    entries: list[Json] = [{"$ref": f"#/$defs/{name}"} for name in codec.EVENT_NAMES]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An entry of a process's log",
        "oneOf": entries,
        "$defs": definitions,
    }


def event_class(name: str) -> type:
    """Give the class of an event by its name in the log."""
    kind, _ = codec._CLASSES[name]  # noqa: SLF001 - the one table of names
    return kind


def entry_schema(name: str) -> JsonObject:
    """Give the schema of the entries of one type."""
    kind = event_class(name)
    names = [field.name for field in fields(kind)]
    data = data_schema(name)
    return {
        "description": sentence(kind),
        "type": "object",
        "additionalProperties": False,
        "required": ["sequence", "type", "at", "step", "attempt", "actor", "data"],
        "properties": {
            "sequence": {"type": "integer", "minimum": 1},
            "type": {"const": name},
            "at": _TIME,
            "step": _step_schema(kind) if "step" in names else {"type": "null"},
            "attempt": {"type": "integer", "minimum": 0} if "attempt" in names else {"type": "null"},
            "actor": {"type": "string"},
            "data": data,
        },
    }


def data_schema(name: str) -> JsonObject:
    """Give the schema of the data of one type."""
    kind = event_class(name)
    hints = get_type_hints(kind)
    said = codec._NAMED_BY.get(kind)  # noqa: SLF001 - the member that the name says already
    members = [field.name for field in fields(kind) if field.name not in APART and field.name != said]
    optional = codec.left_out_when_empty(kind)
    properties: JsonObject = {member: _member_schema(member, hints[member]) for member in members}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [member for member in members if member not in optional],
        "properties": properties,
    }


def sentence(kind: type) -> str:
    """Give what an event says of itself, on one line."""
    return " ".join((kind.__doc__ or "").split())


def _member_schema(member: str, hint: type) -> JsonObject:
    if member in _READ_AS:
        return _READ_AS[member]
    if member == "closes":
        status: JsonObject = {"enum": list[Json](map(str, EffortStatus))}
        pair: JsonObject = {"type": "array", "prefixItems": [{"type": "string"}, status], "items": False}
        return {"type": "array", "items": pair}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": list[Json](map(str, hint))}
    return cast("JsonObject", TypeAdapter(hint).json_schema())


def _step_schema(kind: type) -> JsonObject:
    optional = get_type_hints(kind)["step"] is not str
    return {"type": ["string", "null"]} if optional else {"type": "string"}
