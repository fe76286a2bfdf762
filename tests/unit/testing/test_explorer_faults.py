"""The table of faults: what becomes of a process when one step, or two, go wrong."""

from __future__ import annotations

import pytest

from saga.process import advance
from saga.testing.explore_faults import End, FaultTable, Row, explore_faults
from tests.unit.testing.exploring import NAMES, PARAMETERS, definition, small


def _by_faults(table: FaultTable) -> dict[str, Row]:
    return {" + ".join(str(fault) for fault in row.faults): row for row in table.rows}


@pytest.mark.parametrize("name", NAMES)
def test_two_faults_never_strand_a_small_saga(name: str) -> None:
    """Each combination ends, or waits for a person with a reason and a way out."""
    table = explore_faults(small(name), PARAMETERS, faults=2)
    assert table.is_sound
    assert table.left_out == 0
    assert table.rows[0].faults == ()
    assert table.rows[0].end is End.COMPLETED
    for row in table.rows:
        if row.end is End.NEEDS_A_PERSON:
            assert row.reason
            assert row.waits
            assert row.allowed


def test_each_fault_of_a_sequence_has_its_end() -> None:
    """What was done is undone in order; what was never answered is undone too."""
    rows = _by_faults(explore_faults(small("sequence")))
    assert {faults: (str(row.end), row.reason, row.undone) for faults, row in rows.items()} == {
        "": ("completed", "", ()),
        "a: fails for good": ("compensated", "step_failed: a", ()),
        "a: fails once, then works": ("completed", "", ()),
        "a: stays unanswered": ("compensated", "step_unknown: a", ("a",)),
        "a: completes after it was given up": ("compensated", "step_unknown: a", ("a",)),
        "b: fails for good": ("compensated", "step_failed: b", ("a",)),
        "b: fails once, then works": ("completed", "", ()),
        "b: stays unanswered": ("compensated", "step_unknown: b", ("b", "a")),
        "b: completes after it was given up": ("compensated", "step_unknown: b", ("b", "a")),
    }


def test_an_undo_that_fails_needs_a_person() -> None:
    """The row says what stands still and what a person may do; a fault without occasion is no row."""
    table = explore_faults(small("sequence"), faults=2)
    row = _by_faults(table)["b: stays unanswered + undo of b: fails for good"]
    assert row.end is End.NEEDS_A_PERSON
    assert row.waits == ("undo of b failed", "undo of a waits")
    assert {"retry", "skip", "fail"} <= set(row.allowed)
    assert "undo of a: fails for good" not in _by_faults(table)
    assert table.not_met > 0


def test_the_pivot_and_what_follows_it_need_a_person() -> None:
    """Nothing turns back from the pivot on; a late answer settles it all the same."""
    rows = _by_faults(explore_faults(small("pivot")))
    assert rows["p: fails for good"].end is End.COMPENSATED
    assert rows["p: stays unanswered"].end is End.NEEDS_A_PERSON
    assert rows["p: completes after it was given up"].end is End.COMPLETED
    assert rows["z: fails for good"].end is End.NEEDS_A_PERSON
    assert not any("undo of p" in faults or "undo of z" in faults for faults in rows)


def test_a_question_settles_what_was_not_answered() -> None:
    """Found, the step is completed; not found behind a fence, there is nothing to undo."""
    rows = _by_faults(explore_faults(small("question")))
    assert rows["a: stays unanswered; asked, it is completed"].end is End.COMPLETED
    not_found = rows["a: stays unanswered; asked, it is not found"]
    assert (not_found.end, not_found.undone) == (End.COMPENSATED, ())
    unfenced = _by_faults(explore_faults(small("question without a fence")))
    assert unfenced["a: stays unanswered; asked, it is not found"].undone == ("a",)


def test_signals_and_children_have_faults_of_their_own() -> None:
    """A signal is refused or not given; a child ends in ways of its own."""
    signals = _by_faults(explore_faults(small("signal")))
    assert signals["go: is refused"].undone == ("a",)
    assert signals["go: is not given"].end is End.COMPENSATED
    children = _by_faults(explore_faults(small("child"), PARAMETERS))
    assert children["k: ends compensated"].undone == ("a",)
    assert children["k: is given up by a person"].undone == ("k", "a")
    assert children["k: does not end in time"].undone == ("a",)


def test_the_last_item_of_a_list_goes_wrong() -> None:
    """The items before it are done then, and are undone."""
    table = explore_faults(small("items"), PARAMETERS)
    assert _by_faults(table)["e[1]: fails for good"].undone == ("e[0]", "a")
    assert any("has 2 items" in note for note in table.notes)


def test_what_the_parameters_keep_out_is_said() -> None:
    """A list that can't be had, an empty one, and a step that is skipped are noted."""
    missing = explore_faults(small("items"), {})
    assert missing.rows[0].end is End.COMPENSATED
    assert any("step e can't start" in note for note in missing.notes)
    assert any("0 items" in note for note in explore_faults(small("items"), {"list": []}).notes)
    assert any("step b is skipped" in note for note in explore_faults(small("condition"), {}).notes)


def test_outputs_are_what_the_steps_give() -> None:
    """An expression reads what a step gives: by default its name, else what was said."""
    saga = definition(
        """steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: b, service: s, action: do, compensation: undo, when: "results.a.step == 'a'"}
"""
    )
    assert explore_faults(saga).notes == ()
    assert any("step b is skipped" in note for note in explore_faults(saga, outputs={"a": None}).notes)


def test_a_bound_leaves_out_the_last_combinations() -> None:
    """What was left out is counted, and the first of it named."""
    whole = explore_faults(small("sequence"), faults=2)
    told: list[tuple[int, int]] = []
    table = explore_faults(
        small("sequence"), faults=2, combinations_max=12, on_progress=lambda *done: told.append(done)
    )
    assert len(table.rows) + table.not_met == 13
    assert table.left_out == len(whole.rows) + whole.not_met - 13
    assert [str(fault) for fault in table.first_left_out] == [
        "a: fails for good",
        "b: fails once, then works",
    ]
    assert told[-1] == (12, 12)


def test_a_retry_goes_by_the_codes_that_are_worth_one() -> None:
    """A step that is only tried again after a time-out can't fail once and then work."""
    saga = definition(
        """steps:
  - {name: a, service: s, action: do, compensation: none, retry: {attempts: 3, retry_on: [timeout]}}
  - {name: b, service: s, action: do, compensation: none, retry: {attempts: 3, retry_on: [busy]}}
"""
    )
    rows = _by_faults(explore_faults(saga))
    assert "a: fails once, then works" not in rows
    assert rows["b: fails once, then works"].end is End.COMPLETED


def test_a_machine_that_strands_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that neither ends nor waits for a person is no sound row."""
    monkeypatch.setattr(advance, "_suspend_if_stuck", lambda _: None)
    table = explore_faults(small("pivot"))
    assert not table.is_sound
    row = _by_faults(table)["z: fails for good"]
    assert row.end is End.STRANDED
    assert row.broken is not None
