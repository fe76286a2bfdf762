"""What the impact report says of a version, held against what then happens to processes that are moved to it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.rulings import Beginning
from saga.definition.catalog import Catalog, KnownDefinition, known_definition, stored_definition
from saga.definition.sources import parse_definition
from saga.ports.bus import APP_ID
from saga.process.codec import event_name
from saga.replay.history import StoredHistories
from saga.replay.impact import Effect, Impact, Impacts
from saga.replay.verifying import Verification
from saga.usecases.migrate import MigrateProcesses, Outcome
from tests.integration.coordinator_world import Handed, Member, World, reply, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from saga.messages.json_text import JsonObject

HEAD = "process_type: trip\nretry: {attempts: 2, backoff: 5, jitter: 0}\ntimeout: 30\nsteps:\n"
HOTEL = "- {name: hotel, service: first, action: book, compensation: cancel, expected: 1}\n"
PAYMENT = "- {name: payment, service: second, action: charge, compensation: refund, after: [hotel]}\n"
MAIL = "- {name: mail, service: first, action: send, compensation: none, after: [payment]}\n"
TRIP = HEAD + HOTEL + PAYMENT + MAIL
CAR = "- {name: car, service: second, action: rent, compensation: give_back, after: [hotel]}\n"
SURVEY = "- {name: survey, service: first, action: ask, compensation: none, after: [mail]}\n"

# Of each version, what is said of a process that waits for its hotel, payment, mail, and the undo of the hotel.
VERSIONS = {
    "the same but for an estimate": (TRIP.replace("expected: 1", "expected: 2"), ["", "", "", ""]),
    "a step at the end": (TRIP + SURVEY, ["survey", "survey", "survey", ""]),
    "a step in the middle": (
        HEAD + HOTEL + CAR + PAYMENT.replace("[hotel]", "[car]") + MAIL, ["car", "!", "!", "!"],
    ),
    "a step beside others": (HEAD + HOTEL + CAR + PAYMENT + MAIL, ["car", "car", "car", ""]),
    "a step that is gone": (HEAD + HOTEL + MAIL.replace("[payment]", "[hotel]"), ["payment", "!", "!", "!"]),
    "another time-out": (TRIP.replace("charge,", "charge, timeout: 60,"), ["payment"] * 4),
    "another undo": (TRIP.replace("cancel", "release"), ["hotel"] * 4),
    "another service": (TRIP.replace("service: second", "service: first"), ["payment", "!", "!", "!"]),
    "other parameters": (
        TRIP.replace("steps:", "parameters: {required: [b]}\nsteps:"), ["!"] * 4,
    ),
}  # fmt: skip
# What differs only if the step is tried again, or undone, is not seen where all goes well from there on.
UNSEEN = {
    *(("another undo", point) for point in ("hotel", "payment", "mail", "undo")),
    *(("another time-out", point) for point in ("payment", "mail")),
}
ANSWERS: tuple[list[tuple[str, str]], ...] = (
    [],
    [("completed", "hotel.a1")],
    [("completed", "hotel.a1"), ("completed", "payment.a1")],
    [("completed", "hotel.a1"), ("failed", "payment.a1")],
)
NAMES = ("hotel", "payment", "mail", "undo")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a store without coordinators."""
    world = await World.open(tmp_path)
    yield world
    await world.close()


