"""A projection that is not what its log amounts to is found, named field by field, and written anew."""

from dataclasses import replace

import pytest

from saga.coordinator.projector import project
from saga.definition.catalog import Catalog
from saga.ports.projections import NO_SNAPSHOT, Projection
from saga.process.evolve import fold
from saga.process.snapshot import to_snapshot
from saga.process.timers import next_wake
from saga.replay.history import StoredHistories
from saga.replay.replaying import Outcome, ReplayProcesses, Report
from saga.testing import InMemoryDefinitionStore, InMemoryEventLog, InMemoryProjectionStore
from tests.unit.replay.histories import booked, definition, known, paid


class World:
    """A store in memory with processes that booked a hotel, and their projections."""

    def __init__(self) -> None:
        self.log = InMemoryEventLog()
        self.projections = InMemoryProjectionStore()
        self.definitions = InMemoryDefinitionStore()
        self.histories = StoredHistories(self.log, Catalog(self.definitions))
        self.replay = ReplayProcesses(self.histories, self.projections)

    async def has(self, *process_ids: str) -> "World":
        """Let processes be there."""
        await self.definitions.register(definition())
        for process_id in process_ids:
            for transition in booked(process_id):
                await self.log.append(transition)
            await self.projections.save(right(process_id))
        return self

    async def damages(self, **changes: object) -> "World":
        """Change what is stored of p1."""
        await self.store(replace(right(), **changes))  # type: ignore[arg-type]  # columns of a test
        return self

    async def store(self, projection: Projection) -> None:
        """Put a projection there, whatever stood there before."""
        self.projections._projections[projection.process_id] = projection

    async def one(self, *, repair: bool = False) -> Report:
        """Replay p1."""
        report = await self.replay.one("p1", repair=repair)
        assert report is not None
        return report


def right(process_id: str = "p1", *, transitions: int = 3) -> Projection:
    """Give the projection as a coordinator saves it."""
    state = fold(booked(process_id)[:transitions])
    assert state is not None
    return project(state, next_wake(known().graph, state))


def _said(report: Report) -> list[tuple[int, str, object, object]]:
    return [(one.sequence, one.field, one.log, one.found) for one in report.differences]


async def test_a_projection_that_is_right_is_the_same() -> None:
    """Of all events of the log, and none is behind."""
    world = await World().has("p1")
    assert await world.one() == Report("p1", Outcome.SAME, events=5)
    assert await world.replay.one("p2") is None


@pytest.mark.parametrize("field", ["process_type", "definition_hash", "status", "wake_for"])
async def test_a_damaged_column_is_named_and_repaired(field: str) -> None:
    """With both values and the number of the event."""
    world = await (await World().has("p1")).damages(**{field: "other"})
    report = await world.one()
    assert report.outcome is Outcome.DIFFERENT
    assert _said(report) == [(5, field, getattr(right(), field), "other")]
    assert (await world.one(repair=True)).outcome is Outcome.REPAIRED
    assert await world.projections.load("p1") == right()
    assert (await world.one()).outcome is Outcome.SAME


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"attention": True}, "attention"),
        ({"wake_at": None}, "wake_at"),
        ({"started_at": 7}, "started_at"),
        ({"updated_at": 7}, "updated_at"),
        ({"ended_at": 7}, "ended_at"),
        ({"labels": {"a": "b"}}, "labels.a"),
        ({"state_format": 1}, "state_format"),
        ({"state_format": NO_SNAPSHOT, "state": ""}, "state"),
        ({"state": "{"}, "state"),
        ({"state": "[]"}, "state"),
        ({"state": '{"undo_plan":null,"steps":[],"locks":null}'}, "state"),
        ({"state": "[" * 100_000}, "state"),
        ({"state": right().state.replace('{"sum"', '{ "sum"')}, "state"),
        ({"state": right().state.replace('"started"', '"failed"')}, "state.status"),
        ({"state": right().state.replace('"version":5', '"version":"5"')}, "state.version"),
        (
            {"state": right().state.replace('{\\"room\\":7}', '{\\"room\\":8}')},
            "state.steps.hotel.action.output",
        ),
        ({"version": 9}, "version"),
        ({"version": 9, "state": right().state.replace('"version":5', '"version":9')}, "version"),
        ({"version": 4}, "version"),
        ({"version": -1}, "version"),
    ],
)
async def test_whatever_is_damaged_comes_back_right(changes: dict[str, object], field: str) -> None:
    """Also where the stored version is as great as that of the log, or greater."""
    world = await (await World().has("p1")).damages(**changes)
    assert [one.field for one in (await world.one()).differences] == [field]
    assert (await world.one(repair=True)).outcome is Outcome.REPAIRED
    assert await world.projections.load("p1") == right()


async def test_a_log_that_lost_its_end_is_not_taken_for_the_truth() -> None:
    """The state beside it is whole, and later: to write it anew would hide that events are lost."""
    world = await World().has("p1")
    world.log._logs["p1"].popitem()
    for report in [await world.one(repair=True), *[one async for one in world.replay.every(repair=True)]]:
        assert report.outcome is Outcome.UNREADABLE
        assert report.problem is not None
        assert (report.problem.sequence, report.problem.field) == (4, None)
        assert "lost its end" in report.problem.detail
    assert await world.projections.load("p1") == right()


