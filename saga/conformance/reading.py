"""Read the answers of participants: over the broker by the words of their replies, over HTTP by the status."""

from functools import cache

from jsonschema import Draft202012Validator

from saga.conformance.wire import Answer, Word
from saga.contract.schemas import SCHEMAS
from saga.messages import strict_json
from saga.messages.json_text import Json, to_text
from saga.messages.reply import CompletedReply, FailedReply, InvalidReply, parse_reply

_SHOWN_MAX = 160
_PROBLEMS_MAX = 3
_ACCEPTED = 202
_NOT_FOUND = frozenset({404, 410})
_RETRYABLE = frozenset({408, 425, 429})
_REDIRECTS, _REFUSALS, _TROUBLE = 300, 400, 500


def silent(reason: str) -> Answer:
    """Say that nothing came back."""
    return Answer(Word.SILENT, reason, is_late=True)


def read_reply(word: str, body: bytes, *, is_late: bool = False, notes: tuple[str, ...] = ()) -> Answer:
    """Read a completed or failed reply from the broker, and judge it by its schema."""
    try:
        value = strict_json.decode(body)
        reply = parse_reply(word, value)
    except (strict_json.MalformedJson, strict_json.UnstorableJson, InvalidReply) as error:
        problem = f"a {word} reply can't be read: {error}"
        return Answer(Word.SILENT, problem, is_late=is_late, problems=(problem,), notes=notes)
    problems = judged(word, value)
    match reply:
        case CompletedReply():
            output = value.get("output") if isinstance(value, dict) else None
            said = f"completed {_shown(output)}"
            return Answer(
                Word.COMPLETED, said, output=output, is_late=is_late, problems=problems, notes=notes
            )
        case FailedReply():
            again = "retryable" if reply.retryable else "for good"
            return Answer(
                Word.FAILED,
                f"failed {again}: {_shown(reply.code)}",
                code=reply.code,
                retryable=reply.retryable,
                is_late=is_late,
                problems=problems,
                notes=notes,
            )
        case _:
            raise ValueError("progress is no answer")


def judged(word: str, reply: Json) -> tuple[str, ...]:
    """Say where a reply breaks the published schema of its kind."""
    errors = list(_validator(f"{word}_reply").iter_errors(reply))[:_PROBLEMS_MAX]
    places = [strict_json.pointer_to(tuple(error.absolute_path)) or "the top" for error in errors]
    return tuple(
        f"{word} reply at {place}: {error.message[:_SHOWN_MAX]}"
        for place, error in zip(places, errors, strict=True)
    )


def read_response(status: int, body: bytes, *, is_late: bool = False) -> Answer:
    """Read an answer over HTTP as the orchestrator does."""
    said = f"HTTP {status}"
    if status == _ACCEPTED:
        return Answer(Word.ELSEWHERE, f"{said}: it answers at POST /step/…, which is not seen here")
    try:
        value: Json = strict_json.decode(body)
        problem = ""
    except (strict_json.MalformedJson, strict_json.UnstorableJson) as error:
        value, problem = None, f"{said} with a body that can't be read: {error}"
    if status < _REDIRECTS:
        problems = (problem,) if problem else ()
        said = f"{said} {_shown(value)}"
        return Answer(Word.COMPLETED, said, output=value, is_late=is_late, problems=problems)
    if status < _REFUSALS:
        problem = f"{said}: redirects are not followed"
        return Answer(Word.FAILED, said, retryable=False, is_late=is_late, problems=(problem,))
    code = "not_found" if status in _NOT_FOUND else f"http_{status}"
    retryable = status >= _TROUBLE or status in _RETRYABLE
    again = "retryable" if retryable else "for good"
    return Answer(Word.FAILED, f"{said}: failed {again}", code=code, retryable=retryable, is_late=is_late)


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name])


def _shown(value: Json) -> str:
    text = to_text(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
