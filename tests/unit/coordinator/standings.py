"""States and graphs for the coordinator's parts: a process of two steps, accepted and begun."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from saga.coordinator.admitted import AdmittedReply, AdmittedStart, AdmittedWake
from saga.coordinator.rulings import Beginning, Ruling, Standing, rule_on_new
from saga.definition.canonical import canonical_text, definition_hash
from saga.definition.catalog import KnownDefinition
from saga.definition.graph import compile_graph
from saga.definition.sources import parse_definition
from saga.messages.json_text import Json, JsonText, to_text
from saga.messages.start import parse_start
from saga.process.inputs import SuccessReceived, WokenUp
from saga.process.status import Direction

if TYPE_CHECKING:
    from saga.process.state import ProcessState

ID = "0199a1b2-0000-7000-8000-000000000001"
NOW = 1_800_000_000_000
TEXT = """
process_type: two_steps
parameters: {properties: {a: {type: integer}}}
steps:
- {name: one, service: first, action: do, compensation: undo}
- {name: two, service: second, action: do, compensation: undo}
"""


def known() -> KnownDefinition:
    """Give the definition, ready to use."""
    definition = parse_definition(TEXT, source="test")
    text = canonical_text(definition)
    return KnownDefinition(definition_hash(text), definition, compile_graph(definition), text)


def start(process_id: str = ID, *, parameters: Json = None) -> AdmittedStart:
    """Make an admitted start."""
    command = parse_start({"process_type": "two_steps", "parameters": parameters or {}})
    return AdmittedStart(process_id, command, "shop", None, "{}")


def begun(process_id: str = ID) -> Ruling:
    """Rule on a start that nobody knows."""
    return rule_on_new(start(process_id), Beginning(known(), {}), NOW)


def standing(state: ProcessState | None = None, *, is_fresh: bool = True) -> Standing:
    """Let a process stand somewhere."""
    return Standing(state or begun().state, known().graph, is_fresh=is_fresh)


def completed(step: str = "one", attempt: int = 1, output: Json = None) -> AdmittedReply:
    """Make an admitted completion."""
    return completed_with(to_text(output), step, attempt)


def completed_with(output: JsonText, step: str = "one", attempt: int = 1) -> AdmittedReply:
    """Make an admitted completion of a given text."""
    received = SuccessReceived(Direction.ACTION, step, attempt, output)
    return AdmittedReply(ID, f"{ID}.{step}.a{attempt}", "completed", received, "{}")


def woken(version: int, due_at: int) -> AdmittedWake:
    """Make an admitted wake."""
    return AdmittedWake(ID, f"wake:{ID}:{version}:{due_at}", WokenUp(version, due_at), "{}")


def grown(state: ProcessState, payload_bytes: int) -> ProcessState:
    """Let a state hold so many bytes of payloads."""
    return replace(state, payload_bytes=payload_bytes)


def damaged(state: ProcessState) -> ProcessState:
    """Give a state with a step that its graph doesn't know, as after a defect of ours."""
    steps = {**state.steps, "stranger": state.steps["one"]}
    return replace(state, steps=MappingProxyType(steps))
