"""`saga participant check` at the terminal: what it asks first, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from api.cli.app import run
from api.cli.outcome import Exit
from saga.conformance.check import CASES
from tests.integration.test_conformance_over_http import over_http
from tests.support.model_participant import ModelParticipant
from tests.support.raw_http import hang, raw_server

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = ("--action", "reserve", "--compensation", "release", "--verify", "status", "--fences")
_UNREACHABLE = "http://127.0.0.1:1"


async def _check(participant: ModelParticipant, *arguments: str) -> int:
    async with raw_server(over_http(participant)) as server:
        # In a thread: the command has an event loop of its own.
        return await asyncio.to_thread(run, ["participant", "check", server.url, *_NAMED, *arguments])


async def test_a_good_participant_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has each case with its verdict and why it matters; nothing is advised."""
    assert await _check(ModelParticipant(), "--yes") is Exit.WELL

    shown = capsys.readouterr().out
    for case in CASES:
        assert case.name in shown
        assert case.why in shown
        assert case.advice not in shown
    assert f"{len(CASES)} passed, 0 failed" in shown


async def test_a_broken_participant_is_1_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON the same: what was seen, and what to do about it."""
    faults = frozenset({"undoes only once"})
    assert await _check(ModelParticipant(faults), "--yes", "--output", "json") is Exit.ERROR

    document = json.loads(capsys.readouterr().out)
    (failed,) = [case for case in document["cases"] if case["verdict"] == "failed"]
    assert failed["case"] == "undo_twice"
    assert failed["advice"]
    assert document["failed"] == 1
    assert document["process_ids"].startswith("check-")


async def test_nothing_is_done_by_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody sits at a terminal --yes is needed; whoever does is asked, and may say no."""
    participant = ModelParticipant()
    assert await _check(participant) is Exit.USAGE
    assert "say --yes" in capsys.readouterr().err

    for said, code in (("n\n", Exit.USAGE), ("\n", Exit.USAGE), ("y\n", Exit.WELL)):
        monkeypatch.setattr("sys.stdin", _Terminal(said))
        before = participant.done
        assert await _check(participant, "--only", "success") is code
        assert (participant.done > before) is (code is Exit.WELL)
        assert "for real" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((_UNREACHABLE, "--only", "sucess"), "there is no case"),
        ((_UNREACHABLE, "--timeout", "0"), "--timeout"),
        ((_UNREACHABLE, "--timeout", "nan"), "--timeout"),
        ((_UNREACHABLE, "--fences"), "--verify"),
        ((_UNREACHABLE, "-p", "novalue"), "is not key=value"),
        (("http://", "--action", "a"), "names no host"),
        (("ftp://user:s3cret@host", "--action", "a"), "http://"),
        (("http://a,http://b", "--action", "a"), "one address"),
        (("stock",), "--amqp-url"),
        (("Stock", "--amqp-url", "amqp://127.0.0.1:1"), "can't be the name of a service"),
    ],
)
def test_what_can_not_be_meant_is_2(
    arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is wrong and where, and repeats no password."""
    monkeypatch.delenv("SAGA_AMQP_URL", raising=False)
    assert run(["participant", "check", *arguments, "--yes"]) is Exit.USAGE
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert "s3cret" not in captured.err


@pytest.mark.parametrize(
    "arguments",
    [("http://user:s3cret@127.0.0.1:1",), ("stock", "--amqp-url", "amqp://user:s3cret@127.0.0.1:1/")],
)
def test_who_is_not_there_is_6(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence about what to look at."""
    assert run(["participant", "check", *arguments, "--action", "a", "--yes"]) is Exit.NOT_REACHABLE
    captured = capsys.readouterr()
    assert "running?" in captured.err
    assert "s3cret" not in captured.out + captured.err


async def test_a_password_of_the_address_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in the question nor in the report."""
    async with raw_server(over_http(ModelParticipant())) as server:
        target = server.url.replace("//", "//user:s3cret@")
        command = ["participant", "check", target, "--action", "reserve", "--only", "success"]
        assert await asyncio.to_thread(run, [*command, "--yes"]) is Exit.WELL
        assert await asyncio.to_thread(run, command) is Exit.USAGE
    captured = capsys.readouterr()
    assert server.url in captured.out
    assert "s3cret" not in captured.out + captured.err


async def test_silence_ends_by_the_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    """A participant that hangs fails soon, and the rest is not waited for."""
    async with raw_server(hang) as server:
        command = ["participant", "check", server.url, *_NAMED, "--yes", "--timeout", "0.05"]
        assert await asyncio.to_thread(run, command) is Exit.ERROR
    assert "see success" in capsys.readouterr().out


class _Terminal:
    """A terminal at which somebody types one line."""

    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        """Say that somebody sits there."""
        return True

    def readline(self) -> str:
        """Give what was typed."""
        return self._line