def named(name: str) -> str:
    """Give the id of a process of the tests."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


class Trips:
    """Processes of the trip on one coordinator, at the four points, each with a twin that is never moved."""

    def __init__(self, world: World, member: Member) -> None:
        self.world = world
        self.member = member

    async def begin(self) -> None:
        """Bring all of them to their points."""
        for kind in ("moved", "twin"):
            for name, answers in zip(NAMES, ANSWERS, strict=True):
                process_id = named(f"{kind}-{name}")
                await self.member.handle(start(process_id, process_type="trip"))
                for word, command in answers:
                    error: JsonObject = {"code": "broke", "retryable": False}
                    said: JsonObject = {"error": error} if word == "failed" else {}
                    await self.member.handle(reply(word, command, process_id=process_id, **said))

    async def asks(self, process_id: str, version: KnownDefinition) -> None:
        """Ask that a process goes on by a version."""
        body = {"process_id": process_id, "definition": version.hash, "reason": "why", "actor": "ada"}
        message = Handed(
            "process.migrate", json.dumps(body).encode(), f"m-{process_id}", APP_ID, exchange="saga.commands"
        )
        await self.member.handle(message)
        await self.member.handle(message)

    async def commands(self, process_id: str) -> list[tuple[str, str, str]]:
        """Give what was sent of a process, without its id."""
        return [
            (one.command_id.partition(".")[2], one.routing_key, one.body.replace(process_id, "-"))
            for transition in await self.world.store.log.read(process_id)
            for one in transition.commands
        ]

    async def ends(self, process_id: str) -> None:
        """Answer whatever is asked by success, until nothing more is asked."""
        answered: set[str] = set()
        while asked := [name for name, *_ in await self.commands(process_id) if name not in answered]:
            for name in asked:
                answered.add(name)
                await self.member.handle(reply("completed", name, process_id=process_id, output={}))


async def _impact(world: World, version: KnownDefinition) -> dict[str, Impact]:
    impacts = Impacts(StoredHistories(world.store.log, Catalog(world.store.definitions)), version)
    judged = [await impacts.judge(history) async for history in impacts.histories.every()]
    return {found.process_id: found for found in judged if found is not None}


def _known(text: str) -> KnownDefinition:
    return known_definition(stored_definition(parse_definition(text, source="test"), at=1))


@pytest.mark.parametrize("name", VERSIONS)
async def test_the_impact_of_a_version_is_what_then_happens(world: World, name: str) -> None:
    """Who can't go on is refused and ends as its twin, like who is unaffected; the rest parts as it was said."""
    text, expected = VERSIONS[name]
    version = _known(text)
    trips = Trips(world, await world.member(TRIP))
    await trips.begin()
    impact = await _impact(world, version)
    await trips.member.catalog.register([version.definition], at=2)

    for point, said in zip(NAMES, expected, strict=True):
        moved, twin = named(f"moved-{point}"), named(f"twin-{point}")
        found = impact[moved]
        assert (found.effect is Effect.CANNOT_GO_ON) == (said == "!"), found
        assert said in {"!", ""} or said == found.ahead[0].step
        assert bool(found.ahead) == (said not in {"!", ""})
        before = len(await trips.commands(moved))
        await trips.asks(moved, version)
        events = await world.events(moved)
        assert events.count("migration_rejected" if said == "!" else "migrated") == 1
        await trips.ends(moved)
        await trips.ends(twin)
        then, now = await trips.commands(twin), (await trips.commands(moved))[before:]
        then = then[before:]
        if said in {"!", ""}:
            assert now == then
        else:
            parted = {step.partition(".")[0] for step, *_ in set(now) ^ set(then)}
            assert (said in parted) is ((name, point) not in UNSEEN)
        state = await world.store.projections.load(moved)
        assert state is not None
        assert (state.definition_hash == version.hash) is (said != "!")


async def test_what_was_moved_is_verified_by_the_versions_that_it_had(world: World) -> None:
    """From the migration on by the newer one, also where the decision was taken by another coordinator."""
    text, _ = VERSIONS["a step beside others"]
    version = _known(text)
    trips = Trips(world, await world.member(TRIP))
    await trips.begin()
    other = await world.member(TRIP)
    await other.handle(reply("progress", "payment.a1", process_id=named("moved-payment")))
    await trips.member.catalog.register([version.definition], at=2)
    for point in NAMES:
        await trips.asks(named(f"moved-{point}"), version)
        trips.member = other
        await trips.ends(named(f"moved-{point}"))
    verification = Verification(StoredHistories(world.store.log, Catalog(world.store.definitions)))
    histories = StoredHistories(world.store.log, Catalog(world.store.definitions))
    async for history in histories.every():
        verified = await verification.verify(history)
        assert verified is not None
        assert verified.is_well, verified.document()
    assert "car" in {event.step for event in await _started(world, named("moved-payment"))}  # type: ignore[attr-defined]  # of the events that have one


