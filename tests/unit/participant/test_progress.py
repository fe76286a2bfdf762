"""A handler that works for long says so: by itself, or by a heartbeat, and never so often that it floods."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from saga.errors import BusUnavailable
from saga.participant import Participant, Progress
from saga.ports.participants import ReplyMessage
from saga.testing import VirtualTimeLoop

COMMAND = b'{"command_id": "p1.film.a1", "process_id": "p1", "action": "render", "reply_key": "step"}'


class Reports:
    """Takes what is published meanwhile, or refuses it."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.sent: list[ReplyMessage] = []

    async def __call__(self, message: ReplyMessage) -> None:
        """Publish a report."""
        if self.is_away:
            raise BusUnavailable("the broker is away")
        self.sent.append(message)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was said, in its order."""
        return [json.loads(one.body) for one in self.sent]


def _answer(film: Participant, reports: Reports) -> ReplyMessage:
    async def answer() -> ReplyMessage:
        reply = await film.answer(COMMAND, report=reports)
        assert isinstance(reply, ReplyMessage)
        return reply

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(answer())


def test_a_handler_reports_how_far_it_is() -> None:
    """Each report is a message of its own about the command, and the answer follows."""
    film, reports = Participant("film"), Reports()

    @film.handles("render")
    async def render(progress: Progress) -> dict[str, int]:
        progress(10, "the first reel")
        await asyncio.sleep(5)
        progress(60)
        await asyncio.sleep(5)
        return {"reels": 2}

    assert _answer(film, reports).routing_key == "step.completed"
    assert reports.bodies == [
        {"command_id": "p1.film.a1", "percent": 10, "message": "the first reel"},
        {"command_id": "p1.film.a1", "percent": 60},
    ]
    assert {one.routing_key for one in reports.sent} == {"step.progress"}
    assert len({one.message_id for one in reports.sent}) == 2


def test_of_many_reports_the_newest_is_sent_each_second() -> None:
    """A thousand in ten seconds are eleven messages at most."""
    film, reports = Participant("film"), Reports()

    @film.handles("render")
    async def render(progress: Progress) -> None:
        for done in range(1000):
            progress(done / 10)
            await asyncio.sleep(0.01)

    _answer(film, reports)

    assert 9 <= len(reports.sent) <= 11
    percents = [body["percent"] for body in reports.bodies]
    assert percents == sorted(percents)


def test_a_heartbeat_reports_by_itself() -> None:
    """A handler that says nothing for a minute is heard of every ten seconds."""
    film, reports = Participant("film"), Reports()

    @film.handles("render", heartbeat=10)
    async def render() -> None:
        await asyncio.sleep(60)

    _answer(film, reports)

    assert reports.bodies == [{"command_id": "p1.film.a1"}] * 5


def test_a_plain_function_may_report_too() -> None:
    """It runs in a thread, and its report is sent by the loop."""
    film, reports = Participant("film"), Reports()
    was_sent = threading.Event()

    @film.handles("render")
    def render(progress: Progress) -> bool:
        progress(50)
        return was_sent.wait(10)

    class Heard(Reports):
        """Lets the function go on when its report is published."""

        async def __call__(self, message: ReplyMessage) -> None:
            """Publish a report."""
            reports.sent.append(message)
            was_sent.set()

    assert json.loads(_answer(film, Heard()).body)["output"] is True
    assert reports.bodies == [{"command_id": "p1.film.a1", "percent": 50}]


def test_a_report_that_is_lost_costs_nothing_else() -> None:
    """The work goes on and is answered."""
    film = Participant("film")

    @film.handles("render", heartbeat=1)
    async def render() -> None:
        await asyncio.sleep(5)

    assert _answer(film, Reports(is_away=True)).routing_key == "step.completed"


def test_nothing_is_reported_after_the_end() -> None:
    """What was said last, just before the answer, would only come too late."""
    film, reports = Participant("film"), Reports()

    @film.handles("render", heartbeat=1)
    async def render(progress: Progress) -> None:
        progress(100)

    _answer(film, reports)

    assert len(reports.sent) <= 1


def test_a_heartbeat_that_would_flood_is_refused() -> None:
    """It is a number of seconds, one or more."""
    with pytest.raises(ValueError, match="1 s or longer"):
        Participant("film").handles("render", heartbeat=0.1)
