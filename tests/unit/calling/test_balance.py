"""Which address is next, over time that the tests state."""

from __future__ import annotations

import pytest

from saga.calling.balance import Balance, Breaker, Wish
from saga.calling.line import OUT_FIRST_S, OUT_MAX_S, Call, LineState
from saga.calling.verdict import Health

FIRST = Wish()
AGAIN = Wish(is_first=False)


def _begin(balance: Balance, wish: Wish = FIRST, at: float = 0.0) -> Call:
    call = balance.begin(wish, at)
    assert call is not None
    return call


def _prove(balance: Balance, index: int, *, at: float = 0.0, times: int = 1) -> None:
    """Have an address answer well, whoever's turn it is."""
    others = frozenset(range(len(balance.lines))) - {index}
    for _ in range(times):
        balance.end(_begin(balance, Wish(refused_by=others), at), Health.WELL, at + 0.01)


def _fail(balance: Balance, index: int, *, at: float, health: Health = Health.FAILING) -> bool:
    others = frozenset(range(len(balance.lines))) - {index}
    return balance.end(_begin(balance, Wish(refused_by=others), at), health, at)


def _eject(balance: Balance, index: int, *, at: float) -> None:
    assert [_fail(balance, index, at=at) for _ in range(3)] == [False, False, True]


def test_the_least_busy_address_is_next_and_those_that_tie_take_turns() -> None:
    """Each call goes where the fewest are under way."""
    balance = Balance(3, limit=20)
    calls = [_begin(balance) for _ in range(3)]
    assert [call.index for call in calls] == [0, 1, 2]

    balance.end(calls[1], Health.WELL, 0.1)
    assert _begin(balance).index == 1

    balance.end(calls[2], Health.WELL, 0.2)
    balance.end(calls[0], Health.WELL, 0.2)
    assert [_begin(balance).index for _ in range(2)] == [0, 2]


def test_no_address_has_more_calls_than_its_limit() -> None:
    """What is more has to wait."""
    balance = Balance(1, limit=3)
    calls = [_begin(balance) for _ in range(3)]
    assert balance.begin(FIRST, 0.0) is None

    balance.end(calls[0], Health.WELL, 0.1)
    assert balance.begin(FIRST, 0.1) is not None


def test_an_address_that_is_not_known_yet_starts_slowly() -> None:
    """Of several, each has two calls at once until it answers: a hanging one costs two processes an attempt."""
    balance = Balance(2, limit=20)
    calls = [_begin(balance) for _ in range(4)]
    assert balance.begin(FIRST, 0.0) is None
    assert balance.begin(Wish(is_patient=False), 1.0) is not None  # who waited long enough goes all the same

    balance.end(calls[1], Health.WELL, 1.0)
    assert [_begin(balance, at=1.0).index for _ in range(3)] == [1, 1, 1]
    assert balance.begin(FIRST, 1.0) is None


def test_an_address_that_fails_three_times_in_a_row_is_ejected() -> None:
    """For a second first; a success between them begins the count anew."""
    balance = Balance(2, limit=20)
    assert not _fail(balance, 0, at=0.0)
    assert not _fail(balance, 0, at=0.0)
    _prove(balance, 0)
    _eject(balance, 0, at=1.0)

    assert balance.states(1.0 + OUT_FIRST_S / 2) == [LineState.EJECTED, LineState.WELL]
    assert {_begin(balance, at=1.5).index for _ in range(2)} == {1}


def test_a_call_that_is_never_answered_ejects_at_once() -> None:
    """Where nothing else was answered since it began, one time-out is proof enough."""
    balance = Balance(2, limit=20)
    assert _fail(balance, 0, at=0.0, health=Health.SILENT)


def test_an_address_that_does_not_answer_stays_out_as_long_as_that_took() -> None:
    """The next try may cost a process as long again."""
    balance = Balance(2, limit=20)
    others = frozenset({1})
    hanging = _begin(balance, Wish(refused_by=others))
    balance.end(hanging, Health.SILENT, 30.0)

    assert balance.states(59.9)[0] is LineState.EJECTED
    assert balance.states(60.0)[0] is LineState.PROBING


def test_a_slow_call_among_quick_ones_ejects_nobody() -> None:
    """A single action that hangs is no sign that the address is bad."""
    balance = Balance(1, limit=20)
    slow = _begin(balance)
    _prove(balance, 0, at=10.0)

    assert not balance.end(slow, Health.SILENT, 30.0)
    assert balance.states(30.0) == [LineState.WELL]


def test_an_ejected_address_is_tried_by_one_command_at_a_time() -> None:
    """When its time is over a first attempt goes there, and no second one until that is answered."""
    balance = Balance(2, limit=20)
    _prove(balance, 1)
    _eject(balance, 0, at=0.0)

    assert balance.states(1.1)[0] is LineState.PROBING
    probe = _begin(balance, at=1.1)
    assert (probe.index, probe.is_probe) == (0, True)
    assert _begin(balance, at=1.1).index == 1

    balance.end(probe, Health.WELL, 1.2)
    assert balance.states(1.2)[0] is LineState.WELL


def test_a_repetition_tries_nothing_out() -> None:
    """A command that failed before goes where the last call went well, even if others are less busy."""
    balance = Balance(3, limit=20)
    _prove(balance, 2, times=5)
    _eject(balance, 0, at=0.0)
    _fail(balance, 1, at=0.0)

    assert {_begin(balance, AGAIN, at=2.0).index for _ in range(6)} == {2}
    assert _begin(balance, FIRST, at=2.0).index == 0


