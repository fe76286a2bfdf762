"""Joins that can't close or close too early, and deadlines that the steps' own time doesn't keep."""

from __future__ import annotations

import time

import pytest

from saga.definition.sources import parse_definition
from tests.unit.definition.writing import FILE, refusal, saga, step

ONCE = "retry: {attempts: 1}"


def shortest_deadline(*steps: str, head: str = "") -> tuple[str, str]:
    """Give the seconds and the path that a refusal of a far too short deadline names; that deadline is taken."""
    (sentence,) = refusal(saga(*steps, head=f"deadline: 0.001\n{head}"))
    words = sentence.split()
    seconds = words[words.index("the") + 1]
    path = sentence.partition("that the steps ")[2].partition(" may take")[0]
    parse_definition(saga(*steps, head=f"deadline: {seconds}\n{head}"), source=FILE)
    assert refusal(saga(*steps, head=f"deadline: {float(seconds) - 0.01}\n{head}"))
    return seconds, path


def test_the_refusal_of_a_deadline_says_how_long_it_takes() -> None:
    """The path, and the time that its steps may take."""
    steps = (step("a", f"timeout: 5, {ONCE}"), step("b", f"timeout: 7, {ONCE}"))
    (sentence,) = refusal(saga(*steps, head="deadline: 11"))
    needed = "the 12 s that the steps a -> b may take by their own attempts and pauses"
    assert sentence == f"deadline: 11 s is shorter than {needed}"


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (f"timeout: 10, {ONCE}", "10"),
        ("timeout: 10, retry: {attempts: 3, backoff: 1, factor: 2, jitter: 0}", "33"),
        ("timeout: 10, retry: {attempts: 3, backoff: 1, factor: 2, jitter: 0.5}", "34.5"),
        ("timeout: 2, retry: {attempts: 5, backoff: 10, factor: 2, max_backoff: 15, jitter: 0}", "65"),
        ("timeout: 2, retry: {attempts: 2, backoff: 0, retry_on: [busy]}", "4"),
        ("expected: 1", "93.3"),
    ],
)
def test_a_step_takes_its_attempts_and_the_longest_pauses_between_them(words: str, seconds: str) -> None:
    """Three of ten seconds with one and two between; jitter makes a pause longer; the defaults count too."""
    assert shortest_deadline(step("a", words)) == (seconds, "a")


def test_each_attempt_may_be_asked_about() -> None:
    """Two attempts of 4 s with 1 s between, and each time two questions of 3 s with 1 s between."""
    words = "timeout: 4, retry: {attempts: 2}, verify: {action: look, timeout: 3, retry: {attempts: 2}}"
    assert shortest_deadline(step("a", words), head="retry: {backoff: 1, jitter: 0}") == ("23", "a")


def test_a_fork_takes_as_long_as_its_longer_branch() -> None:
    """1 + 20 + 2 seconds; the other branch is over long before."""
    assert shortest_deadline(
        step("a", f"timeout: 1, {ONCE}"),
        step("short", f"timeout: 7, {ONCE}"),
        step("long", f"timeout: 20, {ONCE}, after: [a]"),
        step("b", f"timeout: 2, {ONCE}, after: [short, long]"),
    ) == ("23", "a -> long -> b")


def test_signals_and_processes_take_their_time_out() -> None:
    """Once, unless a process is to be tried again: 60 + 100 + 2 * 40 + 3 seconds."""
    assert shortest_deadline(
        "name: asked, signal: true, timeout: 60",
        "name: child, process: p, timeout: 100",
        "name: again, process: p, timeout: 40, retry: {attempts: 2, backoff: 3, jitter: 0}",
        head="retry: {attempts: 9}",
    ) == ("243", "asked -> child -> again")


def test_the_pivot_and_what_follows_it_do_not_count() -> None:
    """While it is in flight and behind it no deadline turns anything back; a branch beside it counts."""
    steps = (
        step("a", f"timeout: 5, {ONCE}"),
        step("p", f"timeout: 1000, {ONCE}, pivot: true"),
        step("z", f"timeout: 1000, {ONCE}"),
    )
    assert shortest_deadline(*steps) == ("5", "a")
    assert shortest_deadline(*steps, step("beside", f"timeout: 9, {ONCE}, after: []")) == ("9", "beside")
    parse_definition(saga(step("p", "pivot: true"), head="deadline: 0.001"), source=FILE)


