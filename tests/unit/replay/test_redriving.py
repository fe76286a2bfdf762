"""Publishing again what is outstanding: the same messages; nothing that ended, is paused, or was answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from saga.coordinator.outgoing import command_message
from saga.coordinator.projector import project
from saga.errors import BusUnavailable
from saga.ports.projections import ProjectionFilter
from saga.process.timers import next_wake
from saga.replay.redriving import OPEN, Redriven, RedriveProcesses, Sent
from saga.testing import InMemoryBroker, InMemoryBus
from saga.testing.event_log import InMemoryEventLog
from saga.testing.projections import InMemoryProjectionStore
from tests.support.scenario import Scenario
from tests.unit.process.family import Family

if TYPE_CHECKING:
    from saga.ports.bus import OutgoingMessage, PublishResult
    from saga.process.transition import Transition

STEPS = """
- {name: a, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
- {name: b, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
- {name: c, service: s, action: do, compensation: undo, after: [a, b]}
"""


class Bus(InMemoryBus):
    """Keep what is published."""

    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.published: list[OutgoingMessage] = []
        self.is_away = False

    async def publish(self, message: OutgoingMessage) -> PublishResult:
        """Publish it, unless the broker is away."""
        if self.is_away:
            raise BusUnavailable("away")
        self.published.append(message)
        return await super().publish(message)


class World:
    """Stored processes, and a broker that lost everything."""

    def __init__(self, *stories: Scenario, services: tuple[str, ...] = ("s",)) -> None:
        self.log = InMemoryEventLog()
        self.projections = InMemoryProjectionStore()
        self.bus = Bus(InMemoryBroker())
        asyncio.run(self._fill(stories, services))

    async def _fill(self, stories: tuple[Scenario, ...], services: tuple[str, ...]) -> None:
        await self.bus.declare(services)
        for story in stories:
            for transition in story.log:
                await self.log.append(transition)
            await self.projections.save(project(story.state, next_wake(story.graph, story.state)))

    def one(self, process_id: str = "p1", *, is_dry: bool = False) -> Redriven | None:
        """Redrive one process."""
        redriving = RedriveProcesses(self.log, self.projections, None if is_dry else self.bus)
        return asyncio.run(redriving.one(process_id))

    def every(self, **words: object) -> list[Redriven]:
        """Redrive all that match."""
        chosen = ProjectionFilter(statuses=tuple(map(str, OPEN)), **words)  # type: ignore[arg-type]  # a test's words
        redriving = RedriveProcesses(self.log, self.projections, self.bus)

        async def all_of_them() -> list[Redriven]:
            return [redriven async for redriven in redriving.every(chosen)]

        return asyncio.run(all_of_them())

    @property
    def ids(self) -> list[str]:
        """Name the messages that were published."""
        return [message.message_id for message in self.bus.published]


def _sent_by(story: Scenario, name: str) -> OutgoingMessage:
    """Give the message that a coordinator published for a command."""
    found: list[tuple[Transition, int]] = [
        (transition, index)
        for transition in story.log
        for index, command in enumerate(transition.commands)
        if command.command_id == f"{story.process_id}.{name}"
    ]
    (transition, index) = found[0]
    return command_message(story.state, transition.commands[index], at=transition.at)


def test_what_is_awaited_goes_again_as_the_same_message() -> None:
    """To the byte, with the same id and time; what was answered does not."""
    story = Scenario.of(STEPS).starts().completes("a")
    world = World(story)
    redriven = world.one()
    assert redriven is not None
    assert [(command.command_id, sent) for command, sent in redriven.commands] == [
        ("p1.b.a1", Sent.CONFIRMED)
    ]
    assert world.bus.published == [_sent_by(story, "b.a1")]
    assert world.bus.published[0].mandatory


@pytest.mark.parametrize("body", ["no json", "[]", "[" * 100_000, ""])
def test_a_command_that_was_damaged_is_not_published(body: str) -> None:
    """Who gets it could do nothing with it: event and field are named, and nothing of the process is sent."""
    story = Scenario.of(STEPS).starts()
    world = World(story)
    transition = next(one for one in story.log if one.commands)
    damaged = replace(
        transition, commands=(replace(transition.commands[0], body=body), *transition.commands[1:])
    )
    world.log._logs["p1"][transition.first] = damaged
    redriven = world.one()
    assert redriven is not None
    assert redriven.problem is not None
    assert f"event {transition.first}, field commands.body" in redriven.problem
    assert world.ids == []


def test_it_may_be_repeated() -> None:
    """The broker gets the same message again, and nothing else."""
    world = World(Scenario.of(STEPS).starts())
    world.one()
    world.one()
    assert world.ids == ["p1.a.a1", "p1.b.a1"] * 2
    assert world.bus.published[:2] == world.bus.published[2:]


def test_only_the_latest_attempt_is_awaited() -> None:
    """One that timed out is not sent again by its old id, nor one in backoff."""
    story = Scenario.of(STEPS).starts().completes("a").fails("b")
    assert World(story).one() == Redriven("p1", "started")
    world = World(story.next_timer_fires())
    world.one()
    assert world.ids == ["p1.b.a2"]


def test_nothing_of_a_paused_or_an_ended_process_is_sent() -> None:
    """In a pause nothing is; what was in flight before goes when it is resumed and redriven."""
    paused = Scenario.of(STEPS).starts().is_asked("pause")
    ended = Scenario.of(STEPS).starts().completes("a").completes("b").completes("c")
    given_up = Scenario.of(STEPS).starts().is_asked("pause").is_asked("fail")
    for story, status in ((paused, "paused"), (ended, "completed"), (given_up, "failed")):
        world = World(story)
        assert world.one() == Redriven("p1", status)
        assert world.ids == []


def test_the_undos_of_a_suspended_process_that_go_on_are_sent() -> None:
    """Only what is stuck waits for a person."""
    story = Scenario.of(STEPS).starts().completes("a").completes("b").is_asked("cancel").fails_for_good("c")
    story.fails_to_undo("a").expect_status("suspended")
    world = World(story)
    world.one()
    assert world.ids == ["p1.b.c1"]


def test_a_signal_has_no_command() -> None:
    """It waits for a person, who was never sent anything."""
    world = World(Scenario.of("- {name: ok, signal: true}").starts())
    assert world.one() == Redriven("p1", "started")


def test_a_dry_run_publishes_nothing_and_says_what_would_go() -> None:
    """The same commands."""
    world = World(Scenario.of(STEPS).starts())
    redriven = world.one(is_dry=True)
    assert redriven is not None
    assert redriven.count(Sent.NOT_SENT) == 2
    assert world.ids == []


def test_a_command_that_no_queue_takes_is_told() -> None:
    """The participant's queue is not there; nobody answers in its place."""
    world = World(Scenario.of(STEPS).starts().completes("a"), services=("other",))
    redriven = world.one()
    assert redriven is not None
    assert (redriven.count(Sent.RETURNED), redriven.count(Sent.CONFIRMED)) == (1, 0)


def test_orders_to_a_process_go_again_and_the_answer_of_one_that_ended_too() -> None:
    """Its parent still waits for it, and a start that it had already would not bring it again."""
    family = Family.of(
        "- {name: a, process: child}", "- {name: x, service: s, action: do, compensation: undo}"
    )
    world = World(family.parent, family.child)
    world.one()
    assert world.ids == ["p1.a.a1"]
    family.child.completes("x")  # the answer is lost
    world = World(family.parent, family.child)
    world.one()
    assert world.ids == ["p1.a.a1", family.child.sent[-1].command_id]
    assert world.bus.published[1] == command_message(
        family.child.state, family.child.sent[-1], at=family.child.log[-1].at
    )


def test_the_answer_of_an_undone_process_goes_again() -> None:
    """It was asked to compensate, did, and its parent never heard of it."""
    family = Family.of(
        "- {name: a, process: child}", "- {name: x, service: s, action: do, compensation: undo}"
    )
    family.child.completes("x")
    family.exchange()
    family.parent.is_asked("compensate")
    family.exchange()
    family.child.undoes("x")
    world = World(family.parent, family.child)
    world.one()
    assert world.ids == ["p1.a.c1", family.child.sent[-1].command_id]


def test_all_that_match_are_redriven() -> None:
    """By the projections' columns, more than a page of them."""
    stories = []
    for number in range(450):
        story = Scenario.of(STEPS)
        stories.append(Scenario(story.graph, process_id=f"q{number}").accepts(story.log[0].events[0]))  # type: ignore[arg-type]  # the first event
        stories[-1].starts().completes("a")
    ended = Scenario.of(STEPS).starts().completes("a").completes("b").completes("c")
    world = World(*stories, ended)
    assert len(world.every()) == 450
    assert sorted(world.ids) == sorted(f"q{number}.b.a1" for number in range(450))
    assert world.every(process_type="unheard") == []


def test_a_log_that_can_not_be_read_is_named_and_holds_up_no_other() -> None:
    """Nothing is guessed of it, and nothing sent."""
    damaged, well = Scenario.of(STEPS).starts().completes("a"), Scenario.of(STEPS)
    well = Scenario(well.graph, process_id="p2").accepts(well.log[0].events[0])  # type: ignore[arg-type]  # the first event
    world = World(damaged, well.starts())
    del world.log._logs["p1"][damaged.log[1].first]  # by hand
    found = {redriven.process_id: redriven for redriven in world.every()}
    assert found["p1"].problem is not None
    assert "event 2" in found["p1"].problem
    assert world.ids == ["p2.a.a1", "p2.b.a1"]


def test_a_broker_that_is_away_is_an_error() -> None:
    """Not an outcome: nobody knows whether it has the command."""
    world = World(Scenario.of(STEPS).starts())
    world.bus.is_away = True
    with pytest.raises(BusUnavailable):
        world.one()
    assert World(Scenario.of(STEPS)).one("unheard") is None
