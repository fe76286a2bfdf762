"""Follow one process until it needs nobody any more, or somebody: a live table, or a line per change."""

import sys
import time
from collections.abc import Iterator

from rich.live import Live

from api.cli.client import Client
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, show, stdout
from api.cli.tables import process_view, progress_line
from saga.messages.json_text import JsonObject

POLL_SECONDS = 20
_ENDED = frozenset({"completed", "compensated", "failed"})


def watch(client: Client, process_id: str, *, output: Output, timeout_s: float | None) -> Exit:
    """Show each change; the exit code says how the process ended."""
    changes = _changes(client, process_id, timeout_s)
    if output is not Output.TABLE:
        return _end(process_id, (_shown(change, output) for change in changes))
    if not sys.stdout.isatty():
        return _end(process_id, (_said(change) for change in changes))
    with Live(console=stdout(), auto_refresh=False) as live:
        return _end(process_id, (_drawn(change, live) for change in changes))


def outcome(status: object, process_id: str) -> Exit:
    """Give the exit code for a status; anything but completed is told as an error."""
    if status == "completed":
        return Exit.WELL
    raise CommandError(Exit.NOT_COMPLETED, f"process {process_id} is {status}")


def _changes(client: Client, process_id: str, timeout_s: float | None) -> Iterator[JsonObject]:
    ends_at = None if timeout_s is None else time.monotonic() + timeout_s
    version: int | None = None
    while True:
        left = (
            POLL_SECONDS if ends_at is None else max(0, min(POLL_SECONDS, round(ends_at - time.monotonic())))
        )
        process = client.get_changed(f"/process/{process_id}", version=version, wait_s=left)
        if process is not None:
            version = int(str(process["version"]))
            yield process
            if process["status"] in _ENDED or process["status"] == "suspended":
                return
        if ends_at is not None and time.monotonic() >= ends_at:
            raise CommandError(Exit.TIMED_OUT, f"process {process_id} has not ended within {timeout_s:g} s")


def _end(process_id: str, changes: Iterator[JsonObject]) -> Exit:
    last: JsonObject = {}
    for change in changes:
        last = change
    return outcome(last["status"], process_id)


def _shown(process: JsonObject, output: Output) -> JsonObject:
    show(process, output, process_view)
    return process


def _said(process: JsonObject) -> JsonObject:
    sys.stdout.write(f"{progress_line(process)}\n")
    sys.stdout.flush()
    return process


def _drawn(process: JsonObject, live: Live) -> JsonObject:
    live.update(process_view(process), refresh=True)
    return process
