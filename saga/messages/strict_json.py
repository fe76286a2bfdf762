"""The decoder at every door: what it lets in can be stored and comes back equal, or it says why not.

Python's own decoder takes NaN, duplicate keys, lone surrogates and numbers that no store keeps; each of
these has cost somebody a 500 or a silent change of data. Limits are checked while reading, so that a
hostile body is refused early.
"""

import json
import math
from typing import NoReturn

from saga.messages.json_text import Json
from saga.values import value

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
INT64_DIGITS_MAX = len(str(INT64_MIN))
FLOAT_DIGITS_MAX = 4_096


@value
class JsonLimits:
    """Bound what a body may hold."""

    bytes_max: int = 1024 * 1024
    depth_max: int = 64
    keys_max: int = 100_000


DEFAULT_LIMITS = JsonLimits()


class MalformedJson(ValueError):  # noqa: N818 - the name of what came in
    """Say that the bytes are not one JSON text in UTF-8 (HTTP 400)."""


class UnstorableJson(ValueError):  # noqa: N818
    """Say that the text is JSON but holds what can't be kept exactly (HTTP 422); `pointer` says where."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


def decode(body: bytes, limits: JsonLimits = DEFAULT_LIMITS) -> Json:
    """Decode one JSON text, strictly.

    Raises MalformedJson for what is no JSON in UTF-8 (a byte order mark, NaN, a duplicate key, a lone
    surrogate among it) and UnstorableJson for numbers out of range, NUL in a key, or too much depth.
    """
    if len(body) > limits.bytes_max:
        raise UnstorableJson(f"larger than {limits.bytes_max} bytes")
    text = _text(body)
    _check_nesting(text, limits.depth_max)
    # No text has more keys than colons, so for nearly every one the decoder that counts none will do.
    decoder = _decoder if text.count(":") <= limits.keys_max else _counting_decoder(limits.keys_max)
    try:
        value: Json = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def pointer_to(path: tuple[str | int, ...]) -> str:
    """Write a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _text(body: bytes) -> str:
    if not body.strip():
        raise MalformedJson("empty")
    if body.startswith(b"\xef\xbb\xbf"):
        raise MalformedJson("starts with a byte order mark")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJson(f"not UTF-8 at byte {error.start}") from None


def _check_nesting(text: str, depth_max: int) -> None:
    """Refuse deep nesting before the decoder recurses into it."""
    if text.count("[") + text.count("{") <= depth_max:
        return
    depth = 0
    in_string = False
    escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > depth_max:
                raise UnstorableJson(f"nested deeper than {depth_max}")
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedJson("an object has the same key twice")
    for key in value:
        if "\x00" in key:
            raise UnstorableJson("a key holds a NUL character")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # Longer than any 64-bit number: never handed to int(), whose cost grows with the square.
    if len(digits) > INT64_DIGITS_MAX:
        raise UnstorableJson("an integer is outside 64 bits")
    number = int(digits)
    if not INT64_MIN <= number <= INT64_MAX:
        raise UnstorableJson("an integer is outside 64 bits")
    return number


def _float(digits: str) -> float:
    # A float of more digits than 64 bits can hold is rounded; one that overflows is refused.
    if len(digits) > FLOAT_DIGITS_MAX:
        raise UnstorableJson("a number has thousands of digits")
    number = float(digits)
    if not math.isfinite(number):
        raise UnstorableJson("a number is out of range")
    return number


def _refuse_surrogates(value: Json) -> None:
    pending: list[Json] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            _refuse_surrogate(item)
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            for key in item:
                _refuse_surrogate(key)
            pending.extend(item.values())


def _refuse_surrogate(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedJson("a string holds a lone surrogate") from None


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float
)


def _counting_decoder(keys_max: int) -> json.JSONDecoder:
    keys = 0

    def counted(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        nonlocal keys
        keys += len(pairs)
        if keys > keys_max:
            raise UnstorableJson(f"more than {keys_max} keys")
        return _object(pairs)

    return json.JSONDecoder(
        object_pairs_hook=counted, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float
    )
