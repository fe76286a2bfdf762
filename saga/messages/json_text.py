"""JSON as Batuta keeps it: compact text, written in one way, so that equal values are equal bytes.

Payloads (parameters, outputs, errors) travel through the machine as text: they are decoded at the door,
checked once, and spliced into commands without being decoded again.
"""

import json
from collections.abc import Mapping
from typing import NewType, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

JsonText = NewType("JsonText", str)

NULL = JsonText("null")
EMPTY_OBJECT = JsonText("{}")

# What was decoded from JSON holds no circle: to look for one takes a tenth of the time.
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
_encode_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode


def to_text(value: Json) -> JsonText:
    """Write a value compactly, keys in the order given."""
    return JsonText(_encode(value))


def to_canonical_text(value: Json) -> JsonText:
    """Write a value compactly with sorted keys: the form that is hashed and compared."""
    return JsonText(_encode_sorted(value))


def from_text(text: str) -> Json:
    """Read text that Batuta wrote itself; what comes from outside goes through `strict_json`."""
    value: Json = json.loads(text)
    return value


def splice(payloads: Mapping[str, JsonText], *, onto: JsonObject | None = None) -> JsonText:
    """Write an object whose last members are JSON text already; these are joined, never decoded.

    The names of the payloads are names of ours: they need no escaping.
    """
    members = [f'"{name}":{text}' for name, text in payloads.items()]
    if onto:
        members.insert(0, _encode(onto)[1:-1])
    return JsonText("{" + ",".join(members) + "}")
