"""A participant answers each command that can be answered: bytes in, a reply out, no bus."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import threading
from datetime import UTC, date, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from saga.participant import BusinessFailure, CompensatedStep, Participant, StepCommand
from saga.ports.participants import NoReply, ReplyMessage


class Booking(BaseModel):
    """What a hotel needs to know."""

    guest: str
    nights: int = Field(gt=0)


class Receipt(BaseModel):
    """What a hotel gives."""

    number: str
    on: date


def command(action: str = "book", **members: object) -> bytes:
    """Write a command as the orchestrator does."""
    return json.dumps(
        {
            "command_id": "p1.hotel.a1",
            "idempotency_key": "p1.hotel.a",
            "process_id": "p1",
            "process_type": "trip_booking",
            "step": "hotel",
            "service": "hotel",
            "action": action,
            "kind": "action",
            "attempt": 1,
            "parameters": {"guest": "ann", "nights": 2},
            "results": {},
            "deadline": "2026-11-24T12:00:30Z",
            "reply_key": "step",
        }
        | members
    ).encode()


async def ask(hotel: Participant, body: bytes) -> tuple[str, dict[str, Any]]:
    """Give the routing key and the body of the answer."""
    reply = await hotel.answer(body)
    assert isinstance(reply, ReplyMessage)
    assert reply.message_id == f"p1.hotel.a1.{reply.routing_key.rpartition('.')[2]}"
    assert reply.correlation_id == "p1"
    value = json.loads(reply.body)
    assert value["command_id"] == "p1.hotel.a1"
    return reply.routing_key, value


@pytest.fixture
def hotel() -> Participant:
    """Give a participant without handlers."""
    return Participant("hotel")


async def test_a_handler_gets_its_typed_input_and_its_model_is_the_output(hotel: Participant) -> None:
    """The first parameter's annotation is validated, and a model is written as JSON."""

    @hotel.handles("book")
    async def book(booking: Booking) -> Receipt:
        assert booking == Booking(guest="ann", nights=2)
        return Receipt(number="h1", on=date(2026, 11, 24))

    assert await ask(hotel, command()) == (
        "step.completed",
        {"command_id": "p1.hotel.a1", "output": {"number": "h1", "on": "2026-11-24"}},
    )


async def test_a_handler_may_ask_for_the_command(hotel: Participant) -> None:
    """Everything that the orchestrator said is there, wherever the parameter stands."""
    seen: list[StepCommand] = []

    @hotel.handles("cancel")
    async def cancel(given: StepCommand, booking: Booking) -> None:
        seen.append(given)
        assert booking.guest == "ann"

    undone = {"step": "hotel", "index": None, "idempotency_key": "p1.hotel.a", "output": {"number": "h1"}}
    await ask(hotel, command("cancel", kind="compensation", attempt=2, compensates=undone, item=[1], index=3))

    assert seen[0].attempt == 2
    assert seen[0].kind == "compensation"
    assert seen[0].idempotency_key == "p1.hotel.a"
    assert seen[0].deadline == datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
    assert seen[0].compensates == CompensatedStep("hotel", None, "p1.hotel.a", {"number": "h1"})
    assert (seen[0].index, seen[0].item) == (3, [1])


async def test_what_a_handwritten_command_leaves_out_has_a_default(hotel: Participant) -> None:
    """A command id and an action are enough; the reply goes to the plain key."""

    @hotel.handles("book")
    async def book(given: StepCommand) -> dict[str, object]:
        return {"key": given.idempotency_key, "attempt": given.attempt}

    reply = await hotel.answer(b'{"command_id": "c1", "action": "book", "reply_key": "a b#"}')

    assert isinstance(reply, ReplyMessage)
    assert reply.routing_key == "step.completed"
    assert json.loads(reply.body)["output"] == {"key": "c1", "attempt": 1}


async def test_a_reply_goes_to_the_key_that_the_command_names(hotel: Participant) -> None:
    """So replies can be partitioned without changing a participant."""

    @hotel.handles("book")
    async def book() -> None: ...

    assert (await ask(hotel, command(reply_key="step7")))[0] == "step7.completed"


async def test_a_plain_function_runs_in_a_thread(hotel: Participant) -> None:
    """It may block without stopping the others: two that wait for each other both come to their end."""
    both = threading.Barrier(2, timeout=10)

    @hotel.handles("book")
    def book(booking: Booking) -> str:
        both.wait()
        return booking.guest

    answers = await asyncio.gather(ask(hotel, command()), ask(hotel, command()))

    assert [value["output"] for _, value in answers] == ["ann", "ann"]


class _Room(TypedDict):
    number: int


@dataclasses.dataclass
class _Key:
    door: int


@pytest.mark.parametrize(
    ("output", "written"),
    [
        (None, {}),
        ({"a": [1, None]}, {"a": [1, None]}),
        ([1, 2], [1, 2]),
        ("text", "text"),
        (False, False),
        (_Room(number=7), {"number": 7}),
        (_Key(7), {"door": 7}),
        ({"at": datetime(2026, 11, 24, tzinfo=UTC)}, {"at": "2026-11-24T00:00:00Z"}),
        ([Receipt(number="1", on=date(2026, 1, 1))], [{"number": "1", "on": "2026-01-01"}]),
    ],
)
async def test_whatever_is_json_can_be_an_output(hotel: Participant, output: object, written: object) -> None:
    """None is an empty output; models and dates are written as pydantic writes them."""

    @hotel.handles("book")
    async def book() -> object:
        return output

    assert (await ask(hotel, command()))[1]["output"] == written


