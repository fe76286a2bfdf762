"""Locks on business keys: taken in order before the first step, waited for, refused, or joined."""

import pytest

from saga.messages.json_text import Json
from saga.process.timers import WakeReason, awaits_lock, next_wake
from tests.support.scenario import START, Scenario

STEP = "- {name: a, service: s, action: do, compensation: undo, timeout: 10, retry: {attempts: 1}}"
HEAD = 'locks: ["parameters.z", "parameters.a", "parameters.again"]'


def _story(*, head: str = HEAD, **parameters: Json) -> Scenario:
    values: dict[str, Json] = {"z": "zoe", "a": "ada", "again": "zoe", **parameters}
    return Scenario.of(STEP, head=head, parameters=values).starts()


def _keys(story: Scenario) -> list[tuple[str, bool]]:
    return [(lock.key, lock.is_held) for lock in story.state.locks or ()]


def test_keys_are_wanted_in_sorted_order_each_once() -> None:
    """So that two processes that want the same keys never hold one each."""
    story = _story().expect_commands()
    assert _keys(story) == [("ada", False), ("zoe", False)]
    assert story.events[-1] == "locks_wanted"


def test_the_first_step_starts_when_the_last_key_is_held() -> None:
    """Each key that is taken is an event."""
    story = _story().gets_lock("ada").expect_commands().gets_lock("zoe").expect_commands("a.a1")
    assert story.events[-3:] == ["lock_acquired", "lock_acquired", "step_started"]
    assert not awaits_lock(story.state)
    assert {lock.holder for lock in story.state.locks or ()} == {"p1"}


def test_whose_key_is_held_waits_and_takes_it_in_its_turn() -> None:
    """Who holds it is recorded once, and again when it is somebody else."""
    story = _story().gets_lock("ada").is_told_of_lock("waiting", "zoe").is_told_of_lock("waiting", "zoe")
    assert story.events.count("lock_waiting") == 1
    story.is_told_of_lock("waiting", "zoe", "third").expect_commands().gets_lock("zoe").expect_commands(
        "a.a1"
    )
    assert story.events.count("lock_waiting") == 2


def test_while_it_waits_a_timer_looks_after_the_key() -> None:
    """Should the news of its release be lost."""
    story = _story().is_told_of_lock("waiting", "ada")
    wake = next_wake(story.graph, story.state)
    assert wake is not None
    assert (wake.at - story.now, wake.reason) == (10_000, WakeReason.LOCK)
    version = story.state.version
    story.next_timer_fires()
    assert story.state.version == version


def test_a_key_that_is_refused_ends_the_process_compensated() -> None:
    """Nothing was done."""
    story = _story().is_told_of_lock("refused", "ada").expect_status("compensated").expect_commands()
    assert story.state.reason == "locked"


def test_a_circle_of_waiting_processes_is_broken_by_turning_back() -> None:
    """The keeper of the locks finds it."""
    story = _story().gets_lock("ada").is_told_of_lock("deadlock", "zoe").expect_status("compensated")
    assert story.state.reason == "lock_deadlock"


def test_a_joined_process_completes_with_the_result_of_the_holder() -> None:
    """It does nothing by itself."""
    story = _story().is_told_of_lock("joined", "ada").expect_status("started")
    story.holder_ends("completed", {"n": 1}).expect_status("completed").expect_commands()
    assert story.state.result == '{"n":1}'


@pytest.mark.parametrize("status", ["compensated", "failed"])
def test_a_joined_process_turns_back_where_the_holder_did_not_complete(status: str) -> None:
    """The reason says how that one ended."""
    story = _story().is_told_of_lock("joined", "ada").holder_ends(status).expect_status("compensated")
    assert story.state.reason == f"joined_process_{status}"


def test_the_end_of_a_process_that_was_not_joined_changes_nothing() -> None:
    """Nor a key that was never wanted, nor one that is held already."""
    story = _story().is_told_of_lock("joined", "ada").holder_ends("completed", holder="third")
    story.expect_status("started")
    story = _story().gets_lock("ada")
    version = story.state.version
    story.is_told_of_lock("refused", "ada").is_told_of_lock("refused", "unheard").holder_ends("completed")
    assert story.state.version == version


def test_a_cancel_ends_the_waiting() -> None:
    """A key that is given after that is given back by its keeper: the process has no use for it."""
    story = _story().is_told_of_lock("waiting", "ada").is_asked("cancel").expect_status("compensated")
    assert not awaits_lock(story.state)
    version = story.state.version
    story.gets_lock("ada").expect_commands()
    assert story.state.version == version


@pytest.mark.parametrize("answer", ["waiting", "joined"])
def test_waiting_counts_against_the_deadline(answer: str) -> None:
    """Also while the timer that looks after the key comes before it again and again."""
    story = _story(head=f"{HEAD}\ndeadline: 15").is_told_of_lock(answer, "ada")
    looked = next_wake(story.graph, story.state)
    assert looked is not None
    story.next_timer_fires().expect_status("started").waits(10_000).next_timer_fires()
    story.expect_status("compensated")
    assert story.now == START + 20_000
    assert story.state.reason == "deadline"


def test_a_key_that_comes_during_a_pause_is_kept_and_the_step_starts_afterwards() -> None:
    """Keys are held while the process is paused."""
    story = _story().gets_lock("ada").is_asked("pause").gets_lock("zoe").expect_commands()
    story.is_asked("resume").expect_commands("a.a1")


@pytest.mark.parametrize("value", [None, "", True, 1.5, [], {}, "x" * 513])
def test_a_key_that_is_no_text_and_no_whole_number_turns_the_process_back(value: Json) -> None:
    """What nothing else could equal is no key."""
    story = _story(z=value, again=value).expect_status("compensated").expect_commands()
    assert story.state.reason == "mapping_error"


def test_a_whole_number_is_a_key() -> None:
    """It is written as JSON writes it, and is the same key as that text."""
    assert _keys(_story(z=7, again="7")) == [("7", False), ("ada", False)]


def test_a_child_takes_keys_for_the_process_at_the_top() -> None:
    """So that it enters where its root is already; the holder that is recorded is the root."""
    story = _story()
    assert story.state.origin.root_id == "p1"
    story.gets_lock("ada")
    assert [lock.holder for lock in story.state.locks or ()] == ["p1", None]


def test_what_is_held_stays_on_record_until_the_end() -> None:
    """Whoever releases them reads them from there."""
    story = _story().gets_lock("ada").gets_lock("zoe").completes("a").expect_status("completed")
    assert _keys(story) == [("ada", True), ("zoe", True)]