async def test_a_lower_version_with_a_later_state_is_repaired() -> None:
    """Each column is compared as of the version that stands there."""
    world = await (await World().has("p1")).damages(version=3)
    assert {"updated_at", "state.version"} >= {one.field for one in (await world.one()).differences} > set()
    await world.one(repair=True)
    assert await world.projections.load("p1") == right()


async def test_a_projection_that_was_deleted_is_written_anew() -> None:
    """The commands without an answer are counted: nobody knows whether they were sent."""
    world = await World().has("p1")
    del world.projections._projections["p1"]
    report = await world.one(repair=True)
    assert (report.outcome, report.unsent) == (Outcome.REPAIRED, 1)
    assert _said(report) == [(5, "projection", "started", None)]
    assert await world.projections.load("p1") == right()


async def test_a_projection_that_is_right_but_late_is_left_alone() -> None:
    """Its version says that what follows may still have to be published: that is a coordinator's."""
    world = await World().has("p1")
    late = right(transitions=2)
    await world.store(late)
    assert await world.one(repair=True) == Report("p1", Outcome.SAME, events=5, behind=2)
    assert await world.projections.load("p1") == late


async def test_an_earlier_state_beside_later_columns_is_right() -> None:
    """That of a large process is not written with every event."""
    earlier = fold(booked()[:2])
    assert earlier is not None
    world = await (await World().has("p1")).damages(state=to_snapshot(earlier))
    assert (await world.one()).outcome is Outcome.SAME


async def test_what_a_coordinator_writes_meanwhile_stays() -> None:
    """The repair looks again, and finds the process as it stands now."""
    world = await (await World().has("p1")).damages(status="lost")
    state = fold(paid())
    assert state is not None
    newer = project(state, None)
    rewrite = world.projections.rewrite

    async def raced(projection: Projection, *, seen: int) -> bool:
        world.projections.rewrite = rewrite  # type: ignore[method-assign]
        await world.log.append(paid()[-1])
        await world.projections.save(newer)
        return await rewrite(projection, seen=seen)

    world.projections.rewrite = raced  # type: ignore[method-assign]
    assert (await world.one(repair=True)).outcome is Outcome.SAME
    assert await world.projections.load("p1") == newer


async def test_a_projection_without_a_log_is_left_as_it_is() -> None:
    """It may be all that is left of the process."""
    world = await World().has("p1")
    world.log._logs.clear()
    for repair in (False, True):
        report = await world.one(repair=repair)
        assert report.outcome is Outcome.NO_LOG
        assert not report.is_well
    assert await world.projections.load("p1") == right()


async def test_a_log_that_can_not_be_read_stops_its_process_by_event_and_field() -> None:
    """Nothing is repaired from half a log."""
    world = await World().has("p1")
    del world.log._logs["p1"][4]
    del world.log._logs["p1"][1]
    report = await world.one(repair=True)
    assert report.outcome is Outcome.UNREADABLE
    assert report.problem is not None
    assert report.problem.sequence == 1
    assert report.problem.detail == "the log goes on with 2"


async def test_an_event_that_can_not_follow_is_the_problem_of_its_process() -> None:
    """As is a definition that is not stored."""
    world = await World().has("p1")
    twice = replace(booked()[2], first=6, events=booked()[0].events, mark="again")
    await world.log.append(twice)
    report = await world.one()
    assert report.problem is not None
    assert (report.problem.sequence, report.problem.field) == (6, "type")
    other = await World().has("p1")
    other.definitions._by_hash.clear()
    problem = (await other.one()).problem
    assert problem is not None
    assert problem.field == "definition_hash"


async def _every(world: World, *, repair: bool = False, after: str = "") -> list[tuple[str, str]]:
    return [
        (report.process_id, str(report.outcome))
        async for report in world.replay.every(repair=repair, after=after)
    ]


async def test_all_processes_are_replayed_side_by_side() -> None:
    """Those without a projection, those without a log, and those that are unreadable among them."""
    world = await World().has("a", "b", "c", "d", "e", "f")
    del world.projections._projections["b"]
    del world.log._logs["c"]
    del world.log._logs["d"][2]
    del world.log._logs["f"]
    await world.store(replace(right("e"), status="lost"))
    expected = [
        ("a", "same"), ("b", "different"), ("c", "no_log"), ("d", "unreadable"), ("e", "different"),
        ("f", "no_log"),
    ]  # fmt: skip
    assert await _every(world) == expected
    assert await _every(world, after="d") == expected[4:]
    repaired = [(name, "repaired" if word == "different" else word) for name, word in expected]
    assert await _every(world, repair=True) == repaired
    assert await world.projections.load("b") == right("b")
    assert await world.projections.load("e") == right("e")


async def test_what_moved_on_between_the_streams_is_looked_at_again() -> None:
    """The stream of the log was read before the projection was saved."""
    world = await World().has("a")
    stale = booked("a")[:2]

    async def reads_early(_: str = "") -> object:
        for transition in stale:
            yield transition

    world.log.read_all = reads_early  # type: ignore[method-assign, assignment]
    assert await _every(world) == [("a", "same")]