def test_ejections_grow_longer_up_to_a_bound_and_are_forgotten_after_steady_success() -> None:
    """1, 2, 4 … 60 seconds; ten successes in a row begin it anew."""
    balance = Balance(1, limit=20)
    _eject(balance, 0, at=0.0)
    waits: list[float] = []
    at = 0.0
    for _ in range(9):
        at += waits[-1] if waits else OUT_FIRST_S
        assert _fail(balance, 0, at=at)
        left = balance.returns_in_s(at)
        assert left is not None
        waits.append(left)
    assert waits[:3] == pytest.approx([2.0, 4.0, 8.0])
    assert waits[-1] == OUT_MAX_S

    at += OUT_MAX_S
    _prove(balance, 0, at=at, times=10)
    _eject(balance, 0, at=at + 1)
    assert balance.returns_in_s(at + 1) == pytest.approx(OUT_FIRST_S)


def test_failures_of_calls_from_before_the_ejection_do_not_prolong_it() -> None:
    """Twenty calls that fail together are one ejection."""
    balance = Balance(1, limit=20)
    calls = [_begin(balance) for _ in range(20)]
    ejected = [balance.end(call, Health.FAILING, 1.0) for call in calls]

    assert ejected.count(True) == 1
    assert balance.returns_in_s(1.0) == pytest.approx(OUT_FIRST_S)


def test_a_silent_address_gets_nothing_new_long_before_its_time_out() -> None:
    """A call that is five times as old as the slowest answer, and a second at least, makes it suspicious."""
    balance = Balance(2, limit=20)
    hanging = _begin(balance)
    _prove(balance, 1, at=0.5)
    assert balance.states(0.9)[0] is LineState.WELL

    assert balance.states(1.1)[0] is LineState.SILENT
    assert {_begin(balance, at=1.1).index for _ in range(4)} == {1}

    balance.end(hanging, Health.WELL, 2.0)
    assert balance.states(2.0)[0] is LineState.WELL


def test_a_slow_service_is_not_taken_for_a_silent_one() -> None:
    """What is suspicious follows from what this service takes."""
    balance = Balance(2, limit=20)
    slow, other = _begin(balance), _begin(balance)
    assert balance.states(19.0) == [LineState.WELL, LineState.WELL]
    balance.end(slow, Health.WELL, 20.0)

    assert balance.states(60.0)[1] is LineState.WELL
    balance.abandon(other)


def test_where_all_are_silent_all_are_used() -> None:
    """An address is only left out for the sake of a better one."""
    balance = Balance(2, limit=20)
    _prove(balance, 0)
    _prove(balance, 1)
    for _ in range(2):
        _begin(balance, at=1.0)
    assert balance.states(9.0) == [LineState.SILENT, LineState.SILENT]

    assert balance.begin(AGAIN, 9.0) is not None


def test_an_address_rests_as_long_as_it_asks() -> None:
    """429 and Retry-After are obeyed without counting as failures, for a minute at most."""
    balance = Balance(1, limit=20)
    balance.end(_begin(balance), Health.BUSY, 0.0, rest_s=5.0)

    assert balance.states(4.9) == [LineState.RESTING]
    assert balance.begin(FIRST, 4.9) is None
    assert balance.returns_in_s(3.0) == pytest.approx(2.0)
    assert balance.begin(FIRST, 5.0) is not None

    balance.end(_begin(balance, at=6.0), Health.BUSY, 6.0, rest_s=3600.0)
    assert balance.returns_in_s(6.0) == 60.0


def test_the_breaker_is_open_when_every_address_is_ejected() -> None:
    """Then nothing is sent; when the first ejection is over, one command of any kind may try."""
    balance = Balance(2, limit=20)
    _eject(balance, 0, at=0.0)
    assert balance.breaker(0.1) is Breaker.CLOSED
    _eject(balance, 1, at=0.5)

    assert balance.breaker(0.9) is Breaker.OPEN
    assert balance.begin(FIRST, 0.9) is None
    assert balance.returns_in_s(0.9) == pytest.approx(0.1)

    assert balance.breaker(1.1) is Breaker.HALF_OPEN
    probe = _begin(balance, AGAIN, at=1.1)
    assert balance.begin(FIRST, 1.1) is None
    balance.end(probe, Health.WELL, 1.2)
    assert balance.breaker(1.2) is Breaker.CLOSED


def test_a_refused_command_goes_to_another_address_while_one_is_in_use() -> None:
    """It does not wait for addresses that are ejected."""
    balance = Balance(3, limit=20)
    assert _begin(balance, Wish(refused_by=frozenset({0, 1}))).index == 2
    assert balance.may_yet({0, 1}, 0.0)
    assert not balance.may_yet({0, 1, 2}, 0.0)

    _eject(balance, 2, at=0.0)
    assert not balance.may_yet({0, 1}, 0.5)


def test_a_call_that_was_broken_off_tells_nothing() -> None:
    """The end of a grace is no failure of an address."""
    balance = Balance(1, limit=1)
    for _ in range(5):
        balance.abandon(_begin(balance))

    assert balance.states(0.0) == [LineState.WELL]
    assert balance.begin(FIRST, 0.0) is not None
