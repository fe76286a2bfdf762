"""The two spellings of a definition: what they share, and what each takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel

from saga import Compensation, InvalidDefinition, Retry, Saga, Step
from saga.definition.canonical import canonical_text, definition_hash, from_canonical_text
from saga.definition.model import SagaDefinition
from saga.definition.sources import checked, parse_definition

TRIP_IN_YAML = """
process_type: trip_booking
parameters:
  type: object
  required: [trip_id]
  properties: {trip_id: {type: string}}
retry: {attempts: 3, backoff: 0.2, factor: 2, max_backoff: PT5S, jitter: 0.1}
timeout: 10
steps:
  - {name: hotel, service: hotel, action: book, compensation: cancel, after: [], expected: 2}
  - name: flight
    service: flight
    action: book
    compensation: {action: cancel, timeout: 5, retry: {attempts: 10}}
    after: []
    retry: {attempts: 5, backoff: 0.1, retry_on: [timeout, unavailable]}
  - {name: payment, service: payment, action: charge, after: [hotel, flight], pivot: true}
  - {name: mail, service: mail, action: send}
"""


def trip_in_python() -> Saga:
    """Write the same trip with the builder."""
    return Saga(
        "trip_booking",
        parameters={
            "type": "object", "required": ["trip_id"], "properties": {"trip_id": {"type": "string"}},
        },
        retry=Retry(attempts=3, backoff=0.2, factor=2, max_backoff="PT5S", jitter=0.1),
        timeout=10,
        steps=[
            Step("hotel", service="hotel", action="book", compensation="cancel", after=[], expected=2),
            Step(
                "flight",
                service="flight",
                action="book",
                compensation=Compensation("cancel", timeout=5, retry=Retry(attempts=10)),
                after=[],
                retry=Retry(attempts=5, backoff=0.1, retry_on=["timeout", "unavailable"]),
            ),
            Step("payment", service="payment", action="charge", after=["hotel", "flight"], pivot=True),
            Step("mail", service="mail", action="send"),
        ],
    )  # fmt: skip


def test_both_spellings_give_the_same_canonical_text_and_hash() -> None:
    """A definition is data: how it was written leaves no trace."""
    in_yaml = canonical_text(parse_definition(TRIP_IN_YAML, source="trip.yaml"))
    in_python = canonical_text(checked(trip_in_python(), source="trip"))

    assert in_yaml == in_python
    assert definition_hash(in_yaml) == definition_hash(in_python)


def test_json_is_a_third_way_to_write_the_yaml() -> None:
    """A definition in JSON reads like the same one in YAML."""
    in_yaml = parse_definition(TRIP_IN_YAML, source="trip.yaml")

    in_json = parse_definition(json.dumps(json.loads(canonical_text(in_yaml))), source="trip.json")

    assert canonical_text(in_json) == canonical_text(in_yaml)


def test_the_canonical_text_reads_back_to_the_same_definition() -> None:
    """A stored definition comes back equal, and writing it again changes no byte."""
    text = canonical_text(parse_definition(TRIP_IN_YAML, source="trip.yaml"))

    again = from_canonical_text(text)

    assert isinstance(again, SagaDefinition)
    assert canonical_text(again) == text


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("timeout: 90", "timeout: PT1M30S"),
        ("timeout: 90", "timeout: 90.0"),
        ("expected: 0.5", "expected: PT0.5S"),
        ("compensation: undo", "compensation: {action: undo}"),
        ("pivot: false", "expected: null"),
    ],
)
def test_two_ways_to_say_the_same_have_one_hash(written: str, same: str) -> None:
    """A duration in either form, a short compensation, a default written out: no new version of a definition."""
    texts = {
        canonical_text(
            parse_definition(
                f"process_type: t\nsteps:\n- {{name: a, service: s, action: x, after: [], {word}"
                f"{'' if 'compensation' in word else ', compensation: none'}}}",
                source="t.yaml",
            )
        )
        for word in (written, same)
    }

    assert len(texts) == 1


def test_the_order_of_the_steps_is_part_of_the_definition() -> None:
    """Where `after` is left out the order says what waits for what, so it changes the hash."""
    a, b = (f"- {{name: {name}, service: s, action: x, compensation: none}}\n" for name in "ab")

    first, second = (
        canonical_text(parse_definition(f"process_type: t\nsteps:\n{steps}", source="t"))
        for steps in (a + b, b + a)
    )

    assert definition_hash(first) != definition_hash(second)


def test_a_pydantic_model_is_its_json_schema() -> None:
    """The builder takes a model for the parameters and keeps the schema of it."""

    class Trip(BaseModel):
        trip_id: str

    saga = Saga(
        "trip", parameters=Trip, steps=[Step("a", service="s", action="x", compensation="none", after=[])]
    )

    assert saga.parameters["required"] == ["trip_id"]


def test_a_set_of_names_has_the_same_hash_in_every_run() -> None:
    """The order of a set changes from run to run; the hash of a definition must not."""
    script = (
        "from saga import *; from saga.definition.canonical import *\n"
        "none = dict(service='s', action='x', compensation='none')\n"
        "saga = Saga('t', steps=[Step('a', after=[], **none), Step('b', after=[], **none),"
        " Step('c', after={'a', 'b'}, retry=Retry(retry_on={'timeout', 'busy', 'away'}), **none)])\n"
        "print(canonical_text(saga))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3", "4")
    }

    assert len(texts) == 1


def test_the_builder_says_which_part_is_wrong() -> None:
    """Each class of the builder raises the family's error, not the library's."""
    with pytest.raises(InvalidDefinition, match="retry: attempts"):
        Retry(attempts=0)
    with pytest.raises(InvalidDefinition, match="compensation 'Undo': action"):
        Compensation("Undo")
    with pytest.raises(InvalidDefinition, match="step 'a': timeout: not a duration"):
        Step("a", service="s", action="x", timeout="soon")
    with pytest.raises(InvalidDefinition, match="saga 'T': process_type"):
        Saga("T", steps=[Step("a", service="s", action="x")])
    with pytest.raises(InvalidDefinition, match=r"steps: .*at least 1"):
        Saga("t", steps=[])
