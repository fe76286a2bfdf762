"""The graph of a process: nodes and edges with where they stand, and its drawings."""

from typing import Any

from saga.views.drawing import dot, mermaid
from saga.views.graph import graph_document, standings
from tests.support.scenario import Scenario

STEPS = """
- {name: a, service: s, action: do, compensation: undo}
- {name: b, service: s, action: do, compensation: none}
- {name: ok, signal: true}
"""


def _back() -> Scenario:
    return Scenario.of(STEPS).starts().completes("a").fails_for_good("b")


def test_nodes_say_where_the_steps_and_their_undos_stand() -> None:
    """In the words of the process's document; edges lead from a step to one that waits for it."""
    story = _back()
    document: Any = graph_document(story.graph, story.state)
    assert [
        (node["name"], node["kind"], node["status"], node["compensation"]) for node in document["nodes"]
    ] == [
        ("a", "service", "completed", {"action": "undo", "status": "running"}),
        ("b", "service", "failed", None),
        ("ok", "signal", "pending", None),
    ]
    assert document["edges"] == [{"from": "a", "to": "b"}, {"from": "b", "to": "ok"}]
    assert document["status"] == "compensating"


def test_a_drawing_has_the_words_and_the_colour_repeats_them() -> None:
    """In both languages; without a process neither is there."""
    story = _back().undoes("a")
    found = standings(story.graph, story.state)
    drawn = mermaid(story.graph, found)
    assert 's_a["a<br/>completed<br/>s.do"]:::completed' in drawn
    assert 's_a -. undo .-> u_a(["undo<br/>compensated"]):::compensated' in drawn
    assert "classDef failed fill:" in drawn
    assert "classDef running" not in drawn
    lines = dot(story.graph, found).splitlines()
    assert any('"a" [shape=box, label="a\\ncompleted\\ns.do", style="filled"' in line for line in lines)
    assert any('"undo a" [shape=box, label="undo\\ncompensated"' in line for line in lines)
    assert "completed" not in mermaid(story.graph) + dot(story.graph)
