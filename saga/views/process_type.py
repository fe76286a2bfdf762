"""A process type as people and programs read it: its steps, its graph, what it takes and how long."""

from collections.abc import Sequence

from saga.definition.expressions import Expression
from saga.definition.graph import EffortPlan, ObjectPlan, StepGraph, StepNode
from saga.definition.model import SagaDefinition
from saga.messages.json_text import Json, JsonObject
from saga.messages.timestamps import rfc3339
from saga.ports.definitions import StoredDefinition
from saga.process.status import Direction
from saga.views.estimate import Durations


def process_type_summary(graph: StepGraph, *, definition_hash: str) -> JsonObject:
    """Write one line of the list of process types."""
    return {
        "process_type": graph.process_type,
        "definition": definition_hash,
        "steps": [node.name for node in graph.nodes],
    }


def process_type_document(
    definition: SagaDefinition,
    graph: StepGraph,
    *,
    definition_hash: str,
    versions: Sequence[StoredDefinition],
    durations: Durations,
    is_paused: bool,
) -> JsonObject:
    """Write everything about a process type; `durations` are medians of what was seen, in seconds here."""
    return {
        "process_type": graph.process_type,
        "definition": definition_hash,
        "versions": [
            {
                "definition": version.hash,
                "registered_at": rfc3339(version.registered_at),
                "is_current": version.hash == definition_hash,
            }
            for version in versions
        ],
        "parameters": dict[str, Json](definition.parameters),
        "deadline": None if graph.deadline_ms is None else graph.deadline_ms / 1000,
        "locks": [expression.text for expression in graph.locks],
        "on_locked": str(graph.on_locked) if graph.locks else None,
        "result": _mapping(graph.result),
        "is_paused": is_paused,
        "steps": [_step(node) for node in graph.nodes],
        "graph": {
            "nodes": [node.name for node in graph.nodes],
            "edges": [[before, node.name] for node in graph.nodes for before in node.after],
        },
        "durations": {
            node.name: durations[Direction.ACTION, node.name] / 1000
            for node in graph.nodes
            if (Direction.ACTION, node.name) in durations
        },
    }


def _step(node: StepNode) -> JsonObject:
    return {
        "name": node.name,
        "service": node.service,
        "action": node.action.action,
        "after": list[Json](node.after),
        "join": _join(node),
        "pivot": node.pivot,
        "when": _text(node.when),
        "for_each": _text(node.for_each),
        "at_once": None if node.for_each is None else node.at_once,
        "input": _mapping(node.action.input),
        "expected": None if node.expected_ms is None else node.expected_ms / 1000,
        "timeout": node.action.timeout_ms / 1000,
        "retry": _retry(node.action),
        "compensation": None
        if node.compensation is None
        else {
            "action": node.compensation.action,
            "timeout": node.compensation.timeout_ms / 1000,
            "retry": _retry(node.compensation),
        },
        "verify": None
        if node.verify is None
        else {
            "action": node.verify.action,
            "fences": node.fences,
            "timeout": node.verify.timeout_ms / 1000,
            "retry": _retry(node.verify),
        },
    }


def _join(node: StepNode) -> Json:
    match node.join_count:
        case None:
            return "all"
        case 1:
            return "any"
        case count:
            return count


def _text(expression: Expression | None) -> str | None:
    return None if expression is None else expression.text


def _mapping(plan: ObjectPlan | None) -> Json:
    return None if plan is None else {name: expression.text for name, expression in plan}


def _retry(plan: EffortPlan) -> JsonObject:
    return {
        "attempts": plan.retry.attempts,
        "backoff": plan.retry.backoff_ms / 1000,
        "factor": plan.retry.factor,
        "max_backoff": plan.retry.max_backoff_ms / 1000,
        "jitter": plan.retry.jitter,
        "retry_on": None if plan.retry.retry_on is None else list[Json](sorted(plan.retry.retry_on)),
    }
