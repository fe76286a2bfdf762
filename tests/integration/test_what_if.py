"""What would have become of processes that coordinators carried, had one message been another."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from api.cli import run
from saga.definition.catalog import Catalog
from saga.errors import SagaError, UnreadableLog
from saga.replay.history import History, StoredHistories
from saga.replay.past import UnknownEvent
from saga.replay.what_if import Answer, Compared, ImpossibleMessage, Message, what_if
from tests.integration.coordinator_world import World, reply, start, wake
from tests.integration.test_versions import TRIP, named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.messages.json_text import Json

ID = named("trip")


class Trip:
    """One trip that completed: the hotel after a second, the payment at the second attempt, the mail."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.histories = StoredHistories(world.store.log, Catalog(world.store.definitions))

    async def completes(self) -> Trip:
        """Carry it to its end."""
        member = await self.world.member(TRIP)
        await member.handle(start(ID, process_type="trip"))
        self.world.clock.move(1_000)
        await member.handle(reply("completed", "hotel.a1", process_id=ID, output={"room": 7}))
        self.world.clock.move(1_000)
        await member.handle(reply("failed", "payment.a1", process_id=ID, error={"code": "busy"}))
        self.world.clock.move(5_000)
        await member.handle(wake(await self.world.version(ID), self.world.clock.now(), ID))
        self.world.clock.move(2_000)
        for command in ("payment.a2", "mail.a1"):
            await member.handle(reply("completed", command, process_id=ID, output=None))
        return self

    async def history(self) -> History:
        """Give what is recorded."""
        history = await self.histories.one(ID)
        assert history is not None
        return history

    async def number(self, event: str) -> int:
        """Give the number of the first event of a name."""
        return (await self.world.events(ID)).index(event) + 1

    async def what_if(
        self, number: int, word: str, command: str, *, process_id: str = ID, **more: Any
    ) -> Compared:
        """Put a reply in the place of the message that caused an event; `script` answers what follows."""
        script = more.pop("script", {})
        body: Json = {"command_id": f"{process_id}.{command}", **more}
        return await what_if(
            self.histories, await self.history(), number, Message(f"step.{word}", body), script
        )


@pytest.fixture
async def trip(tmp_path: Path) -> AsyncIterator[Trip]:
    """Give a trip that completed."""
    world = await World.open(tmp_path)
    yield await Trip(world).completes()
    await world.close()


def _events(path: Any) -> list[tuple[str, str | None]]:
    return [(entry["type"], entry["step"]) for entry in path.entries]


async def test_the_same_message_leads_to_the_same_end(trip: Trip) -> None:
    """Recorded answers come when they came, and the timer between them goes off: event for event."""
    compared = await trip.what_if(
        await trip.number("step_completed"), "completed", "hotel.a1", output={"room": 7}
    )
    assert _events(compared.what_if) == _events(compared.then)
    assert [one["at"] for one in compared.what_if.entries] == [one["at"] for one in compared.then.entries]
    assert compared.what_if.state == compared.then.state
    assert (compared.left_open, compared.refused) == ((), ())


async def test_nothing_is_stored_or_sent(trip: Trip) -> None:
    """The log and the bus stay as they were."""
    before = await trip.world.events(ID)
    published = len(trip.world.members[0].bus.published)
    await trip.what_if(await trip.number("step_completed"), "failed", "hotel.a1", error={"code": "x"})
    assert await trip.world.events(ID) == before
    assert len(trip.world.members[0].bus.published) == published


@pytest.mark.parametrize(("kind", "body"), [("telepathy", "{}"), ("reply", "no json")])
async def test_a_message_that_was_damaged_is_named(trip: Trip, kind: str, body: str) -> None:
    """It can't come again as it came: at which event, and that it is its cause."""
    history = await trip.history()
    last = history.transitions[-1]
    damaged = replace(last, cause=replace(last.cause, kind=kind, body=body))
    history = replace(history, transitions=(*history.transitions[:-1], damaged))
    message = Message("step.completed", {"command_id": f"{ID}.hotel.a1", "output": None})
    number = await trip.number("step_completed")
    with pytest.raises(UnreadableLog) as caught:
        await what_if(trip.histories, history, number, message, {})
    assert (caught.value.number, caught.value.field) == (last.first, "cause")


