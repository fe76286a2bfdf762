"""The door for bodies: nothing comes in that is too large, too slow, encoded, or not strict JSON.

The framework's own reading is not used: it takes NaN and duplicate keys, waits for ever, and answers with
documents that repeat what was sent.
"""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from api import problems as kinds
from api.problems import Problem
from saga.messages.json_text import JsonObject
from saga.messages.strict_json import DEFAULT_LIMITS, MalformedJson, UnstorableJson, decode, pointer_to

BODY_BYTES_MAX = DEFAULT_LIMITS.bytes_max
BODY_SECONDS_MAX = 8.0
_CLOSE = {"connection": "close"}

_Model = TypeVar("_Model", bound=BaseModel)


async def read_body(request: Request, model: type[_Model]) -> _Model:
    """Read a body of ours into its model. Raises Problem for anything else."""
    document = await read_json_object(request)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        pairs = [
            (pointer_to(one["loc"]), _sentence(str(one["type"]), str(one["msg"])))
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise Problem(
            kinds.INVALID_BODY, "The body does not have the form that is expected here.", errors=pairs
        ) from None


async def read_json_object(request: Request) -> JsonObject:
    """Read a body that is one JSON object. Raises Problem for anything else."""
    _refuse_other_types(request.headers)
    body = await _read_bytes(request)
    try:
        document = decode(body)
    except MalformedJson as error:
        raise Problem(kinds.MALFORMED_JSON, f"The body is {_as_phrase(error)}.") from None
    except UnstorableJson as error:
        pairs = [(error.pointer, str(error))]
        raise Problem(kinds.UNSTORABLE, "The body holds what can't be kept exactly.", errors=pairs) from None
    if not isinstance(document, dict):
        raise Problem(kinds.INVALID_BODY, "The body is not an object.", errors=[("", "must be an object")])
    return document


def _refuse_other_types(headers: Headers) -> None:
    types = headers.getlist("content-type")
    if len(types) != 1 or not _is_json(types[0]):
        raise Problem(
            kinds.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json in UTF-8.", headers=_CLOSE
        )
    if any(coding.strip().lower() != "identity" for coding in headers.getlist("content-encoding")):
        raise Problem(
            kinds.UNSUPPORTED_MEDIA_TYPE, "A body with a content encoding is not taken.", headers=_CLOSE
        )


def _is_json(content_type: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    return media_type == "application/json" and all(
        parameter in {"", "charset=utf-8", 'charset="utf-8"'} for parameter in parameters
    )


async def _read_bytes(request: Request) -> bytes:
    if _declared_length(request.headers) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    break
    except TimeoutError:
        raise Problem(
            kinds.REQUEST_TIMEOUT, "The body did not come within a few seconds.", headers=_CLOSE
        ) from None
    except ClientDisconnect:
        raise Problem(kinds.BAD_REQUEST, "The connection ended within the body.") from None
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    return bytes(body)


def _declared_length(headers: Headers) -> int:
    declared = headers.get("content-length", "0")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else 0  # noqa: PLR2004 - the server has checked it; this only bounds the conversion


def _too_large() -> Problem:
    return Problem(
        kinds.CONTENT_TOO_LARGE, f"The body is larger than {BODY_BYTES_MAX} bytes.", headers=_CLOSE
    )


def _as_phrase(error: MalformedJson) -> str:
    text = str(error)
    return text if text.startswith(("not ", "empty")) else f"not acceptable: {text}"


def _sentence(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "is not a member of this body"
        case "missing":
            return "is missing"
        case _:
            return message.removeprefix("Value error, ")
