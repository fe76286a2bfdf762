"""`saga impact` and `saga migrate` on a folder in which coordinators worked, and work again afterwards."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from api.cli import run
from tests.integration.coordinator_world import World
from tests.integration.test_versions import CAR, HEAD, HOTEL, MAIL, PAYMENT, TRIP, Trips, named

if TYPE_CHECKING:
    from pathlib import Path

IN_THE_MIDDLE = HEAD + HOTEL + CAR + PAYMENT.replace("[hotel]", "[car]") + MAIL
BESIDE = HEAD + HOTEL + CAR + PAYMENT + MAIL


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a store in which trips stand at their points, one of them at its end."""
    for name in ("SAGA_AMQP_URL", "SAGA_MONGODB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_DATA", str(tmp_path))

    async def fill() -> None:
        world = await World.open(tmp_path)
        trips = Trips(world, await world.member(TRIP))
        await trips.begin()
        await trips.ends(named("twin-mail"))
        await world.close()

    asyncio.run(fill())
    (tmp_path / "middle.yaml").write_text(IN_THE_MIDDLE, encoding="utf-8")
    (tmp_path / "beside.yaml").write_text(BESIDE, encoding="utf-8")
    return tmp_path


def _lines(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run([*arguments, "--output", "jsonl"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_impact_counts_the_running_and_the_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 1 where some that run could not go on; every process is told in JSON, and examples in the table."""
    assert run(["impact", str(folder / "middle.yaml")]) == 1
    printed = capsys.readouterr()
    assert "running: 0 unaffected, 2 differs so far" not in printed.err
    assert (
        "running: 2 unaffected, 0 differs so far, 5 can't go on, 0 unreadable, 2 takes another way"
        in printed.err
    )
    assert "ended: 0 unaffected, 0 differs so far, 1 can't go on" in printed.err
    assert "step payment began before car, which the version has before it" in printed.out
    assert "car added" in printed.out

    found = {one["process_id"]: one for one in _lines(capsys, "impact", str(folder / "middle.yaml"), code=1)}
    assert len(found) == 8
    hotel = found[named("moved-hotel")]
    assert (hotel["effect"], hotel["is_running"]) == ("unaffected", True)
    assert hotel["ahead"][0] == {"step": "car", "change": "added", "words": []}
    payment = found[named("moved-payment")]
    assert payment["effect"] == "cannot_go_on"
    assert payment["difference"]["now"][1]["step"] == "car"

    assert run(["impact", str(folder / "beside.yaml")]) == 0
    table = capsys.readouterr().out
    assert (
        "then step_completed hotel, step_started payment; now step_completed hotel, step_started car" in table
    )
    chosen = _lines(capsys, "impact", str(folder / "beside.yaml"), "--status", "compensating", code=0)
    assert {one["status"] for one in chosen} == {"compensating"}
    assert run(["impact", str(folder / "beside.yaml"), "--status", "ended"]) == 2
    assert run(["impact", str(folder / "nowhere.yaml")]) == 1


def test_the_impact_on_an_exported_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says the same as on the store."""
    file = folder / "exported.jsonl"
    assert run(["export", "--to", str(file)]) == 0
    version = str(folder / "beside.yaml")
    of_the_file = _lines(capsys, "impact", version, "--from", str(file), code=0)
    assert of_the_file == _lines(capsys, "impact", version, code=0)
    assert len(of_the_file) == 8


def test_a_migration_is_tried_first_and_then_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a server the requests wait on the queue; its coordinators judge them again."""
    version = str(folder / "middle.yaml")
    tried = {one["process_id"]: one for one in _lines(capsys, "migrate", "--to", version, code=1)}
    assert len(tried) == 7, "the one that has ended is not among them"
    assert tried[named("moved-hotel")]["outcome"] == "fits"
    refused = tried[named("moved-payment")]
    assert refused["why_not"] == ["step payment began before car, which the version has before it"]
    assert run(["migrate", named("moved-hotel"), "--to", version, "--yes"]) == 2, "it needs a reason"

    chosen = (named("moved-hotel"), named("moved-payment"))
    asked = _lines(capsys, "migrate", *chosen, "--to", version, "--yes", "--reason", "why", code=1)
    assert [one["outcome"] for one in asked] == ["asked", "refused"]
    assert "1 asked, 1 refused" not in capsys.readouterr().err

    async def go_on() -> list[str]:
        world = await World.open(folder)
        member = await world.member(TRIP)
        assert len(await member.catalog.versions("trip")) == 2, "the version was registered"
        consumption = await member.consume()
        await world.quiet()
        await consumption.stop()
        events = await world.events(named("moved-hotel"))
        await world.close()
        return events

    assert asyncio.run(go_on())[-1] == "migrated"


def test_a_version_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hash that is not stored is code 3; a process that does not exist is told, with code 1."""
    assert run(["migrate", "--to", "0" * 64]) == 3
    nobody = _lines(capsys, "migrate", "nobody", "--to", str(folder / "beside.yaml"), code=1)
    assert nobody[0]["why_not"] == ["there is no such process"]
    assert run(["migrate", "x", "--status", "started", "--to", str(folder / "beside.yaml")]) == 2
    assert run(["migrate", "--status", "completed", "--to", str(folder / "beside.yaml")]) == 2
