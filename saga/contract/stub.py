"""Write a participant in Python for a service that definitions name: a model per input, a handler per action.

Of JSON Schema it reads what says which type a member has; what it can't say in a type is left as any JSON, and
is checked by the orchestrator, which has the whole schema.
"""

import builtins
import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from saga.contract.inputs import mapped_schema
from saga.definition.model import CompensationDefinition, SagaDefinition, StepDefinition
from saga.errors import SagaError
from saga.messages.json_text import Json, JsonObject

_KIT = ("BusinessFailure", "Participant", "StepCommand", "run")
_PYDANTIC = ("BaseModel", "Field", "JsonValue")
_TAKEN = frozenset({*_KIT, *_PYDANTIC, "Literal", "participant", "command", *dir(builtins)})
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_WIDTH = 110


class UnknownService(SagaError):  # noqa: N818 - what is the case
    """Say that no step of the definitions is carried out by a service, and which services there are."""

    code = "unknown_service"

    def __init__(self, service: str, known: Sequence[str]) -> None:
        super().__init__(f"no step is carried out by {service!r}; there are {', '.join(known) or 'none'}")


def participant_stub(service: str, definitions: Iterable[SagaDefinition]) -> str:
    """Write the program; its handlers fail with `not_written` until somebody writes them.

    Raises UnknownService.
    """
    found = tuple(definitions)
    steps = [(one, step) for one in found for step in one.steps if step.service == service]
    if not steps:
        known = {step.service for one in found for step in one.steps if step.service is not None}
        raise UnknownService(service, sorted(known))
    models = _Models()
    handlers: dict[str, dict[str, None]] = {}
    for definition, step in steps:
        for action, mapping in _actions(step):
            name = definition.process_type if mapping is None else f"{step.name}_{action}"
            schema = dict(definition.parameters) if mapping is None else mapped_schema(definition, mapping)
            handlers.setdefault(action, {})[models.name_of(name, schema)] = None
    types = sorted({definition.process_type for definition, _ in steps})
    bodies = [_handler(action, list(inputs)) for action, inputs in handlers.items()]
    parts = [
        f'"""The participant `{service}`: what it does for {", ".join(types)}."""',
        _imports([*models.written, *bodies]),
        f'participant = Participant("{service}")',
    ]
    tail = 'if __name__ == "__main__":\n    run(participant)'
    return "\n\n".join(parts) + "\n\n\n" + "\n\n\n".join([*models.written, *bodies, tail]) + "\n"


def _actions(step: StepDefinition) -> Iterable[tuple[str, Mapping[str, str] | None]]:
    """Give each action that a step asks for, with the mapping of its input; None where there is none."""
    yield str(step.action), step.input
    if isinstance(step.compensation, CompensationDefinition):
        yield step.compensation.action, step.compensation.input or step.input
    if step.verify is not None:
        yield step.verify.action, step.input


@dataclass
class _Models:
    """Write each model once; `written` has them in an order in which each stands behind what it uses."""

    written: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def name_of(self, name: str, schema: JsonObject) -> str:
        """Give the type for a schema, and write the models that it needs."""
        kind = schema.get("type")
        properties = schema.get("properties")
        if kind == "object" and isinstance(properties, dict) and properties:
            return self._model(name, schema, properties)
        if kind == "object":
            return "dict[str, JsonValue]"
        if kind == "array":
            items = schema.get("items")
            return f"list[{self.name_of(f'{name}_item', items) if isinstance(items, dict) else 'JsonValue'}]"
        if isinstance(kind, list):
            return " | ".join(dict.fromkeys(self.name_of(name, {**schema, "type": one}) for one in kind))
        return self._plain(name, schema)

    def _plain(self, name: str, schema: JsonObject) -> str:
        choices = schema.get("enum")
        if isinstance(choices, list) and choices and all(isinstance(one, str | int) for one in choices):
            return f"Literal[{', '.join(map(_literal, choices))}]"
        either = schema.get("anyOf")
        if isinstance(either, list) and all(isinstance(one, dict) for one in either):
            kinds = (self.name_of(name, one) for one in either if isinstance(one, dict))
            return " | ".join(dict.fromkeys(kinds))
        return _SCALARS.get(str(schema.get("type")), "JsonValue")

    def _model(self, name: str, schema: JsonObject, properties: Mapping[str, Json]) -> str:
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        members = [
            self._member(name, member, part if isinstance(part, dict) else {}, is_needed=member in needed)
            for member, part in properties.items()
        ]
        body = "\n".join(f"    {line}" for line in members)
        known = self._names.get(body)
        if known is not None:
            return known
        written = set(self._names.values())
        title = _free("".join(word.capitalize() for word in name.split("_") if word) or "Input", written)
        self._names[body] = title
        self.written.append(f"class {title}(BaseModel):\n{body}")
        return title

    def _member(self, model: str, name: str, schema: JsonObject, *, is_needed: bool) -> str:
        kind = self.name_of(f"{model}_{_identifier(name)}", schema)
        member = _identifier(name)
        if not is_needed and "None" not in kind.split(" | "):
            kind = f"{kind} | None"
        if member == name:
            return f"{member}: {kind}" if is_needed else f"{member}: {kind} = None"
        default = "" if is_needed else "default=None, "
        return f"{member}: {kind} = Field({default}alias={_literal(name)})"


def _handler(action: str, inputs: Sequence[str]) -> str:
    name = _free(action, set())
    head = f"async def {name}(given: {' | '.join(inputs)}, command: StepCommand) -> dict[str, JsonValue]:"
    if len(head) > _WIDTH:
        arguments = f"    given: {' | '.join(inputs)},\n    command: StepCommand,"
        head = f"async def {name}(\n{arguments}\n) -> dict[str, JsonValue]:"
    failure = f'raise BusinessFailure("not_written", "{action} is not written yet")'
    return f'@participant.handles("{action}")\n{head}\n    {failure}'


def _imports(parts: Sequence[str]) -> str:
    text = "\n".join(parts)
    pydantic = [name for name in _PYDANTIC if name in text]
    lines = ["from typing import Literal", ""] if "Literal[" in text else []
    lines += [f"from pydantic import {', '.join(pydantic)}", ""] if pydantic else []
    return "\n".join([*lines, f"from saga.participant import {', '.join(_KIT)}"])


def _identifier(name: str) -> str:
    """Make a name of Python's out of a member's name."""
    cleaned = "".join(each if each.isascii() and each.isalnum() else "_" for each in name).strip("_")
    if not cleaned or cleaned[0].isdigit():
        cleaned = f"member_{cleaned}".rstrip("_")
    # What pydantic's models have for themselves must not be hidden.
    is_taken = keyword.iskeyword(cleaned) or cleaned.startswith("model_") or hasattr(BaseModel, cleaned)
    return f"{cleaned}_" if is_taken else cleaned


def _free(name: str, used: set[str]) -> str:
    while keyword.iskeyword(name) or name in _TAKEN or name in used:
        name += "_"
    return name


def _literal(value: object) -> str:
    # In double quotes, as a formatter would leave it.
    is_plain = isinstance(value, str) and '"' not in value
    return f'"{repr(value)[1:-1]}"'.replace("\\'", "'") if is_plain else repr(value)
