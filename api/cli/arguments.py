"""What is written on the command line, turned into JSON: `key=value` pairs, and whole documents."""

import sys
from collections.abc import Sequence
from pathlib import Path

from api.cli.outcome import CommandError, Exit
from saga.messages import strict_json
from saga.messages.json_text import Json, JsonObject

STDIN = "-"


def parameters(source: str | None, pairs: Sequence[str]) -> JsonObject:
    """Read the parameters from a file (`-` is stdin), then the pairs over it."""
    document: JsonObject = {} if source is None else read_object(source)
    return {**document, **{key: _value(text) for key, text in map(_pair, pairs)}}


def labels(pairs: Sequence[str]) -> dict[str, str]:
    """Read `key=value` pairs whose values are strings."""
    return dict(map(_pair, pairs))


def output(text: str | None) -> JsonObject:
    """Read an output that is given on the command line, as the member of a body; nothing where none is."""
    return {} if text is None else {"output": _value(text)}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise CommandError(Exit.USAGE, f"{text!r} is not key=value")
    return key, value


def _value(text: str) -> Json:
    """Take JSON as JSON, and anything else as the string that it is."""
    try:
        return strict_json.decode(text.encode())
    except (strict_json.MalformedJson, strict_json.UnstorableJson, UnicodeEncodeError):
        return text


def read_object(source: str) -> JsonObject:
    """Read a file (`-` is stdin) that holds one JSON object."""
    try:
        body = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
        document = strict_json.decode(body)
    except OSError as error:
        raise CommandError(Exit.USAGE, f"{source} can't be read: {error.strerror}") from None
    except (strict_json.MalformedJson, strict_json.UnstorableJson) as error:
        raise CommandError(Exit.USAGE, f"{source}: {error}") from None
    if not isinstance(document, dict):
        raise CommandError(Exit.USAGE, f"{source}: it must hold a JSON object")
    return document
