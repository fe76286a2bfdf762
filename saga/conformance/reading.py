"""Read the answers of participants: over the broker by the words of their replies, over HTTP by the verdict."""

from functools import cache

from jsonschema import Draft202012Validator

from saga.calling.verdict import Completed, Elsewhere, Failed
from saga.conformance.wire import Answer, Word
from saga.contract.schemas import SCHEMAS
from saga.messages import strict_json
from saga.messages.json_text import Json, to_text
from saga.messages.reply import CompletedReply, FailedReply, InvalidReply, parse_reply

_SHOWN_MAX = 160
_PROBLEMS_MAX = 3
# What the orchestrator calls an answer that it can't use as it came.
_OF_FORM = frozenset({"unusable_output", "redirected"})


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


def read_verdict(outcome: Completed | Elsewhere | Failed, said: str, *, is_late: bool = False) -> Answer:
    """Read what the orchestrator makes of an answer over HTTP; `said` is the answer's status, for people."""
    match outcome:
        case Elsewhere():
            where = f"{said}: it answers at POST /step/…, which is not seen here"
            return Answer(Word.ELSEWHERE, where, is_late=is_late)
        case Completed(output=output):
            return Answer(Word.COMPLETED, f"{said} {_shown(output)}", output=output, is_late=is_late)
        case Failed(failure=failure):
            again = "retryable" if failure.retryable else "for good"
            is_unreadable = failure.code in _OF_FORM
            return Answer(
                Word.FAILED,
                f"{said}: failed {again}, {failure.code}",
                code=failure.code,
                retryable=failure.retryable,
                is_late=is_late,
                problems=(f"{said}: {failure.message}",) if is_unreadable else (),
            )


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name])


def _shown(value: Json) -> str:
    text = to_text(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
