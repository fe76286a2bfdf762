"""An export stands alone: what was written comes back, and what is damaged is named by its line."""

import json
from collections.abc import Callable

import pytest

from saga.definition.canonical import definition_hash
from saga.errors import UnknownDefinition
from saga.ports.definitions import StoredDefinition
from saga.process.transition import Transition
from saga.replay.history import History
from saga.replay.lines import (
    ExportedHistories,
    UnreadableExport,
    definition_line,
    end_line,
    header_line,
    read_lines,
    transition_line,
)
from tests.unit.replay.histories import booked, definition


def _export(*logs: list[Transition]) -> list[str]:
    lines = [header_line(), definition_line(definition())]
    lines += [transition_line(transition) for log in logs for transition in log]
    return [*lines, end_line(len(logs))]


async def test_histories_and_definitions_come_back_from_the_file() -> None:
    """One by one, or one alone, as often as somebody asks."""
    histories = ExportedHistories(_export(booked("a"), booked("b")), "x.jsonl")
    found = [one async for one in histories.every()]
    assert found == [History(process_id, tuple(booked(process_id))) for process_id in "ab"]
    assert [one async for one in histories.every()] == found
    assert [one.process_id async for one in histories.every("a")] == ["b"]
    assert await histories.one("b") == found[1]
    assert await histories.one("c") is None
    known = await histories.definition(definition().hash)
    assert known.definition.process_type == "test_saga"
    with pytest.raises(UnknownDefinition, match=r"stands in x\.jsonl"):
        await histories.definition("other")


async def test_a_damaged_transition_is_the_problem_of_its_process_alone() -> None:
    """It is named by event and field, and the others are read on."""
    lines = _export(booked("a"), booked("b"))
    damaged = json.loads(lines[3])
    damaged["events"][1]["attempt"] = "one"
    lines[3] = json.dumps(damaged)
    broken, whole = [one async for one in ExportedHistories(lines, "x").every()]
    assert broken.problem is not None
    assert (broken.problem.number, broken.problem.field) == (3, "attempt")
    assert whole.problem is None


def _drop_the_end(lines: list[str]) -> None:
    lines.pop()


def _go_on(lines: list[str]) -> None:
    lines.append(end_line(1))


def _break_json(lines: list[str]) -> None:
    lines[2] = lines[2][:30]


def _no_object(lines: list[str]) -> None:
    lines[2] = "[]"


def _other_kind(lines: list[str]) -> None:
    lines[2] = '{"kind":"photo"}'


def _newer(lines: list[str]) -> None:
    lines[0] = '{"kind":"export","format":2}'


def _no_header(lines: list[str]) -> None:
    lines.pop(0)


def _change_definition(lines: list[str]) -> None:
    lines[1] = lines[1].replace("hotel", "motel", 1)


def _deep(lines: list[str]) -> None:
    lines[2] = "[" * 100_000


def _half_a_pair(lines: list[str]) -> None:
    lines[2] = lines[2].replace('"by":"', '"by":"\\ud800')


def _foreign_id(lines: list[str]) -> None:
    lines[2] = lines[2].replace('"p":"a"', '"p":"../a"')


def _no_id(lines: list[str]) -> None:
    lines[2] = lines[2].replace('"p":"a"', '"p":7')


def _lose_a_process(lines: list[str]) -> None:
    del lines[2:5]


def _miscount(lines: list[str]) -> None:
    lines[-1] = end_line(2)


def _other_type(lines: list[str]) -> None:
    lines[1] = lines[1].replace('"process_type":"test_saga","text"', '"process_type":"other","text"')


def _no_definition(lines: list[str]) -> None:
    text = "hello"
    lines[1] = definition_line(StoredDefinition(definition_hash(text), "test_saga", text, 1))


def _late_definition(lines: list[str]) -> None:
    lines[1] = lines[1].replace('"registered_at":1000', f'"registered_at":{2**70}')


def _lame_definition(lines: list[str]) -> None:
    lines[1] = '{"kind":"definition","hash":"x"}'


@pytest.mark.parametrize(
    ("damage", "line", "words"),
    [
        (_drop_the_end, 5, "broke off"),
        (_go_on, 7, "behind the end"),
        (_break_json, 3, "not JSON"),
        (_no_object, 3, "no object"),
        (_other_kind, 3, "'photo'"),
        (_newer, 1, "upgrade"),
        (_no_header, 1, "saga export"),
        (_change_definition, 2, "another hash"),
        (_lame_definition, 2, "lacks a member"),
        (_deep, 3, "not JSON"),
        (_half_a_pair, 3, "surrogate"),
        (_foreign_id, 3, "no id"),
        (_no_id, 3, "no id"),
        (_lose_a_process, 3, "counts 1 processes, and 0"),
        (_miscount, 6, "counts 2 processes, and 1"),
        (_other_type, 2, "no definition of 'other'"),
        (_no_definition, 2, "no definition of 'test_saga'"),
        (_late_definition, 2, "no point in time"),
    ],
)
def test_what_is_no_export_is_refused_with_its_line(
    damage: Callable[[list[str]], None], line: int, words: str
) -> None:
    """Whoever reads on would answer from half of it."""
    lines = _export(booked("a"))
    damage(lines)
    with pytest.raises(UnreadableExport, match=words) as caught:
        list(read_lines(lines, "x.jsonl"))
    assert caught.value.line == line
    assert str(caught.value).startswith(f"x.jsonl, line {line}: ")
