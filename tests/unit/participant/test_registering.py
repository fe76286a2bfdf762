"""Handlers are checked when they are registered, not at their first command."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from saga.errors import NotReady
from saga.participant import BusinessFailure, Participant, StepCommand, run
from saga.participant.service import find_transport
from saga.ports.participants import ReplyMessage

if TYPE_CHECKING:
    from decimal import Decimal


def test_an_action_has_one_handler() -> None:
    """A second one for the same action is refused; the first one stays."""
    hotel = Participant("hotel")
    hotel.handles("book")(lambda: None)

    with pytest.raises(ValueError, match="has a handler already"):
        hotel.handles("book")(lambda: None)
    assert hotel.actions == ("book",)


def test_the_decorated_function_stays_what_it_was() -> None:
    """So it can be called in a test of its own."""
    hotel = Participant("hotel")

    @hotel.handles("book")
    def book(parameters: dict[str, int]) -> int:
        return parameters["nights"]

    assert book({"nights": 2}) == 2


async def test_a_type_that_is_local_to_a_function_can_be_the_input() -> None:
    """Its name is found although the annotation is only text."""

    class Local(BaseModel):
        nights: int

    hotel = Participant("hotel")

    @hotel.handles("book")
    async def book(booking: Local) -> int:
        return booking.nights

    reply = await hotel.answer(b'{"command_id": "c1", "action": "book", "parameters": {"nights": 2}}')
    assert isinstance(reply, ReplyMessage)
    assert b'"output":2' in reply.body


def test_an_annotation_that_means_nothing_is_refused() -> None:
    """A type that is imported for the type checker only can't be validated."""
    with pytest.raises(TypeError, match="Decimal"):

        @Participant("hotel").handles("book")
        def book(price: Decimal) -> None: ...


def test_a_handler_takes_one_input_and_one_command() -> None:
    """Two inputs, two commands or a parameter by keyword are refused with its name."""

    def two_inputs(first: dict[str, int], second: dict[str, int]) -> None: ...
    def two_commands(first: StepCommand, second: StepCommand) -> None: ...
    def by_keyword(*, first: dict[str, int]) -> None: ...

    for function in (two_inputs, two_commands, by_keyword):
        with pytest.raises(TypeError, match="one input, one StepCommand"):
            Participant("hotel").handles("book")(function)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_retry_after_is_a_number_of_seconds(seconds: float) -> None:
    """What can't be waited for is refused where it is raised."""
    with pytest.raises(ValueError, match="retry_after"):
        BusinessFailure("busy", retryable=True, retry_after=seconds)


def test_running_without_an_address_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends with a sentence that names the setting."""
    monkeypatch.delenv("SAGA_AMQP_URL", raising=False)

    with pytest.raises(SystemExit, match="set SAGA_AMQP_URL"):
        run(Participant("hotel"))


def test_an_address_that_no_transport_knows_is_refused() -> None:
    """The sentence names the scheme, but not the address, which may hold a password."""
    with pytest.raises(NotReady, match="begins with 'http'") as refused:
        find_transport("http://user:secret@host")
    assert "secret" not in str(refused.value)
