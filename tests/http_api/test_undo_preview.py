"""The preview of a compensation over HTTP: what it shows, and that a look changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.messages.json_text import JsonText
from saga.process.events import AttemptCompleted, Completed
from saga.process.status import Direction
from tests.http_api.acting import running_process, started

if TYPE_CHECKING:
    from tests.http_api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _completed(step: str) -> AttemptCompleted:
    return AttemptCompleted(Direction.ACTION, step, 1, JsonText(f'{{"of":"{step}"}}'))


async def test_of_a_completed_process_each_command_is_there_whole(service: Service) -> None:
    """In reverse order, with what the step gave, under the ids that they will have; the log does not grow."""
    process_id = await running_process(service)
    state = await service.play(
        process_id, _completed("ingestion"), started("analysis"), _completed("analysis"),
        started("indexing"), _completed("indexing"), Completed(),
    )  # fmt: skip
    answer = await service.http.get(f"/process/{process_id}/undo-preview")
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{state.version}"'
    preview = answer.json()
    assert (preview["is_allowed"], preview["refusal"], preview["awaits"], preview["not_undone"]) == (
        True, None, [], []
    )  # fmt: skip
    assert [[command["step"] for command in wave] for wave in preview["waves"]] == [
        ["indexing"], ["analysis"], ["ingestion"]
    ]  # fmt: skip
    first = preview["waves"][0][0]
    assert first["command_id"] == f"{process_id}.indexing.c1"
    assert first["routing_key"] == "step.indexing.remove"
    assert first["body"]["kind"] == "compensation"
    assert first["body"]["compensates"]["output"] == {"of": "indexing"}
    assert preview["ends"] == {"status": "compensated", "reason": "compensation_requested"}
    assert (await service.http.get(f"/process/{process_id}")).json()["version"] == state.version


async def test_what_is_in_flight_is_said(service: Service) -> None:
    """Its undo goes too if it took effect."""
    process_id = await running_process(service)
    preview = (await service.http.get(f"/process/{process_id}/undo-preview")).json()
    assert preview["awaits"] == [
        {
            "step": "ingestion",
            "kind": "action",
            "command_id": f"{process_id}.ingestion.a1",
            "compensation": "discard",
        }
    ]
    assert preview["waves"] == []


async def test_of_no_process_there_is_no_preview(service: Service) -> None:
    """404, and a query that nobody knows is 400."""
    assert (await service.http.get("/process/nobody/undo-preview")).status_code == 404
    assert (await service.http.get("/process/nobody/undo-preview?deep=1")).status_code == 400
