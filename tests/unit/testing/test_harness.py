"""The harness runs sagas as production does, in time that nobody waits for, and says what a test forgot."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from saga import Compensation, Retry, Saga, Step
from saga.errors import InvalidParameters, NotAllowedNow, UnknownProcessType
from saga.participant import BusinessFailure, Participant, StepCommand
from saga.replay.history import History
from saga.replay.lines import ExportedHistories
from saga.testing import Harness, StandsStill, UnscriptedCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIP = Saga(
    "trip",
    parameters={"type": "object", "properties": {"price": {"type": "number"}}},
    retry=Retry(attempts=3, backoff=60, jitter=0),
    timeout=30,
    steps=[
        Step("hotel", service="hotel", action="book", compensation=Compensation("cancel"), after=[]),
        Step("car", service="car", action="rent", compensation=Compensation("return"), after=[]),
        Step("payment", service="payment", action="charge", after=["hotel", "car"], pivot=True),
    ],
)
APPROVED = Saga(
    "approved",
    steps=[
        Step("approval", signal=True, timeout="P7D"),
        Step("mail", service="mail", action="send", compensation="none"),
    ],
)


@pytest.fixture
def trips() -> Iterator[Harness]:
    """Give a harness with the trip, whose services do what they are asked."""
    with Harness(TRIP) as harness:
        for name in ("hotel", "car", "payment"):
            harness.service(name).otherwise().completes({"by": name})
        yield harness


def test_a_process_completes_at_once(trips: Harness) -> None:
    """Services that answer at once leave nothing to wait for."""
    trip = trips.start("trip", {"price": 10})

    assert trip.status == "completed"
    assert trip.step("hotel").output == {"by": "hotel"}
    assert trips.service("payment").commands[0].parameters == {"price": 10}


def test_a_refusal_turns_the_process_back(trips: Harness) -> None:
    """What completed is undone, and the undo says what of."""
    trips.service("payment").on("charge").fails("declined")

    trip = trips.start("trip").ends()

    assert trip.status == "compensated"
    assert trips.service("hotel").actions == ["book", "cancel"]
    undone = trips.service("hotel").commands[1].compensates
    assert undone is not None
    assert undone.output == {"by": "hotel"}
    assert trip.step("car").compensation == "compensated"


def test_backoff_takes_no_time(trips: Harness) -> None:
    """Two failures cost two pauses of virtual time, and the third attempt completes."""
    trips.service("hotel").on("book").fails("busy", retryable=True).times(2).completes()
    began = trips.now

    trip = trips.start("trip").ends()

    assert trip.status == "completed"
    assert trip.step("hotel").attempts == 3
    assert timedelta(minutes=2) <= trips.now - began < timedelta(minutes=2, seconds=1)


def test_a_service_that_never_answers_is_undone(trips: Harness) -> None:
    """Each attempt times out; what may have happened is undone."""
    trips.service("car").on("rent").never_answers()

    trip = trips.start("trip").ends()

    assert trip.step("car").status == "unknown"
    assert trip.step("car").compensation == "compensated"
    assert trips.service("car").actions == ["rent", "rent", "rent", "return"]


def test_an_answer_may_come_late(trips: Harness) -> None:
    """One that comes after the process turned back is undone all the same."""
    trips.service("car").on("rent").completes().after(3_600)

    trip = trips.start("trip").ends()
    assert trip.status == "compensated"
    trips.advance(3_600)

    assert "observed" in trip.event_types


def test_reports_keep_an_attempt_alive(trips: Harness) -> None:
    """Work of two minutes outlives a time-out of half a minute, as long as it reports."""
    trips.service("hotel").on("book").completes().after(120).reporting(every=10)

    trip = trips.start("trip").ends()

    assert trip.status == "completed"
    assert trip.step("hotel").attempts == 1


def test_a_service_may_say_it_twice_and_contradict_itself(trips: Harness) -> None:
    """Neither changes the end."""
    trips.service("hotel").on("book").completes().twice()
    trips.service("car").on("rent").completes().then_fails("changed_my_mind")

    assert trips.start("trip").ends().status == "completed"


def test_an_output_may_be_made_of_the_command(trips: Harness) -> None:
    """A function sees the command, and may refuse it."""

    def book(command: StepCommand) -> object:
        if command.attempt == 1:
            raise BusinessFailure("busy", retryable=True)
        return {"attempt": command.attempt}

    trips.service("hotel").on("book").completes(book)

    assert trips.start("trip").ends().step("hotel").output == {"attempt": 2}


def test_a_command_that_nobody_speaks_of_fails_the_test() -> None:
    """It is raised where the test waits, with what was asked and how to say it."""
    with Harness(TRIP) as harness:
        harness.service("hotel").on("cancel").completes()
        with pytest.raises(UnscriptedCommand, match="'hotel' was asked to book") as caught:
            harness.start("trip")
        assert 'service("hotel").on("book")' in str(caught.value)
        with pytest.raises(UnscriptedCommand, match="'car' was asked to rent"):
            harness.advance(0)


def test_a_process_that_can_not_go_on_says_what_it_waits_for(trips: Harness) -> None:
    """An undo that fails for good suspends it; nothing is left to happen, and nobody waits for ever."""
    trips.service("payment").on("charge").fails("declined")
    trips.service("hotel").on("cancel").fails("closed")
    trip = trips.start("trip").reaches("suspended")

    with pytest.raises(StandsStill, match=r"is suspended and waits for operator hotel"):
        trip.ends()
    assert trip.ask("skip", step="hotel").ends().status == "compensated"


def test_an_action_that_is_not_allowed_is_refused(trips: Harness) -> None:
    """The refusal names what is allowed, as over HTTP."""
    with pytest.raises(NotAllowedNow):
        trips.start("trip").ends().ask("cancel")


def test_what_can_not_be_started_is_refused(trips: Harness) -> None:
    """As over HTTP."""
    with pytest.raises(UnknownProcessType):
        trips.start("journey")
    with pytest.raises(InvalidParameters):
        trips.start("trip", {"price": "high"})


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_person_approves_or_refuses(is_approved: bool) -> None:  # noqa: FBT001 - the two cases
    """The process waits for days, and goes the way that it is told."""
    with Harness(APPROVED) as harness:
        harness.service("mail").on("send").completes()
        asked = harness.start("approved")
        harness.advance(86_400)
        assert asked.step("approval").status == "waiting"
        if is_approved:
            assert asked.approve("approval", {"by": "ann"}).ends().status == "completed"
            assert asked.step("approval").output == {"by": "ann"}
        else:
            assert asked.refuse("approval").ends().status == "compensated"


def test_a_signal_that_nobody_gives_times_out() -> None:
    """A week passes at once."""
    with Harness(APPROVED) as harness:
        began = harness.now
        assert harness.start("approved").ends().status == "compensated"
        assert harness.now - began >= timedelta(days=7)


def test_participants_of_the_kit_can_take_part(trips: Harness) -> None:
    """Their handlers run as they are, plain ones in threads, while the time stands still."""
    bank = Participant("bank")
    threads: list[str] = []

    @bank.handles("charge")
    def charge(command: StepCommand) -> dict[str, str]:
        threads.append(threading.current_thread().name)
        return {"receipt": command.idempotency_key}

    trips.load(Saga("pay", steps=[Step("pay", service="bank", action="charge", compensation="none")]))
    trips.serve(bank)

    paid = trips.start("pay").ends()

    assert paid.status == "completed"
    assert threads == ["participant-bank_0"]
    with pytest.raises(ValueError, match="carried out already"):
        trips.service("bank")


def test_processes_run_beside_each_other(trips: Harness) -> None:
    """A hundred end in the time that one takes."""
    trips.service("payment").on("charge").completes().after(20)
    began = trips.now
    started = [trips.start("trip", labels={"n": str(number)}) for number in range(100)]

    assert {one.ends().status for one in started} == {"completed"}
    assert trips.now - began < timedelta(seconds=21)


def test_each_run_is_the_same_run() -> None:
    """Ids, times and logs are equal from run to run: the export is a golden file."""

    def run() -> str:
        with Harness(TRIP) as harness:
            for name in ("hotel", "car", "payment"):
                harness.service(name).otherwise().fails("busy", retryable=True).times(1).completes()
            harness.start("trip").ends()
            return harness.export()

    assert run() == run()


def test_an_export_is_read_by_the_tools(trips: Harness) -> None:
    """The lines are those of `saga export`."""
    trip = trips.start("trip").ends()
    exported = ExportedHistories(trips.export().splitlines(), "the harness")

    history = trips.run(exported.one(trip.process_id))

    assert isinstance(history, History)
    assert history.version == len(trip.events)


async def test_a_coroutine_can_not_drive_it() -> None:
    """It says what to write instead."""
    with pytest.raises(RuntimeError, match="not `async def test_…`"):
        Harness()


def test_the_fixture_gives_one(saga_harness: Harness) -> None:
    """It comes with the package."""
    saga_harness.load(TRIP)
    for name in ("hotel", "car", "payment"):
        saga_harness.service(name).otherwise().completes()

    assert saga_harness.start("trip").ends().status == "completed"