@pytest.mark.parametrize(
    "annotation", [_Room, dict[str, int], Annotated[dict[str, int], Field(min_length=1)]]
)
async def test_any_type_that_pydantic_validates_can_be_the_input(hotel: Participant, annotation: Any) -> None:
    """A TypedDict, a dict or an annotated type does as well as a model."""

    @hotel.handles("book")
    async def book(value: annotation) -> object:
        return value

    assert (await ask(hotel, command(parameters={"number": 7})))[1]["output"] == {"number": 7}
    assert (await ask(hotel, command(parameters={})))[0] in {"step.failed", "step.completed"}


async def test_a_business_failure_is_an_answer(hotel: Participant) -> None:
    """Its code, its message and what it says about trying again are in the reply."""

    @hotel.handles("book")
    async def book(booking: Booking) -> None:
        raise BusinessFailure("no_room", f"none for {booking.guest}", retryable=True, retry_after=5)

    assert await ask(hotel, command()) == (
        "step.failed",
        {
            "command_id": "p1.hotel.a1",
            "error": {"code": "no_room", "message": "none for ann", "retryable": True, "retry_after": 5},
        },
    )


async def test_a_business_failure_is_final_unless_it_says_otherwise(hotel: Participant) -> None:
    """`retryable` is written, because a reply that leaves it out means true."""

    @hotel.handles("book")
    def book() -> None:
        raise BusinessFailure("card_declined", "the bank refused")

    error = (await ask(hotel, command()))[1]["error"]
    assert error == {"code": "card_declined", "message": "the bank refused", "retryable": False}


async def test_an_invalid_input_is_located_and_not_repeated(hotel: Participant) -> None:
    """The reply is final and says where and what is wrong, but holds no value of the input."""

    @hotel.handles("book")
    async def book(booking: Booking) -> None:
        raise AssertionError(booking)

    key, value = await ask(hotel, command(parameters={"nights": "secret-7"}))

    assert key == "step.failed"
    assert value["error"]["code"] == "invalid_input"
    assert value["error"]["retryable"] is False
    assert value["error"]["errors"] == [
        {"pointer": "/guest", "type": "missing"},
        {"pointer": "/nights", "type": "int_parsing"},
    ]
    assert "secret" not in json.dumps(value)


async def test_an_unknown_action_is_refused_for_good(hotel: Participant) -> None:
    """Trying again would not help, so the reply says so."""
    key, value = await ask(hotel, command("fly"))

    assert key == "step.failed"
    assert value["error"]["code"] == "unknown_action"
    assert value["error"]["retryable"] is False


async def test_an_unexpected_exception_leaves_the_effect_unknown(
    hotel: Participant, caplog: pytest.LogCaptureFixture
) -> None:
    """The reply says that something may have happened and names no internals; the log has the traceback."""

    @hotel.handles("book")
    async def book() -> None:
        raise RuntimeError("password=hunter2")

    with caplog.at_level(logging.ERROR):
        key, value = await ask(hotel, command())

    assert key == "step.failed"
    error = value["error"]
    assert (error["code"], error["retryable"], error["effect_unknown"]) == ("handler_error", True, True)
    assert "hunter2" not in json.dumps(value)
    assert "hunter2" in caplog.text
    assert "Traceback" in caplog.text


async def test_even_a_stop_iteration_in_a_thread_is_answered(hotel: Participant) -> None:
    """A future can't hold this exception; the command must not wait for ever because of it."""

    @hotel.handles("book")
    def book() -> None:
        next(iter(()))

    assert (await asyncio.wait_for(ask(hotel, command()), 5))[1]["error"]["code"] == "handler_error"


@pytest.mark.parametrize("output", [float("nan"), 2**64, object(), "\ud800", {"a\x00": 1}])
async def test_an_output_that_can_not_be_kept_leaves_the_effect_unknown(
    hotel: Participant, output: object
) -> None:
    """The work is done but nobody can know its output: final, and to be undone."""

    @hotel.handles("book")
    async def book() -> object:
        return output

    error = (await ask(hotel, command()))[1]["error"]
    assert error["code"] == "unusable_output"
    assert (error["retryable"], error["effect_unknown"]) == (False, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"command_id": 7}',
        b'{"command_id": ""}',
        b'{"command_id": "a b"}',
        b'{"command_id": "a", "command_id": "b"}',
        b'{"command_id": "' + b"a" * 129 + b'"}',
        b'{"command_id": "a", "parameters": NaN}',
        b"[" * 100_000,
    ],
)
async def test_what_nobody_could_answer_gets_no_answer(
    hotel: Participant, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    """Without a usable command id there is no reply; the log says why."""
    with caplog.at_level(logging.ERROR):
        assert await hotel.answer(body) is NoReply.UNANSWERABLE
    assert "is no command" in caplog.text


async def test_a_cancelled_command_is_not_answered(hotel: Participant) -> None:
    """A service that is stopped leaves the command for another one, instead of reporting a failure."""
    began = asyncio.Event()

    @hotel.handles("book")
    async def book() -> None:
        began.set()
        await asyncio.Event().wait()

    answering = asyncio.create_task(hotel.answer(command()))
    await began.wait()
    answering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await answering


async def test_a_handler_that_cancels_itself_is_answered(hotel: Participant) -> None:
    """A CancelledError that nobody asked for is a failure like any other."""

    @hotel.handles("book")
    async def book() -> None:
        raise asyncio.CancelledError

    assert (await ask(hotel, command()))[1]["error"]["code"] == "handler_error"