def test_a_deadline_over_a_thousand_patient_steps_is_judged_quickly() -> None:
    """A thousand steps of a thousand attempts each: more than a year, and it is said within seconds."""
    words = "retry: {attempts: 1000, jitter: 0, backoff: 0}, timeout: 10, verify: {action: look, timeout: 8}"
    begun = time.perf_counter()

    (sentence,) = refusal(saga(*(step(f"s{n}", words) for n in range(1000)), head="deadline: 31622400"))

    assert sentence.startswith("deadline: 3.16224e+07 s is shorter than")
    assert time.perf_counter() - begun < 15.0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("after: [a, b], join: 3", "the join can't close: it waits for 3 of 2 steps"),
        ("after: [a, a], join: 2", "the join can't close: it waits for 2 of 1 steps"),
        ("join: 2", "the join can't close: it waits for 2 of 1 steps"),
        ("after: [], join: any", "'join' says how many of 'after' it waits for, and there are none"),
        ("after: [], join: 1", "'join' says how many of 'after' it waits for, and there are none"),
    ],
)
def test_a_join_that_cannot_close_is_refused(words: str, says: str) -> None:
    """A step named twice counts once."""
    assert refusal(saga(step("a"), step("b"), step("c", words))) == (f"step 'c': {says}",)


def test_a_join_of_the_first_step_is_refused() -> None:
    """There is no step above it."""
    (sentence,) = refusal(saga(step("a", "join: any")))
    assert sentence == "step 'a': 'join' says how many of 'after' it waits for, and there are none"


@pytest.mark.parametrize(
    "words", ["join: 1", "join: any", "join: all", "after: [], join: all", "after: [a, b], join: 2"]
)
def test_a_join_that_can_close_is_taken(words: str) -> None:
    """Of the step above, of as many as there are, and of all, also where there are none."""
    parse_definition(saga(step("a"), step("b"), step("c", words)), source=FILE)


PIVOT = (step("a", "after: []"), step("b", "after: []"), step("p", "pivot: true, after: [a]"), step("q"))


def bare(name: str, more: str) -> str:
    """Write a step that doesn't say how it is undone."""
    return f"name: {name}, service: s, action: x, {more}"


@pytest.mark.parametrize(
    ("words", "earlier"),
    [
        ("after: [a, p], join: any", "a"),
        ("after: [b, q], join: 1", "b"),
        ("after: [p, a, b, q], join: 2", "a, b"),
    ],
)
def test_a_step_whose_join_may_close_before_the_pivot_says_how_it_is_undone(words: str, earlier: str) -> None:
    """And so does what follows it; were they done before a pivot that fails, they would stay done."""
    z, follower = bare("z", words), bare("follower", "after: [z]")
    says = "name the action that undoes it, or say 'compensation: none'"
    where = "comes after the pivot 'p', but may start before it, as it"

    assert refusal(saga(*PIVOT, z, follower, bare("last", "after: [follower, p]"))) == (
        f"step 'z': {where}s join may close with {earlier}: {says}",
        f"step 'follower': {where} follows z: {says}",
    )
    parse_definition(saga(*PIVOT, z + ", compensation: undo", step("follower")), source=FILE)


@pytest.mark.parametrize(
    "words",
    ["after: [p, q], join: any", "after: [a, p]", "after: [a, p], join: all", "after: [a, p], join: 2",
     "after: [a, a, p], join: 2", "after: [a, b, q], join: 3"],
)  # fmt: skip
def test_a_step_whose_join_the_pivot_always_closes_needs_no_undo(words: str) -> None:
    """Behind the pivot there may be any join; across it one that needs a step of the other side."""
    parse_definition(saga(*PIVOT, bare("z", words), bare("last", "after: [z]")), source=FILE)


def test_a_join_before_the_pivot_may_be_any() -> None:
    """Both sides can be undone."""
    steps = (step("a", "after: []"), step("b", "after: []"), step("c", "after: [a, b], join: any"))
    parse_definition(saga(*steps, step("p", "pivot: true")), source=FILE)
