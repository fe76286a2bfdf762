"""The command that begins a process anew from one of its steps."""

from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

from api.cli.acting import Request
from api.cli.client import Client
from api.cli.outcome import Exit
from api.cli.output import Output, say, show
from api.cli.tables import plain, process_view
from api.cli.watch import watch
from saga.messages.json_text import JsonObject


def rerun(  # noqa: PLR0913 - one per option
    client: Client,
    output: Output,
    *,
    process_id: str,
    step: str,
    parameters: JsonObject,
    without: Sequence[str],
    callback_url: str | None,
    request: Request,
    follow: bool,
) -> Exit:
    """Begin the new process, say what it keeps that was undone in the old one, and show it."""
    body: JsonObject = {**request.body, "step": step, "parameters": parameters, "without": [*without]}
    if callback_url is not None:
        body["callback_url"] = callback_url
    path = f"/process/{quote(process_id, safe='')}/rerun"
    _, begun = client.post(path, body, headers=request.headers)
    new_id = str(begun["process_id"])
    say(f"started {new_id}, forked from {process_id}")
    _warn_of_undone(client, new_id)
    if follow:
        return watch(client, new_id, output=output, timeout_s=None)
    show(begun, output, process_view)
    return Exit.WELL


def _warn_of_undone(client: Client, new_id: str) -> None:
    entries = cast("list[JsonObject]", client.get(f"/process/{new_id}/events"))
    undone = [
        plain(entry["step"])
        for entry in entries
        if entry["type"] == "step_kept" and cast("JsonObject", entry["data"])["was_undone"]
    ]
    if undone:
        say(
            f"kept, though the old process undoes or has undone it: {', '.join(undone)}; "
            "to do it again, name an earlier step with --from"
        )
