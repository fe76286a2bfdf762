"""Parameters to explore with where none are given: a minimal example made from the type's JSON Schema."""

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from saga.definition.parameters import ParameterSchema
from saga.messages.json_text import Json, JsonObject

_DEPTH_MAX = 10


class NoExample(ValueError):  # noqa: N818 - what is missing
    """Say why no example could be made: the parameters must be given."""


def example_parameters(schema: Mapping[str, JsonValue]) -> JsonObject:
    """Make the smallest parameters that a schema takes, where that is simple. Raises NoExample."""
    document = cast("JsonObject", dict(schema))
    example = _example(document, document, 0) if schema else {}
    if not isinstance(example, dict):
        raise NoExample("the schema does not ask for an object")
    problems = ParameterSchema(dict(schema)).problems_with(example)
    if problems:
        said = "; ".join(f"{pointer or '/'} {sentence}" for pointer, sentence in problems)
        raise NoExample(f"no example could be made from the schema: {said}")
    return example


def _example(schema: Json, root: JsonObject, depth: int) -> Json:
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return None
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    for word in ("examples", "enum"):
        values = schema.get(word)
        if isinstance(values, list) and values:
            return values[0]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _example(_followed(reference, root), root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(word)
        if isinstance(choices, list) and choices:
            return _example(choices[0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: JsonObject, root: JsonObject, depth: int) -> Json:
    kind = schema.get("type", "object" if "properties" in schema or depth == 0 else "string")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            properties = schema.get("properties")
            known = properties if isinstance(properties, dict) else {}
            required = schema.get("required")
            names = [str(name) for name in required] if isinstance(required, list) else []
            return {name: _example(known.get(name, {}), root, depth + 1) for name in names}
        case "array":
            count = schema.get("minItems", 0)
            item = _example(schema.get("items", {}), root, depth + 1)
            return [item] * (count if isinstance(count, int) else 0)
        case "string":
            length = schema.get("minLength", 0)
            return "example".ljust(length if isinstance(length, int) else 0, "x")
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case _:
            return None


def _number(schema: JsonObject) -> Json:
    least = schema.get("minimum")
    if isinstance(least, int | float):
        return least
    above = schema.get("exclusiveMinimum")
    if isinstance(above, int | float):
        return above + 1
    most = schema.get("maximum")
    return most if isinstance(most, int | float) and most < 1 else 1


def _followed(reference: str, root: JsonObject) -> Json:
    part: Json = root
    for name in reference.removeprefix("#/").split("/"):
        part = part.get(name) if isinstance(part, dict) else None
    return part
