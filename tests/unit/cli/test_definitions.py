"""The commands for definitions that ask no service: what they print where, and how they end."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from api.cli.app import run
from api.cli.outcome import Exit
from saga.definition.graph import compile_graph
from saga.definition.sources import parse_definition
from saga.process import advance
from saga.views.drawing import dot, mermaid
from tests.docs.pages import DOCS

if TYPE_CHECKING:
    from pathlib import Path

TRIP = """process_type: trip
timeout: 5
parameters: {type: object, required: [price], properties: {price: {type: integer, minimum: 1}}}
steps:
  - {name: hotel, service: hotel, action: book, compensation: cancel, after: []}
  - {name: car, service: car, action: rent, compensation: give_back, after: []}
  - {name: go, signal: true, after: [hotel, car], when: "parameters.price > `10`", timeout: 60}
  - {name: pay, service: bank, action: charge, pivot: true}
  - {name: tickets, service: air, action: issue, for_each: results.hotel.legs, at_once: 2}
  - {name: mail, service: mail, action: send, after: [tickets, pay], join: any}
"""
SMALL = """process_type: small
timeout: 5
steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: b, service: s, action: do, compensation: undo}
"""
CHILD = """process_type: parent
timeout: 5
steps:
  - {name: k, process: small, input: {x: "parameters.x"}}
"""
BAD = """process_type: bad
steps:
  - {name: a, service: s, action: do}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with two definitions that may run."""
    (tmp_path / "trip.yaml").write_text(TRIP)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def test_definitions_that_may_run_are_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each on stdout, the sum on stderr."""
    assert run(["definition", "check", str(folder)]) == Exit.WELL
    said = capsys.readouterr()
    assert re.search(r"trip\.yaml +trip +well", said.out)
    assert said.err == "2 definitions may run\n"


def test_every_problem_of_every_file_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is refused doesn't hide the others; the exit code is 1."""
    (folder / "bad.yaml").write_text(BAD)
    (folder / "worse.yaml").write_text("steps: [")
    assert run(["definition", "check", str(folder), "-o", "json"]) == Exit.ERROR
    said = capsys.readouterr()
    documents = json.loads(said.out)
    refused = {document["source"].rpartition("/")[2]: document["problems"] for document in documents}
    assert "has no compensation" in refused["bad.yaml"][0]
    assert "not YAML" in refused["worse.yaml"][0]
    assert refused["trip.yaml"] == []
    assert said.err == "saga: 2 refused\n"


def test_types_that_start_each_other_are_judged_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A type that is not given is a warning; one that can't be undone where it stands is a problem."""
    child = folder / "parent.yaml"
    child.write_text(CHILD)
    assert run(["definition", "check", str(child)]) == Exit.WELL
    assert "'small' is started by one of these" in capsys.readouterr().out
    assert run(["definition", "check", str(child), str(folder / "small.yaml")]) == Exit.WELL
    child.write_text(CHILD.replace("small", "trip"))
    assert run(["definition", "check", str(child), str(folder / "trip.yaml"), "-o", "jsonl"]) == Exit.ERROR
    together = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "has a pivot" in together["problems"][0]


def test_what_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is a problem like any other."""
    assert run(["definition", "check", "nowhere.yaml"]) == Exit.ERROR
    assert "there is no such file" in capsys.readouterr().out
    assert run(["definition", "graph", "nowhere.yaml"]) == Exit.ERROR
    assert run(["definition", "explore", "nowhere.yaml"]) == Exit.ERROR


def test_a_drawing_has_the_steps_the_order_and_the_undos(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mermaid by default; conditions, lists, joins, the pivot and undos stand in it."""
    assert run(["definition", "graph", str(folder), "--type", "trip"]) == Exit.WELL
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["%% trip", "flowchart TD"]
    assert 's_hotel["hotel<br/>hotel.book"]' in lines
    assert 's_hotel -. undo .-> u_hotel(["cancel"])' in lines
    assert 's_pay{{"pay (pivot)<br/>bank.charge"}}' in lines
    assert 's_go[/"go<br/>signal<br/>when parameters.price #gt; #96;10#96;"/]' in lines
    assert 's_tickets["tickets<br/>air.issue<br/>for each results.hotel.legs, 2 at once"]' in lines
    assert "s_car --> s_go" in lines
    assert "s_pay -->|any| s_mail" in lines
    assert not any("u_pay" in line for line in lines)


