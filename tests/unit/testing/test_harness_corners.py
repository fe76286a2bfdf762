"""What the harness does where sagas are large, participants misbehave, or a test is wrong itself."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from datetime import timedelta

import pytest

from saga import Compensation, Retry, Saga, Step
from saga.errors import InvalidDefinition
from saga.participant import Participant
from saga.testing import Harness, StandsStill
from tests.support.virtual_time import ticks

WORK = Saga(
    "work",
    retry=Retry(attempts=3, backoff=1),
    timeout=30,
    steps=[Step("work", service="worker", action="do", compensation=Compensation("undo"))],
)
FAMILY = Saga(
    "family",
    steps=[
        Step("child", process="work", timeout=600),
        Step("pay", service="bank", action="charge", compensation="none"),
    ],
)
PARCELS = Saga(
    "parcels",
    steps=[
        Step(
            "parcel",
            service="worker",
            action="do",
            input={"item": "item"},
            compensation=Compensation("undo"),
            for_each="parameters.parcels",
            at_once=2,
        ),
        Step("pay", service="bank", action="charge", compensation="none"),
    ],
)
LOCKED = Saga(
    "locked",
    locks=["parameters.key"],
    steps=[Step("work", service="worker", action="do", compensation=Compensation("undo"), timeout=600)],
)


def test_the_processes_of_a_process_are_seen_and_acted_on() -> None:
    """A child whose undo failed suspends its parent; a person helps the child, and both end."""
    with Harness(WORK, FAMILY) as harness:
        harness.service("worker").on("do").completes()
        harness.service("worker").on("undo").fails("closed").times(1).completes()
        harness.service("bank").on("charge").fails("declined")

        parent = harness.start("family").reaches("suspended")
        child = parent.child("child")
        assert child.status == "suspended"
        with pytest.raises(StandsStill, match="no process carries out 'pay'"):
            parent.child("pay")

        assert child.ask("retry", step="work").ends().status == "compensated"
        assert parent.ends().status == "compensated"


def test_items_are_seen_one_by_one() -> None:
    """Each has its own attempts, output and undo; what an item is not there is refused by name."""
    with Harness(PARCELS) as harness:
        worker = harness.service("worker")
        worker.on("do").completes(lambda command: {"sent": command.parameters})
        worker.on("undo").completes()
        harness.service("bank").on("charge").fails("declined")

        parcels = harness.start("parcels", {"parcels": ["a", "b", "c"]}).ends()

        assert parcels.step("parcel[1]").output == {"sent": {"item": "b"}}
        assert parcels.step("parcel[2]").compensation == "compensated"
        assert worker.actions.count("undo") == 3
        for wrong in ("parcel[3]", "parcel[x]", "parcels"):
            with pytest.raises(KeyError, match="but parcel, pay"):
                parcels.step(wrong)


def test_a_process_waits_for_the_lock_of_another_one() -> None:
    """It says so, no longer than the test waits, and goes on when the other one ended."""
    with Harness(LOCKED) as harness:
        harness.service("worker").on("do").completes().after(100)
        began = harness.now
        first = harness.start("locked", {"key": "k"})
        second = harness.start("locked", {"key": "k"})

        with pytest.raises(StandsStill, match=f"the key k is held by process {first.process_id}"):
            second.ends(within=50)
        assert harness.now - began < timedelta(seconds=51)

        assert second.ends().status == first.status == "completed"
        assert harness.now - began < timedelta(seconds=201)


def test_a_lock_that_is_never_given_back_is_not_waited_for_in_vain() -> None:
    """Its holder waits for a person, so nothing is left to happen, and that is said at once."""
    with Harness(LOCKED) as harness:
        harness.service("worker").on("do").completes().after(100)
        harness.start("locked", {"key": "k"}).ask("pause")
        second = harness.start("locked", {"key": "k"})
        began = time.monotonic()

        with pytest.raises(StandsStill, match="waits for lock"):
            second.ends()

        assert time.monotonic() - began < 5


def test_a_handler_may_sleep_for_as_long_as_it_says() -> None:
    """The process has ended to the millisecond when the handler has, not at some later look."""
    worker = Participant("worker")

    @worker.handles("do")
    async def do() -> None:
        await asyncio.sleep(20)

    with Harness(WORK) as harness:
        harness.serve(worker)
        began = harness.now
        assert harness.start("work").ends().status == "completed"
        assert timedelta(seconds=20) <= harness.now - began < timedelta(seconds=20.1)


def test_a_handler_that_never_comes_back_is_timed_out() -> None:
    """Its attempts are unknown and undone; it holds up neither the end nor the test."""
    worker = Participant("worker")

    @worker.handles("do")
    async def do() -> None:
        await asyncio.Event().wait()

    @worker.handles("undo")
    def undo() -> None:
        """Undo nothing."""

    with Harness(WORK) as harness:
        harness.serve(worker)
        work = harness.start("work").ends()

        assert work.status == "compensated"
        assert work.step("work").status == "unknown"


def test_a_handler_that_looks_at_its_watch_for_ever_does_not_hold_up_the_test() -> None:
    """Where a process waits for a person and a handler for nothing, the test is told within seconds."""
    worker = Participant("worker")

    @worker.handles("do")
    async def do() -> None:
        async for _ in ticks(1):
            pass

    with Harness(WORK) as harness:
        harness.serve(worker)
        with pytest.raises(StandsStill, match="is suspended"):
            harness.start("work").ends()  # it has no handler for the undo


def test_a_handler_may_use_threads_of_its_own() -> None:
    """Those of `asyncio.to_thread` too, which nobody else closes."""
    worker = Participant("worker")
    threads: list[str] = []

    @worker.handles("do")
    async def do() -> None:
        threads.append(await asyncio.to_thread(lambda: threading.current_thread().name))

    with Harness(WORK) as harness:
        harness.serve(worker)
        assert harness.start("work").ends().status == "completed"
    assert threads == ["asyncio_0"]


def test_a_harness_that_is_refused_leaves_nothing_behind() -> None:
    """Neither its loop nor its coordinator: with warnings as errors, those would end the whole run."""
    with pytest.raises(InvalidDefinition, match=r"nope\.yaml"):
        Harness("nope.yaml")
    gc.collect()


def test_a_harness_that_is_closed_says_so() -> None:
    """A process that is asked behind the `with` has no answer any more."""
    with Harness(WORK) as harness:
        harness.service("worker").on("do").completes()
        work = harness.start("work").ends()
    with pytest.raises(RuntimeError, match="the harness is closed"):
        _ = work.status
    harness.close()


def test_only_a_signal_is_answered_by_a_person() -> None:
    """A step that a service carries out is scripted, not approved; and a status that isn't one is refused."""
    with Harness(WORK) as harness:
        harness.service("worker").on("do").completes().after(5)
        work = harness.start("work")
        with pytest.raises(StandsStill, match="waits for no signal at 'work', which is running"):
            work.approve("work")
        with pytest.raises(ValueError, match="never 'done', but started, "):
            work.reaches("done")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_passes_forward_only(seconds: float) -> None:
    """And not for ever."""
    with Harness() as harness, pytest.raises(ValueError, match="forward only"):
        harness.advance(seconds)


def test_a_script_that_means_nothing_is_refused() -> None:
    """Where it is written, and not when the command comes."""
    with Harness(WORK) as harness:
        script = harness.service("worker").on("do")
        with pytest.raises(ValueError, match="say first what is answered"):
            script.times(2)
        script.completes()
        with pytest.raises(ValueError, match="once or more often"):
            script.times(0)
        with pytest.raises(ValueError, match="zero or more seconds"):
            script.after(-1)
        with pytest.raises(ValueError, match="some time between two reports"):
            script.reporting(every=0)


def test_a_process_is_named_by_a_uuid() -> None:
    """As over HTTP; what production would refuse doesn't pass a test."""
    with Harness(WORK) as harness, pytest.raises(ValueError, match="is a UUID, not 'mine'"):
        harness.start("work", process_id="mine")
