"""What is known of the parameters of a step's commands: the JSON Schema of the process, or of what is mapped."""

import re
from collections.abc import Mapping
from typing import cast

from saga.definition.model import SagaDefinition, StepDefinition
from saga.messages.json_text import Json, JsonObject

_PATH = re.compile(r"parameters((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
# Words that a schema may hold and that only mean something in its own document.
_OWN_REFERENCES = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor"})


def mapped_schema(definition: SagaDefinition, mapping: Mapping[str, str]) -> JsonObject:
    """Describe what a mapping makes: its members, with their schemas where they are copied as they are."""
    members: JsonObject = {name: _member(definition, text) for name, text in mapping.items()}
    return {"type": "object", "required": list(mapping), "properties": members}


def is_portable(schema: Mapping[str, Json]) -> bool:
    """Say whether a schema means the same when it stands inside of another document."""
    pending: list[Json] = [dict(schema)]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict):
            reference = part.get("$ref")
            leads_elsewhere = isinstance(reference, str) and not re.fullmatch(r"#(/.*)?", reference)
            if leads_elsewhere or not _OWN_REFERENCES.isdisjoint(part):
                return False
            pending.extend(part.values())
    return True


def moved(schema: Json, to: str) -> Json:
    """Rewrite the references of a portable schema for the place where it stands, such as `#/components/x`."""
    if isinstance(schema, list):
        return [moved(part, to) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: f"{to}{part[1:]}" if word == "$ref" and isinstance(part, str) else moved(part, to)
        for word, part in schema.items()
        if word not in {"$schema", "$id"}
    }


def ancestors(
    definition: SagaDefinition, step: StepDefinition, after: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Name the steps whose outputs a command of this step may carry, in the order of the definition."""
    found: set[str] = set()
    pending = [step.name]
    while pending:
        for name in after[pending.pop()]:
            if name not in found:
                found.add(name)
                pending.append(name)
    return [each.name for each in definition.steps if each.name in found]


def _member(definition: SagaDefinition, text: str) -> JsonObject:
    source: JsonObject = {"description": f"`{text}`"}
    match = _PATH.fullmatch(text)
    if match is None:
        return source
    part: Json = cast("JsonObject", dict(definition.parameters))
    is_certain = True
    for name in match[1].split(".")[1:]:
        if not isinstance(part, dict):
            return source
        required, properties = part.get("required"), part.get("properties")
        is_certain = is_certain and isinstance(required, list) and name in required
        part = properties.get(name) if isinstance(properties, dict) else None
    if not isinstance(part, dict) or "$ref" in str(part) or not is_portable(part):
        return source
    # What is missing is null in a mapping.
    return {**source, **part} if is_certain else {**source, "anyOf": [part, {"type": "null"}]}
