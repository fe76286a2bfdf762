"""The values in stored events: how each is written, and what may stand for it when it is read.

Whoever reads a value later relies on what is checked here: a payload that is no JSON, say, would else fail far
from the event that holds it.
"""

import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias, cast, get_args, get_type_hints

from saga.messages.json_text import Json, JsonText, to_text
from saga.messages.timestamps import is_point_in_time
from saga.process.status import Direction, EffortStatus, OperatorAction, ProcessStatus

Reader: TypeAlias = Callable[..., object]


def types_of(kind: type, field: str) -> tuple[type, ...]:
    """Give what may stand for a field of a class of events in the stored form."""
    if field in _STORED_AS:
        return (_STORED_AS[field],)
    plain = [cast("type", getattr(one, "__supertype__", one)) for one in _words_of(kind, field)]
    return (*plain, int) if float in plain else tuple(plain)


def reader_of(kind: type, field: str) -> Reader | None:
    """Give what reads a field, and raises TypeError or ValueError; None where it is taken as it stands."""
    words = _words_of(kind, field)
    if field in _READERS:
        return _READERS[field]
    if JsonText in words:
        return payload
    if float in words:
        return _finite
    return _whole_number if int in words else None


def writer_of(field: str) -> Callable[..., object] | None:
    """Give what writes a field; None where it is written as it stands."""
    return _WRITERS.get(field)


def payload(text: str) -> JsonText:
    """Take a payload as the text that it is, if it is one JSON value that can be read. Raises ValueError."""
    _parsed(text)
    return JsonText(text)


def point_in_time(value: int) -> int:
    """Take milliseconds since 1970 UTC. Raises ValueError for what no calendar has."""
    if isinstance(value, bool) or not is_point_in_time(value):
        raise ValueError(f"{value} is no point in time")
    return value


def _parsed(text: str) -> Json:
    try:
        value, end = _decoder.raw_decode(text)
        if "\\u" in text:
            to_text(value).encode()  # half of a surrogate pair has no bytes
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:
        raise ValueError("it is no JSON") from None
    if end != len(text):
        raise ValueError("it is no JSON")
    return cast("Json", value)


def _object(text: str) -> JsonText:
    if not isinstance(_parsed(text), dict):
        raise TypeError("it is no JSON object")
    return JsonText(text)


def _list(text: str) -> JsonText:
    if not isinstance(_parsed(text), list):
        raise TypeError("it is no JSON array")
    return JsonText(text)


def _texts(text: str) -> Mapping[str, str]:
    value = _parsed(text)
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("it is no JSON object of strings")
    return cast("dict[str, str]", value)


def _names(stored: list[object]) -> tuple[str, ...]:
    if not all(isinstance(one, str) for one in stored):
        raise ValueError("it holds what is no text")
    return tuple(cast("list[str]", stored))


def _closes(stored: list[list[str]]) -> tuple[tuple[str, EffortStatus], ...]:
    return tuple((_names([step])[0], EffortStatus(status)) for step, status in stored)


def _whole_number(value: int) -> int:
    if isinstance(value, bool):
        raise TypeError("it is no number")
    return value


def _finite(value: float) -> float:
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("it is no number")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _words_of(kind: type, field: str) -> tuple[object, ...]:
    hint = get_type_hints(kind)[field]
    return get_args(hint) or (hint,)


# Numbers are checked as `strict_json` does, which let the payload in: what is read here is written out again.
_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=lambda digits: _finite(float(digits))
)

_STORED_AS: Mapping[str, type] = MappingProxyType(
    {
        **dict.fromkeys(("direction", "becomes", "status", "action", "labels", "children"), str),
        **dict.fromkeys(("steps", "keys", "closes"), list),
    }
)
_WRITERS: Mapping[str, Callable[..., object]] = MappingProxyType(
    {
        "direction": str,
        "becomes": str,
        "status": str,
        "labels": lambda labels: to_text(dict(labels)),
        "steps": list,
        "keys": list,
        "action": str,
        "children": lambda children: to_text(dict(children)),
        "closes": lambda closes: [[step, str(status)] for step, status in closes],
    }
)
_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "direction": Direction,
        "becomes": EffortStatus,
        "status": ProcessStatus,
        "labels": _texts,
        "steps": _names,
        "keys": _names,
        "action": OperatorAction,
        "children": _texts,
        "closes": _closes,
        "parameters": _object,
        "error": _object,
        "items": _list,
        "at": point_in_time,
        "due_at": point_in_time,
    }
)
