"""Processes that people begin anew and move to other versions: words that no simulated run has."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapters.system.ids import SystemIds
from saga.definition.catalog import KnownDefinition, known_definition, stored_definition
from saga.definition.sources import parse_definition
from saga.ports.bus import APP_ID
from saga.usecases.accepting import StartPorts
from saga.usecases.rerun import RerunProcess, RerunRequest
from tests.integration.coordinator_world import Handed, Member, World, reply, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OLD = """
process_type: trip
steps:
- {name: hotel, service: first, action: book, compensation: cancel}
- {name: payment, service: second, action: charge, compensation: refund, after: [hotel]}
"""
LONGER = OLD + "- {name: mail, service: first, action: send, compensation: none, after: [payment]}\n"
WITHOUT_HOTEL = OLD.replace(
    "- {name: hotel, service: first, action: book, compensation: cancel}\n", ""
).replace("[hotel]", "[]")
RERUN, MOVED = (f"0199a1b2-0000-7000-8000-00000000000{number}" for number in (1, 2))


@asynccontextmanager
async def worked(folder: Path) -> AsyncIterator[World]:
    """Give a store in which one process was rerun, and one was moved once and once refused."""
    world = await World.open(folder)
    try:
        member = await world.member(OLD)
        await member.consume()
        await _completed(member, RERUN)
        await _rerun(world, member)
        await _moved(member)
        await world.quiet()
        yield world
    finally:
        await world.close()


async def _completed(member: Member, process_id: str) -> None:
    await member.handle(start(process_id, process_type="trip"))
    for step in ("hotel", "payment"):
        await member.handle(reply("completed", f"{step}.a1", process_id=process_id, output={"done": step}))


async def _rerun(world: World, member: Member) -> None:
    store = world.store
    ports = StartPorts(
        store.log, store.projections, member.bus, world.clock, SystemIds(), member.watch, "recorder"
    )
    rerunning = RerunProcess(ports, member.catalog)
    request = RerunRequest(RERUN, "payment", "another card", {"card": "b"}, frozenset(), "key", "ada", None)
    looked = await rerunning.look(request)
    assert looked is not None
    begun = await rerunning.begin(looked)
    await world.quiet()
    await member.handle(reply("completed", "payment.a1", process_id=begun.process_id, output={}))


async def _moved(member: Member) -> None:
    await member.handle(start(MOVED, process_type="trip"))
    await member.handle(reply("completed", "hotel.a1", process_id=MOVED, output={"done": "hotel"}))
    for text in (LONGER, WITHOUT_HOTEL):
        version = _known(text)
        await member.catalog.register([version.definition], at=2)
        body = {"process_id": MOVED, "definition": version.hash, "reason": "a better trip", "actor": "ada"}
        await member.handle(
            Handed(
                "process.migrate",
                json.dumps(body).encode(),
                f"m-{version.hash}",
                APP_ID,
                exchange="saga.commands",
            )
        )
    for step in ("payment", "mail"):
        await member.handle(reply("completed", f"{step}.a1", process_id=MOVED, output={}))


def _known(text: str) -> KnownDefinition:
    return known_definition(stored_definition(parse_definition(text, source="recorded"), at=1))
