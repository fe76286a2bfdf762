"""Sagas drawn from the whole language, in the harness, with services that answer in every way there is."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import yaml

from saga.definition.sources import parse_definition
from saga.testing import Harness, HarnessProcess, Script, StandsStill
from tests.support.random_sagas import SERVICES, draw, output_of

if TYPE_CHECKING:
    from saga.participant import StepCommand

HELP_MAX = 20


@pytest.mark.parametrize("seed", range(12))
def test_any_saga_ends_in_the_harness_and_each_run_is_the_same(seed: int) -> None:
    """Whatever it waits for, the harness says it and a person gives it; closing verifies each log."""
    ended, log = _play(seed)
    assert ended in {"completed", "compensated"}
    assert _play(seed) == (ended, log)


def _play(seed: int) -> tuple[str, str]:
    drawn, chance = draw(seed), Random(seed)
    definitions = [
        parse_definition(yaml.safe_dump(definition), source="drawn")
        for definition in reversed(drawn.definitions)
    ]
    with Harness(*definitions) as harness:
        for name in SERVICES:
            _write(harness.service(name).otherwise(), chance)
        process = harness.start(str(drawn.definitions[0]["process_type"]), drawn.parameters)
        for _ in range(HELP_MAX):
            try:
                process.ends()
                break
            except StandsStill:
                assert _helps(process, chance), process.document["waiting_for"]
        return process.status, harness.export()


def _write(script: Script, chance: Random) -> None:
    for _ in range(chance.randint(1, 8)):
        match chance.randrange(8):
            case 0:
                script.fails("busy", retryable=True, retry_after=chance.choice([None, 5]))
            case 1:
                script.fails("no", effect_unknown=chance.random() < 0.5)
            case 2:
                script.never_answers()
            case 3:
                script.completes(_output).after(chance.uniform(0, 100))
            case 4:
                script.completes(_output).after(chance.uniform(0, 60)).reporting(
                    every=chance.choice([0.3, 7])
                )
            case 5:
                script.completes(_output).twice()
            case 6:
                script.completes(_output).then_fails("changed_my_mind")
            case _:
                script.completes(_output).times(chance.randint(1, 3))
    script.completes(_output)


def _output(command: StepCommand) -> object:
    step, _, index = command.step.removesuffix("]").partition("[")
    return output_of(command.process_type, step, int(index) if index else None)


def _helps(process: HarnessProcess, chance: Random) -> bool:
    """Give what it waits for, or what a process waits for that carries out one of its steps."""
    document = process.document
    for wait in document["waiting_for"]:  # type: ignore[union-attr]  # a list, as the schema says
        match wait:
            case {"kind": "signal", "step": str(step)}:
                process.approve(step, {"by": "ann"})
                return True
            case {"kind": "operator", "step": str(step)}:
                process.ask(chance.choice(["skip", "retry"]), step=step)
                return True
            case {"kind": "child", "step": str(step)} if _helps(process.child(step), chance):
                return True
    return False
