"""The timeline and the graph of a process over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http_api.acting import running_process

if TYPE_CHECKING:
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_spans_of_a_process(service: Service) -> None:
    """The command in flight lasts still."""
    process_id = await running_process(service)
    timeline = (await service.http.get(f"/process/{process_id}/timeline")).json()
    assert [(span["kind"], span["command_id"], span["ended_at"]) for span in timeline["spans"]] == [
        ("action", f"{process_id}.ingestion.a1", None)
    ]


async def test_the_graph_of_a_process(service: Service) -> None:
    """As nodes and edges, and as text."""
    process_id = await running_process(service)
    path = f"/process/{process_id}/graph"
    graph = (await service.http.get(path)).json()
    assert [node["status"] for node in graph["nodes"]] == ["running", "pending", "pending"]
    assert graph["edges"][0] == {"from": "ingestion", "to": "analysis"}
    mermaid = await service.http.get(f"{path}?format=mermaid")
    assert mermaid.headers["content-type"] == "text/plain; charset=utf-8"
    assert "flowchart TD" in mermaid.text
    assert (await service.http.get(f"{path}?format=dot")).text.startswith("digraph document_analysis {")


async def test_what_is_refused(service: Service) -> None:
    """Another format, an unknown parameter, and no such process."""
    process_id = await running_process(service)
    assert (await service.http.get(f"/process/{process_id}/graph?format=svg")).status_code == 400
    assert (await service.http.get(f"/process/{process_id}/timeline?format=dot")).status_code == 400
    for what in ("graph", "graph?format=dot", "timeline"):
        assert (await service.http.get(f"/process/nobody/{what}")).status_code == 404
