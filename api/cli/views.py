"""What the commands do that look at one process from another side."""

import sys
from typing import cast
from urllib.parse import quote

from api.cli.client import Client
from api.cli.outcome import Exit
from api.cli.output import Output, say, show
from api.cli.tables import plain
from api.cli.view_tables import deliveries_view, timeline_view, undo_preview_view
from saga.messages.json_text import JsonObject


def preview_undo(client: Client, output: Output, process_id: str) -> Exit:
    """Show what a compensation would send."""
    show(_read(client, process_id, "undo-preview"), output, undo_preview_view)
    return Exit.WELL


def timeline(client: Client, output: Output, process_id: str) -> Exit:
    """Show the spans of a process."""
    show(_read(client, process_id, "timeline"), output, timeline_view)
    return Exit.WELL


def deliveries(client: Client, output: Output, process_id: str) -> Exit:
    """Show the delivery log of a process."""
    show(_read(client, process_id, "deliveries"), output, deliveries_view)
    return Exit.WELL


def retry_delivery(
    client: Client, output: Output, process_id: str, *, sequence: int, reason: str | None
) -> Exit:
    """Have a delivery sent again, and show it."""
    path = f"/process/{quote(process_id, safe='')}/deliveries/{sequence}/retry"
    body: JsonObject = {"reason": reason or "sent again at the terminal"}
    _, delivery = client.post(path, body, headers={})
    show(delivery, output, lambda one: f"{plain(one['webhook_id'])} {plain(one['status'])}")
    say("it is sent again")
    return Exit.WELL


def graph(client: Client, output: Output, process_id: str, *, language: str) -> Exit:
    """Print the drawing of a process, or its nodes and edges."""
    if output is Output.TABLE:
        path = f"/process/{quote(process_id, safe='')}/graph"
        sys.stdout.write(client.get_text(path, [("format", language)]))
    else:
        show(_read(client, process_id, "graph"), output, str)
    return Exit.WELL


def _read(client: Client, process_id: str, what: str) -> JsonObject:
    return cast("JsonObject", client.get(f"/process/{quote(process_id, safe='')}/{what}"))