def test_a_drawing_for_graphviz(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same in the language of dot; several definitions are drawn one after the other."""
    assert run(["definition", "graph", str(folder), "--format", "dot"]) == Exit.WELL
    drawn = capsys.readouterr().out
    assert drawn.startswith("digraph small {")
    assert "digraph trip {" in drawn
    assert '"hotel" -> "undo hotel" [style=dashed' in drawn
    assert '"pay" -> "mail" [label="any"];' in drawn


def test_nothing_in_an_expression_breaks_a_drawing() -> None:
    """Quotes and brackets of an expression are only text there; names may be words of the language."""
    saga = parse_definition(
        SMALL.replace("compensation: undo}", 'compensation: undo, when: "parameters.x == \'\\"]\'"}', 1)
        .replace("name: a", "name: end")
        .replace("small", "graph"),
        source="test",
    )
    assert "#quot;]" in mermaid(compile_graph(saga))
    assert "s_end" in mermaid(compile_graph(saga))
    assert '\\"]' in dot(compile_graph(saga))


def test_faults_are_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line per fault, the sums below; an end that needs a person says what is allowed."""
    assert run(["definition", "explore", str(folder / "small.yaml"), "--faults", "2"]) == Exit.WELL
    out = capsys.readouterr().out
    assert re.search(r"^none +completed", out, re.MULTILINE)
    assert re.search(r"b: fails for good +compensated +step_failed: b +a *$", out, re.MULTILINE)
    person = re.search(
        r"^undo of a: fails for good \+ b: fails for good +needs a person +(.*)", out, re.MULTILINE
    )
    assert person is not None
    assert person[1].startswith("the compensation of step a is failed")
    assert "may: retry" in out
    assert re.search(
        r"^\d+ runs: \d+ completed, \d+ compensated, \d+ needs a person; \d+ more", out, re.MULTILINE
    )


def test_faults_are_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON one document, as JSON lines one row a line and the sums on stderr."""
    command = ["definition", "explore", str(folder / "trip.yaml"), "--parameters", '{"price": 20}']
    assert run([*command, "-o", "json"]) == Exit.WELL
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["process_type"] == "trip"
    assert document["rows"][0]["faults"] == []
    assert "step tickets can't start" in said.err
    assert run([*command, "-o", "jsonl"]) == Exit.WELL
    said = capsys.readouterr()
    assert [json.loads(line) for line in said.out.splitlines()] == document["rows"]
    assert document["summary"] in said.err


def test_outputs_are_read_from_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what an expression needs the run without faults completes; the smallest parameters are made."""
    outputs = folder / "outputs"
    outputs.write_text('{"hotel": {"legs": [1, 2]}}')
    command = ["definition", "explore", str(folder / "trip.yaml"), "--outputs", str(outputs), "-o", "json"]
    assert run(command) == Exit.WELL
    document = json.loads(capsys.readouterr().out)
    assert document["parameters"] == {"price": 1}
    assert document["rows"][0]["end"] == "completed"
    assert "tickets[1]: fails for good" in [fault for row in document["rows"] for fault in row["faults"]]
    outputs.write_text('{"motel": {}}')
    assert run(command) == Exit.USAGE
    assert "motel" in capsys.readouterr().err


def test_combinations_are_bounded_and_it_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first combination that was left out is named."""
    command = ["definition", "explore", str(folder / "small.yaml"), "--combinations-max", "3"]
    assert run(command) == Exit.WELL
    assert (
        "bounded: 7 combinations left out, from 'a: completes after it was given up'"
        in capsys.readouterr().out
    )


def test_strict_is_1_where_a_person_is_needed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline may refuse a definition that somebody must look after."""
    command = ["definition", "explore", str(folder / "small.yaml"), "--faults", "2", "--strict"]
    assert run(command) == Exit.ERROR
    assert "need a person" in capsys.readouterr().err
    assert run(["definition", "explore", str(folder / "small.yaml"), "--strict"]) == Exit.WELL


def test_every_order_is_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Complete, or bounded and said so; strict refuses what is not complete."""
    command = ["definition", "explore", str(folder / "small.yaml"), "--exhaustive"]
    assert run(command) == Exit.WELL
    assert capsys.readouterr().out.rstrip().endswith("complete")
    assert run([*command, "--states-max", "20", "-o", "json"]) == Exit.WELL
    document = json.loads(capsys.readouterr().out)
    assert (document["states"], document["is_complete"], document["bounded_by"]) == (20, False, "20 states")
    assert run([*command, "--states-max", "20", "--strict"]) == Exit.ERROR


def test_a_broken_machine_is_1(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that is broken is told with the way to it, in both searches."""
    monkeypatch.setattr(advance, "_suspend_if_stuck", lambda _: None)
    command = ["definition", "explore", str(folder / "small.yaml"), "--faults", "2"]
    assert run(command) == Exit.ERROR
    said = capsys.readouterr()
    assert "BROKEN: what has not ended waits for something" in said.out
    assert "1 more" not in said.err
    assert "defect of Batuta" in said.err
    assert run([*command, "--exhaustive"]) == Exit.ERROR
    assert re.search(r"^    accepted$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["explore", "FOLDER"], Exit.USAGE),
        (["explore", "FOLDER", "--type", "other"], Exit.NOT_FOUND),
        (["graph", "FOLDER", "--type", "other"], Exit.NOT_FOUND),
        (["explore", "FOLDER", "--type", "trip", "--parameters", '{"price": "much"}'], Exit.USAGE),
        (["explore", "FOLDER", "--type", "trip", "--parameters", "[1]"], Exit.USAGE),
        (["explore", "FOLDER", "--type", "trip", "--parameters", "{"], Exit.USAGE),
        (["explore", "FOLDER", "--type", "trip", "--parameters", "nowhere.json"], Exit.USAGE),
        (["explore", "FOLDER", "--type", "small", "--faults", "3"], Exit.USAGE),
        (["explore", "FOLDER", "--type", "small", "--combinations-max", "0"], Exit.USAGE),
        (["explore", "FOLDER", "--type", "small", "--exhaustive", "--states-max", "0"], Exit.USAGE),
        (["graph", "FOLDER", "--format", "png"], Exit.USAGE),
        (["check"], Exit.USAGE),
    ],
)
def test_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: Exit
) -> None:
    """What can't be understood is said on stderr, and nothing on stdout."""
    words = [str(folder) if word == "FOLDER" else word for word in arguments]
    assert run(["definition", *words]) == code
    assert capsys.readouterr().out == ""


def test_a_schema_that_is_not_simple_asks_for_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says what is missing, and which option gives it."""
    file = tmp_path / "trip.yaml"
    file.write_text(TRIP.replace("minimum: 1", "multipleOf: 7, minimum: 1"))
    assert run(["definition", "explore", str(file)]) == Exit.USAGE
    assert "give --parameters" in capsys.readouterr().err


def test_every_command_and_option_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of the command line has each command for definitions, and each option."""
    page = (DOCS / "reference" / "cli.md").read_text()
    for command in ("check", "graph", "explore", "list", "show"):
        assert f"### saga definition {command}\n" in page
        run(["definition", command, "--help"])
        options = re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out)
        assert [option for option in options if f"`{option}`" not in page and option != "--help"] == []
