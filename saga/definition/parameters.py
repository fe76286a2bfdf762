"""Judge a process's parameters by its type's JSON Schema; a complaint never repeats a value."""

from collections.abc import Iterator
from typing import cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import JsonValue
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

from saga.messages.json_text import Json, JsonObject, to_text
from saga.messages.strict_json import pointer_to

PROBLEMS_MAX = 20
_SHOWN_RULE_MAX = 200


class ParameterSchema:
    """Hold a compiled schema. References outside the schema itself are never fetched."""

    def __init__(self, schema: dict[str, JsonValue]) -> None:
        self._validator = Draft202012Validator(schema, registry=EMPTY_REGISTRY)

    def problems_with(self, parameters: JsonObject) -> tuple[tuple[str, str], ...]:
        """Give (JSON pointer, sentence) for each complaint, at most twenty."""
        # The library complains once per missing member, and each of its complaints names them all.
        problems: dict[tuple[str, str], None] = {}
        try:
            for error in self._validator.iter_errors(parameters):
                problems.update(dict.fromkeys(_sentences(error)))
                if len(problems) >= PROBLEMS_MAX:
                    break
        except (RecursionError, Unresolvable):
            # Not seen when the definition was loaded: a reference that leads to itself, say.
            problems["", "can't be judged: the schema of this process type has a broken reference"] = None
        return tuple(problems)[:PROBLEMS_MAX]


def foreign_references(schema: JsonValue) -> Iterator[str]:
    """Give the references that lead out of a schema: nothing follows them, so a definition may not use them."""
    for part in _parts(schema):
        for word in ("$ref", "$dynamicRef"):
            reference = part.get(word)
            if isinstance(reference, str) and not reference.startswith("#"):
                yield reference


def broken_references(schema: dict[str, JsonValue]) -> Iterator[str]:
    """Give the references within a schema that lead nowhere: no parameters could ever be judged by it."""
    parts = list(_parts(schema))
    if any("$id" in part for part in parts if part is not schema):
        return  # a part with an id of its own has references of its own, judged when they are followed
    whole = DRAFT202012.create_resource(schema)
    resolver = EMPTY_REGISTRY.with_resource("", whole).resolver()
    for part in parts:
        reference = part.get("$ref")
        if isinstance(reference, str):
            try:
                resolver.lookup(reference)
            except Unresolvable:
                yield reference


def _parts(schema: JsonValue) -> Iterator[dict[str, JsonValue]]:
    pending: list[JsonValue] = [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            yield item
            pending.extend(item.values())


def _sentences(error: ValidationError) -> Iterator[tuple[str, str]]:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        required = cast("list[str]", error.validator_value)
        missing = [name for name in required if name not in cast("JsonObject", error.instance)]
        yield from ((pointer_to((*path, name)), "is required") for name in missing)
    elif error.validator == "type":
        yield pointer_to(path), f"must be of type {_rule(error)}"
    elif error.validator == "additionalProperties":
        yield pointer_to(path), "holds a member that the schema does not allow"
    else:
        yield pointer_to(path), f"does not satisfy {error.validator} {_rule(error)}"


def _rule(error: ValidationError) -> str:
    text = to_text(cast("Json", error.validator_value))
    return text if len(text) <= _SHOWN_RULE_MAX else "of the schema"
