"""The definitions that are made from the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.plans import (
    DOCUMENT_ANALYSIS,
    FAN_OUT,
    ITEMS,
    OVER_AT_ONCE,
    PLANS,
    SERVICES,
    WAITING,
    WAITING_SHORTLY,
    messages_in,
    steps_in,
    write_definitions,
)
from saga.definition.sources import load_definitions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("process_type", PLANS)
def test_relay_and_batuta_do_the_same_steps(process_type: str, tmp_path: Path) -> None:
    """A definition has the steps of its plan, at the same services, stage after stage."""
    (definition,) = load_definitions(write_definitions((process_type,), tmp_path))
    assert definition.process_type == process_type
    planned = {step.name: step.service for stage in PLANS[process_type] for step in stage}
    assert {step.name: step.service for step in definition.steps} == planned
    assert set(planned.values()) <= set(SERVICES)


def test_the_definitions_without_a_plan_load(tmp_path: Path) -> None:
    """They have no relay beside them."""
    sources = write_definitions((ITEMS, WAITING, WAITING_SHORTLY, OVER_AT_ONCE), tmp_path, waits_s=7)
    loaded = [definition for source in sources.split(",") for definition in load_definitions(source)]
    assert [definition.process_type for definition in loaded] == [
        ITEMS,
        WAITING,
        WAITING_SHORTLY,
        OVER_AT_ONCE,
    ]
    assert loaded[1].steps[0].timeout == 7


def test_messages_are_counted_alike() -> None:
    """A start, and a command and a reply per step."""
    assert messages_in(DOCUMENT_ANALYSIS) == 7
    assert steps_in(FAN_OUT) == 52
    assert messages_in(FAN_OUT) == 105
