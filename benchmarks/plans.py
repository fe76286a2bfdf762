"""The processes that are measured: one plan each, which the relay follows and the definitions are made from."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

DOCUMENT_ANALYSIS = "document_analysis"
FAN_OUT = "fan_out"
FAN_WIDTH = 50
CHAINS = (1, 3, 10, 30)
WAITING = "waiting"
WAITING_SHORTLY = "waiting_shortly"
WAITS_SHORTLY_S = 20
ITEMS = "items"
PAYLOAD = "payload"
OVER_AT_ONCE = "over_at_once"
WORKER = "worker"
_DEMO = Path(__file__).parent.parent / "api" / "demo" / f"{DOCUMENT_ANALYSIS}.yaml"
# Long enough that no attempt times out because the load is heavy.
_TIMEOUT_S = 3_600


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step, and the service that carries it out."""

    name: str
    service: str = WORKER


# Stages one after the other; the steps of a stage run side by side.
Plan: TypeAlias = tuple[tuple[PlannedStep, ...], ...]


def chain_of(length: int) -> str:
    """Name the process type of so many steps one after the other."""
    return f"chain_{length}"


def parallel_of(width: int) -> str:
    """Name the process type of so many steps side by side."""
    return f"parallel_{width}"


def steps_in(process_type: str) -> int:
    """Count the steps of a process."""
    return sum(len(stage) for stage in PLANS[process_type])


def messages_in(process_type: str) -> int:
    """Count the messages that carry a process out: its start, and a command and a reply per step."""
    return 1 + 2 * steps_in(process_type)


def write_definitions(process_types: Collection[str], folder: Path, *, waits_s: int = _TIMEOUT_S) -> str:
    """Write the definitions of these types into a folder and give the value of SAGA_DEFINITIONS for them.

    `waits_s` is the time-out of the process that only waits.
    """
    sources = []
    for process_type in process_types:
        if process_type == DOCUMENT_ANALYSIS:
            sources.append(_DEMO)
            continue
        file = folder / f"{process_type}.json"
        file.write_text(json.dumps(_definition(process_type, waits_s)), encoding="utf-8")
        sources.append(file)
    return ",".join(map(str, sources))


def _definition(process_type: str, waits_s: int) -> dict[str, object]:
    steps: list[dict[str, object]]
    if process_type in {WAITING, WAITING_SHORTLY}:
        timeout = waits_s if process_type == WAITING else WAITS_SHORTLY_S
        steps = [{"name": "wait", "signal": True, "timeout": timeout}]
    elif process_type == OVER_AT_ONCE:
        steps = [_step(PlannedStep("skipped")) | {"when": "parameters.never"}]
    elif process_type == ITEMS:
        each = {"for_each": "parameters.items", "at_once": 100, "input": {"item": "item"}}
        steps = [_step(PlannedStep("work")) | each]
    else:
        steps = []
        before: list[str] = []
        for stage in PLANS[process_type]:
            steps += [_step(step) | {"after": before} for step in stage]
            before = [step.name for step in stage]
        if process_type == PAYLOAD:  # what came before is not sent along, so each command has one payload
            steps = [step | {"input": {"text": "parameters.text"}} for step in steps]
    return {"process_type": process_type, "timeout": _TIMEOUT_S, "steps": steps}


def _step(step: PlannedStep) -> dict[str, object]:
    return {"name": step.name, "service": step.service, "action": "run", "compensation": "none"}


def _numbered(count: int) -> tuple[PlannedStep, ...]:
    return tuple(PlannedStep(f"s{number}") for number in range(1, count + 1))


def _in_a_row(steps: tuple[PlannedStep, ...]) -> Plan:
    return tuple((step,) for step in steps)


PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        DOCUMENT_ANALYSIS: _in_a_row(
            tuple(PlannedStep(name, name) for name in ("ingestion", "analysis", "indexing"))
        ),
        PAYLOAD: _in_a_row(_numbered(3)),
        FAN_OUT: ((PlannedStep("split"),), _numbered(FAN_WIDTH), (PlannedStep("join"),)),
        **{chain_of(length): _in_a_row(_numbered(length)) for length in CHAINS},
        **{parallel_of(width): (_numbered(width),) for width in (10, 1_000)},
    }
)
SERVICES = tuple(sorted({step.service for plan in PLANS.values() for stage in plan for step in stage}))
