"""The stub of a participant is a program that runs, with the types that the definition knows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from api.cli.app import run
from api.cli.outcome import Exit
from saga.contract.stub import UnknownService, participant_stub
from saga.definition.sources import load_definitions, parse_definition
from saga.ports.participants import ReplyMessage
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from saga.participant import Participant

ODD = """
process_type: odd
parameters:
  type: object
  required: [id, class, legs, kind]
  properties:
    id: {type: string}
    class: {type: integer}
    first name: {type: string}
    model_year: {type: [integer, "null"]}
    copy: {type: boolean}
    kind: {enum: [small, "la\\"rge", 3]}
    legs:
      type: array
      items: {type: object, required: [to], properties: {to: {type: string}, km: {type: number}}}
    home: {type: object, properties: {street: {type: string}}}
    notes: {type: object}
    anything: {}
    either: {anyOf: [{type: string}, {type: integer}]}
steps:
  - {name: one, service: depot, action: return, compensation: print, after: []}
  - {name: two, service: depot, action: run, compensation: {action: undo, input: {"legs": "parameters.legs"}},
     verify: {action: status}, input: {id: "parameters.id", count: "length(parameters.legs)"}}
  - {name: three, service: depot, action: run, compensation: none, input: {other: "parameters.either"}}
"""
_FILES = ("api/demo/document_analysis.yaml", "examples/shop/order.yaml", "examples/order_fulfilment.yaml")


def _programs() -> dict[str, str]:
    sources = ["api.demo.trip_booking", *(str(ROOT / file) for file in _FILES)]
    definitions = [one for source in sources for one in load_definitions(source)]
    definitions.append(parse_definition(ODD, source="odd"))
    services = {step.service for one in definitions for step in one.steps if step.service is not None}
    return {service: participant_stub(service, definitions) for service in sorted(services)}


def _participant(text: str) -> Participant:
    names: dict[str, Any] = {"__name__": "stub"}
    exec(compile(text, "stub", "exec", dont_inherit=True), names)  # noqa: S102 - the program that was written is what is tested
    made: Participant = names["participant"]
    return made


async def _answer(participant: Participant, action: str, parameters: object) -> dict[str, Any]:
    command = {"command_id": "p1.one.a1", "action": action, "parameters": parameters}
    reply = await participant.answer(json.dumps(command).encode())
    assert isinstance(reply, ReplyMessage)
    body: dict[str, Any] = json.loads(reply.body)
    return body


def test_every_stub_is_well_typed_and_well_formed(tmp_path: Path) -> None:
    """Mypy in its strict mode and ruff find nothing in any of them."""
    files = []
    for service, text in _programs().items():
        files.append(tmp_path / f"{service}_stub.py")
        files[-1].write_text(text)
    assert len(files) >= 10
    for tool in (
        ["mypy", "--strict", "--no-incremental", "--config-file=", "--follow-imports=silent"],
        ["ruff", "check", "--isolated", "--line-length=110"],
        ["ruff", "format", "--isolated", "--check", "--line-length=110"],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", *tool, *files], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout


async def test_a_stub_answers_that_nothing_is_written_yet() -> None:
    """Each action of the service has a handler, and fails in a way that says so."""
    depot = _participant(_programs()["depot"])

    assert set(depot.actions) == {"return", "print", "run", "undo", "status"}
    parameters = {"id": "a", "class": 1, "legs": [{"to": "b"}], "kind": "small"}
    answer = await _answer(depot, "return", parameters)
    assert answer["error"]["code"] == "not_written"
    assert answer["error"]["retryable"] is False


async def test_a_stub_knows_the_input() -> None:
    """Its models refuse what the definition's schema refuses, and read names that are none of Python's."""
    depot = _participant(_programs()["depot"])

    answer = await _answer(depot, "return", {"id": "a", "class": "first", "legs": [], "kind": "small"})

    assert answer["error"]["code"] == "invalid_input"
    assert answer["error"]["errors"][0]["pointer"] == "/class"
    assert "Literal[" in _programs()["depot"]
    assert 'first_name: str | None = Field(default=None, alias="first name")' in _programs()["depot"]


def test_a_service_that_no_step_has_is_named() -> None:
    """With those that there are."""
    with pytest.raises(UnknownService, match="there are billing, stock"):
        participant_stub("depot", load_definitions(str(ROOT / "examples/shop/order.yaml")))


def test_it_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes a file, and never over one that is there."""
    monkeypatch.chdir(tmp_path)
    command = ["participant", "new", "stock", "--from", str(ROOT / "examples/shop/order.yaml")]

    assert run(command) is Exit.WELL
    written = (tmp_path / "stock.py").read_text()
    assert run(command) is Exit.ERROR
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "stock.py").read_text() == written
    assert run([*command, "--file", "-"]) is Exit.WELL
    assert capsys.readouterr().out == written
    assert run(["participant", "new", "depot", *command[3:]]) is Exit.NOT_FOUND