async def test_what_was_never_sent_is_answered_by_the_script(trip: Trip) -> None:
    """The payment is refused: the hotel would have been cancelled, which the script answers."""
    refusal = {"code": "no_money", "retryable": False}
    number = await trip.number("step_failed")
    open_end = await trip.what_if(number, "failed", "payment.a1", error=refusal)
    assert str(open_end.what_if.state.status) == "compensating"
    assert open_end.left_open == (f"{ID}.hotel.c1",)
    script = {"hotel/compensation": Answer()}
    compared = await trip.what_if(number, "failed", "payment.a1", error=refusal, script=script)
    assert str(compared.what_if.state.status) == "compensated"
    assert str(compared.then.state.status) == "completed"
    assert compared.left_open == ()
    assert _events(compared.what_if)[-2:] == [("compensation_completed", "hotel"), ("compensated", None)]


async def test_an_answer_that_fails_is_tried_again_until_the_attempts_are_spent(trip: Trip) -> None:
    """Each attempt has the same answer; a recorded one comes first."""
    script = {"hotel": Answer(error={"code": "full"})}
    number = await trip.number("step_completed")
    compared = await trip.what_if(number, "failed", "hotel.a1", error={"code": "full"}, script=script)
    assert _events(compared.what_if).count(("step_failed", "hotel")) == 2
    assert str(compared.what_if.state.status) == "compensated"


async def test_a_better_past(trip: Trip) -> None:
    """Had the payment succeeded at once, the answer to the second attempt would have found nobody."""
    number = await trip.number("step_failed")
    compared = await trip.what_if(number, "completed", "payment.a1", output=None)
    assert str(compared.what_if.state.status) == "completed"
    assert compared.what_if.state.version == compared.then.state.version - 3
    mail = next(
        one for one in compared.what_if.entries if (one["type"], one["step"]) == ("step_completed", "mail")
    )
    assert str(mail["at"]) < str(compared.then.entries[-1]["at"]), "its answer took as long as it took then"


@pytest.mark.parametrize(
    ("number", "word", "command", "process_id", "why"),
    [
        (99, "completed", "hotel.a1", ID, "has no event 99"),
        (4, "completed", "hotel", ID, "the coordinators' door refuses"),
        (4, "completed", "hotel.a1", "stranger", "is for process stranger"),
        (4, "shrugged", "hotel.a1", ID, "the coordinators' door refuses"),
    ],
)
async def test_a_message_that_can_take_no_place(
    trip: Trip, number: int, word: str, command: str, process_id: str, why: str
) -> None:
    """It is said why."""
    with pytest.raises(SagaError, match=why) as refused:
        await trip.what_if(number, word, command, process_id=process_id, output=1)
    assert isinstance(refused.value, UnknownEvent | ImpossibleMessage)


async def test_a_message_that_the_process_refuses_is_told(trip: Trip) -> None:
    """Its command was never sent at that point; the recorded ones go on coming."""
    compared = await trip.what_if(await trip.number("step_completed"), "completed", "mail.a1", output=1)
    assert "unknown-command" in compared.refused[0]
    assert compared.what_if.entries == ()
    assert compared.left_open == (f"{ID}.hotel.a1",)


def test_at_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Both ways side by side, or as one document."""

    async def fill() -> int:
        world = await World.open(tmp_path)
        number = await (await Trip(world).completes()).number("step_failed")
        await world.close()
        return number

    for name in ("SAGA_AMQP_URL", "SAGA_MONGODB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_DATA", str(tmp_path))
    number = asyncio.run(fill())
    message, answers = tmp_path / "message.json", tmp_path / "answers.json"
    error = {"code": "no_money", "retryable": False}
    body = {"command_id": f"{ID}.payment.a1", "error": error}
    message.write_text(json.dumps({"routing_key": "step.failed", "body": body}), encoding="utf-8")
    answers.write_text(json.dumps({"hotel/compensation": {"output": None}}), encoding="utf-8")
    asked = ["what-if", ID, "--at", str(number), "--message", str(message)]

    assert run(asked) == 0
    printed = capsys.readouterr()
    assert "compensation_started hotel" in printed.out
    assert "hotel.c1" in printed.err
    assert run([*asked, "--answers", str(answers), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["then"]["status"], document["what_if"]["status"]) == ("completed", "compensated")
    assert run(["export", "--to", str(tmp_path / "all.jsonl")]) == 0
    assert run([*asked, "--from", str(tmp_path / "all.jsonl")]) == 0

    assert run(["what-if", named("nobody"), *asked[2:]]) == 3
    assert run(["what-if", ID, "--at", "99", "--message", str(message)]) == 3
    answers.write_text('{"hotel": {"outptu": 1}}', encoding="utf-8")
    assert run([*asked, "--answers", str(answers)]) == 2
    message.write_text("{}", encoding="utf-8")
    assert run(asked) == 2
