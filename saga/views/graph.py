"""The steps of a process as a graph, with where each of them stands."""

from saga.definition.graph import StepGraph, StepNode
from saga.messages.json_text import Json, JsonObject
from saga.process.state import ProcessState
from saga.views.drawing import Standing, Standings
from saga.views.process import worst_undo
from saga.views.words import COMPENSATION_WORDS, step_word


def standings(graph: StepGraph, state: ProcessState) -> Standings:
    """Give the words for where the steps and their undos stand."""
    return {node.name: Standing(step_word(node, state), _undo_word(node, state)) for node in graph.nodes}


def graph_document(graph: StepGraph, state: ProcessState) -> JsonObject:
    """Write nodes and edges; an edge leads from a step to one that waits for it."""
    found = standings(graph, state)
    nodes: list[Json] = [_node(node, found[node.name]) for node in graph.nodes]
    edges: list[Json] = [{"from": before, "to": node.name} for node in graph.nodes for before in node.after]
    return {
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "status": str(state.status),
        "version": state.version,
        "nodes": nodes,
        "edges": edges,
    }


def _node(node: StepNode, standing: Standing) -> JsonObject:
    compensation: JsonObject | None = None
    if node.compensation is not None:
        compensation = {"action": node.compensation.action, "status": standing.compensation}
    return {
        "name": node.name,
        "kind": str(node.kind),
        "service": node.service,
        "action": node.action.action,
        "pivot": node.pivot,
        "status": standing.status,
        "compensation": compensation,
    }


def _undo_word(node: StepNode, state: ProcessState) -> str | None:
    undo = worst_undo(state, node)
    return None if undo is None else COMPENSATION_WORDS[undo[1].status]
