"""Replies as participants in any language write them: read leniently where that is safe, refused where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.messages.json_text import NULL, from_text
from saga.messages.reply import (
    CODE_MAX,
    MESSAGE_MAX,
    RETRY_AFTER_MAX_S,
    CompletedReply,
    FailedReply,
    InvalidReply,
    ProgressReply,
    parse_reply,
)

if TYPE_CHECKING:
    from saga.messages.json_text import Json

ID = "p.hotel.a1"


def failed(error: Json) -> FailedReply:
    """Read a failure."""
    reply = parse_reply("failed", {"command_id": ID, "error": error})
    assert isinstance(reply, FailedReply)
    return reply


def progress(**members: Json) -> ProgressReply:
    """Read a progress report."""
    reply = parse_reply("progress", {"command_id": ID, **members})
    assert isinstance(reply, ProgressReply)
    return reply


@pytest.mark.parametrize("word", ["completed", "failed", "progress"])
@pytest.mark.parametrize(
    "body",
    [None, [], "x", 5, {}, {"command_id": None}, {"command_id": ""}, {"command_id": 5}, {"command_id": [ID]}],
)
def test_a_reply_without_a_command_id_is_refused(word: str, body: Json) -> None:
    """Nobody could tell whose it is."""
    with pytest.raises(InvalidReply):
        parse_reply(word, body)


@pytest.mark.parametrize("word", ["", "complete", "COMPLETED", "coordinator"])
def test_an_unknown_word_is_refused(word: str) -> None:
    """A message that was sent straight to the queue has no word of ours."""
    with pytest.raises(InvalidReply):
        parse_reply(word, {"command_id": ID})


@pytest.mark.parametrize("output", [None, True, 0, "text", [], {}, {"a": [1, {"b": None}]}])
def test_any_output_is_kept_as_it_is(output: Json) -> None:
    """An output may be any JSON value."""
    reply = parse_reply("completed", {"command_id": ID, "output": output, "more": 1})

    assert isinstance(reply, CompletedReply)
    assert from_text(reply.output) == output


def test_an_output_left_out_is_null() -> None:
    """A participant that has nothing to say says enough."""
    assert parse_reply("completed", {"command_id": ID}) == CompletedReply(ID, NULL)


def test_a_failure_is_retryable_unless_it_says_false() -> None:
    """Only the word `false` ends the tries: a wrong type must not cost a process its step."""
    assert failed({"code": "x"}).retryable
    assert failed(None).retryable
    assert failed({"retryable": True}).retryable
    assert failed({"retryable": "false"}).retryable
    assert failed({"retryable": 0}).retryable
    assert failed({"retryable": None}).retryable
    assert not failed({"retryable": False}).retryable


@pytest.mark.parametrize("error", ["declined", 5, [], True, [{"code": "x"}]])
def test_an_error_that_is_no_object_is_refused(error: Json) -> None:
    """Its form is part of the contract."""
    with pytest.raises(InvalidReply, match="error is an object"):
        failed(error)


@pytest.mark.parametrize("code", [None, "", 5, True, ["x"], {"a": 1}])
def test_a_code_of_the_wrong_type_is_failed(code: Json) -> None:
    """The failure counts all the same."""
    reply = failed({"code": code, "detail": 1})

    assert reply.code == "failed"
    assert from_text(reply.error) == {"code": "failed", "detail": 1, "message": ""}


@pytest.mark.parametrize("message", [None, 5, True, ["x"], {}])
def test_a_message_of_the_wrong_type_is_empty(message: Json) -> None:
    """Readers find a string there, always."""
    assert from_text(failed({"code": "x", "message": message}).error) == {"code": "x", "message": ""}


def test_what_is_too_long_is_cut() -> None:
    """Code and message are for people and metrics; the rest of the error is kept whole."""
    reply = failed({"code": "c" * 1_000, "message": "m" * 10_000, "trace": "t" * 10_000})

    assert reply.code == "c" * CODE_MAX
    assert from_text(reply.error) == {
        "code": "c" * CODE_MAX, "message": "m" * MESSAGE_MAX, "trace": "t" * 10_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (5, 5_000), (0.25, 250), (0, 0), (-1, 0), (None, 0), (True, 0), ("5", 0), ([5], 0), ({}, 0),
        (2**62, RETRY_AFTER_MAX_S * 1_000), (1e308, RETRY_AFTER_MAX_S * 1_000), (1e-300, 0),
    ],
)  # fmt: skip
def test_retry_after_is_a_bounded_number_of_seconds(value: Json, milliseconds: int) -> None:
    """Anything else asks for no particular wait."""
    assert failed({"retry_after": value}).retry_after_ms == milliseconds


@pytest.mark.parametrize("value", [None, False, 1, "true", {}])
def test_only_true_makes_an_effect_unknown(value: Json) -> None:
    """The word decides whether a step is undone, so it is read strictly."""
    assert failed({"effect_unknown": True}).effect_unknown
    assert not failed({"effect_unknown": value}).effect_unknown


@pytest.mark.parametrize(
    ("value", "percent"),
    [(33, 33.0), (33.3, 33.3), (-5, 0.0), (1e308, 100.0), (2**62, 100.0), (None, None), ("50", None),
     (True, None), ([1], None), ({}, None)],
)  # fmt: skip
def test_percent_is_a_number_from_0_to_100(value: Json, percent: float | None) -> None:
    """Progress without a usable percentage is progress still."""
    assert progress(percent=value).percent == percent


@pytest.mark.parametrize("value", [None, 5, True, ["x"], {}])
def test_a_progress_message_of_the_wrong_type_is_left_out(value: Json) -> None:
    """Likewise."""
    assert progress(message=value).message is None
    assert progress(message="m" * 10_000).message == "m" * MESSAGE_MAX
