"""Write definitions in YAML for tests, and read how they are refused."""

from __future__ import annotations

import pytest

from saga.definition.graph import StepGraph, compile_graph
from saga.definition.sources import parse_definition
from saga.errors import InvalidDefinition

FILE = "trip.yaml"


def saga(*steps: str, head: str = "") -> str:
    """Write a definition around steps in flow style, without their braces."""
    written = "\n".join(f"- {{{step}}}" for step in steps)
    return f"process_type: t\n{head}\nsteps:\n{written}\n"


def step(name: str = "a", more: str = "", *, compensation: str = "none") -> str:
    """Write a step."""
    return f"name: {name}, service: s, action: x, compensation: {compensation}{', ' if more else ''}{more}"


def refusal(text: str) -> tuple[str, ...]:
    """Give the sentences that a definition is refused with."""
    with pytest.raises(InvalidDefinition) as refused:
        parse_definition(text, source=FILE)
    assert refused.value.source == FILE
    assert FILE in str(refused.value)
    assert refused.value.problems
    assert all(refused.value.problems)
    return refused.value.problems


def graph_of(*steps: str, head: str = "") -> StepGraph:
    """Compile a definition that must load."""
    return compile_graph(parse_definition(saga(*steps, head=head), source=FILE))