async def _started(world: World, process_id: str) -> list[object]:
    log = await world.store.log.read(process_id)
    return [one for transition in log for one in transition.events if event_name(one) == "step_started"]


async def test_the_differences_of_the_past_name_the_event_and_what_would_have_been(world: World) -> None:
    """Also of processes that have ended."""
    trips = Trips(world, await world.member(TRIP))
    await trips.begin()
    await trips.ends(named("moved-mail"))
    text, _ = VERSIONS["another time-out"]
    found = await _impact(world, _known(text))
    ended = found[named("moved-mail")]
    assert (ended.effect, ended.is_running, ended.step) == (Effect.DIFFERS, False, "payment")
    assert ended.difference is not None
    assert ended.difference.fields[0].field == "due_at"
    assert found[named("moved-hotel")].effect is Effect.UNAFFECTED


async def test_requests_that_come_too_late_or_name_nothing_are_in_the_log(world: World) -> None:
    """The process had fitted when it was judged; it is judged again when the request arrives."""
    text, _ = VERSIONS["a step in the middle"]
    version = _known(text)
    trips = Trips(world, await world.member(TRIP))
    await trips.begin()
    catalog = trips.member.catalog
    migrating = MigrateProcesses(world.store.log, world.store.projections, catalog, Beginning(version, {}))
    judged = await migrating.judge(named("moved-hotel"))
    assert judged.outcome is Outcome.FITS
    assert (await migrating.judge(named("moved-mail"))).outcome is Outcome.REFUSED
    assert (await migrating.judge(named("nobody"))).outcome is Outcome.UNKNOWN
    names = {one async for one in migrating.matching((), {})}
    assert names == {named(f"{kind}-{point}") for kind in ("moved", "twin") for point in NAMES}

    unheard = _known(TRIP.replace("book", "reserve"))
    await trips.asks(named("twin-hotel"), unheard)
    await trips.member.handle(reply("completed", "hotel.a1", process_id=named("moved-hotel")))
    await catalog.register([version.definition], at=2)
    await trips.asks(named("moved-hotel"), version)
    for process_id, why in (
        (named("twin-hotel"), "no such version"),
        (named("moved-hotel"), "began before car"),
    ):
        last = (await world.store.log.read(process_id))[-1].events[-1]
        assert event_name(last) == "migration_rejected"
        assert why in last.why  # type: ignore[union-attr]  # its name says that it has one


async def test_a_request_is_followed_until_the_log_has_its_outcome(world: World) -> None:
    """Where nobody takes it, it waits in the queue."""
    text, _ = VERSIONS["a step at the end"]
    version = _known(text)
    trips = Trips(world, await world.member(TRIP))
    await trips.begin()
    await trips.member.catalog.register([version.definition], at=2)
    catalog, bus = Catalog(world.store.definitions), trips.member.bus
    migrating = MigrateProcesses(world.store.log, world.store.projections, catalog, Beginning(version, {}))
    judged = await migrating.judge(named("moved-hotel"))
    words = {"reason": "why", "actor": "ada"}
    waiting = await migrating.ask(judged, bus, world.clock, **words, within_s=0)
    assert waiting.outcome is Outcome.ASKED
    consumption = await trips.member.consume()
    moved = await migrating.ask(judged, bus, world.clock, **words, within_s=5)
    assert moved.outcome is Outcome.MIGRATED
    assert (await world.events(named("moved-hotel"))).count("migrated") == 1
    await consumption.stop()
